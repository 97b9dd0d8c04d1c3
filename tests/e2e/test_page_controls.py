"""What the page lets one do: pause, resume, stop, producers, target and budget."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from mesh.web.interface import JsonObject
from tests.e2e.chromium import look_at, opened, reachable
from tests.scripted_run import MODELS, ScriptedRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYTHING = [
    *("pause", "stop", "set_model", "set_target", "set_budget"),
    *("add_producer", "remove_producer"),
]


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower"])
    return run


@pytest.mark.parametrize("through_proxy", [False, True], ids=["directly", "by proxy"])
async def test_the_run_is_paused_resumed_and_stopped_from_the_page(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy) as url:
        page = (await opened(browser, url)).page
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#state")).to_have_text("Paused")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("#state")).to_have_text("Running")
        await page.get_by_role("button", name="Stop…").click()
        await page.get_by_role("button", name="Keep running").click()
        await expect(page.locator("#stop-dialog")).to_be_hidden()
        assert [action for action, _ in run.wishes] == ["pause", "resume"]
        run.refusal = "not now"
        await page.get_by_role("button", name="Stop…").click()
        await page.get_by_role("button", name="Stop the run").click()
        await expect(page.locator("#toast")).to_have_text("Could not stop: not now")
        assert run.wishes[-1] == ("stop", {})


async def test_a_press_that_comes_before_the_answer_to_another_is_not_dropped(
    browser: Browser,
) -> None:
    """The run tells its state before it answers."""
    answered = asyncio.Event()

    class SlowToAnswer(ScriptedRun):
        async def control(self, action: str, arguments: JsonObject) -> str | None:
            refusal = await super().control(action, arguments)
            await answered.wait()
            return refusal

    run = SlowToAnswer()
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#state")).to_have_text("Paused")
        await page.get_by_role("button", name="Resume").dblclick()
        assert [action for action, _ in run.wishes] == ["pause"]
        answered.set()
        await expect(page.locator("#state")).to_have_text("Running")
        await expect(page.locator("#pause")).not_to_have_attribute("aria-busy", "true")
    assert [action for action, _ in run.wishes] == ["pause", "resume"]


async def test_a_producer_is_given_another_model_added_and_removed(
    browser: Browser, run: ScriptedRun
) -> None:
    run.actions = EVERYTHING
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#mesh-card")
        toast = page.locator("#toast")
        await page.get_by_label("Model of producer-1").select_option(MODELS[1])
        await expect(toast).to_have_text("producer-1 asks sonata from its next call on.")
        await page.get_by_label("Model of the new producer").select_option(MODELS[1])
        await page.get_by_role("button", name="Add producer").click()
        await expect(toast).to_contain_text("One more producer is starting")
        run.refusal = "the last one stays"
        await page.get_by_label("Remove producer-1").click()
        await expect(page.locator("#remove-title")).to_have_text("Remove producer-1?")
        await page.get_by_role("button", name="Remove it").click()
        await expect(toast).to_have_text("Not removed: the last one stays")
        assert run.wishes == [
            ("set_model", {"node": "producer-1", "model": MODELS[1]}),
            ("add_producer", {"model": MODELS[1]}),
            ("remove_producer", {"node": "producer-1"}),
        ]
        await expect(page.get_by_label("Remove collector")).to_be_hidden()


async def test_target_and_budget_are_raised_and_a_refusal_is_said_where_it_was_asked(
    browser: Browser, run: ScriptedRun
) -> None:
    run.actions = EVERYTHING
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await page.get_by_role("button", name="Target and budget…").click()
        await expect(page.get_by_label("Target, in entries")).to_have_value("300")
        await page.get_by_label("Target, in entries").fill("1,500")
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_have_text("The target is 1,500 now.")
        assert run.wishes == [("set_target", {"target": 1500})]
        for mistaken in ("0,50", "1e999", "ten"):
            await page.get_by_role("button", name="Target and budget…").click()
            await page.get_by_label("Budget, in dollars").fill(mistaken)
            await page.get_by_role("button", name="Save").click()
            await expect(page.locator("#bounds-refused")).to_contain_text("write a number")
            await page.get_by_role("button", name="Cancel").click()
        assert len(run.wishes) == 1
        run.refusal = "producers hold $0.12 already"
        await page.get_by_role("button", name="Target and budget…").click()
        await page.get_by_label("Budget, in dollars").fill("0.05")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#bounds-refused")).to_have_text(
            "Not changed: producers hold $0.12 already"
        )
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.locator("#bounds-dialog")).to_be_hidden()


async def test_what_the_run_does_not_allow_is_not_offered(
    browser: Browser, run: ScriptedRun
) -> None:
    run.actions = ["pause", "stop"]
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#mesh-card")
        await expect(page.locator("#peers tr")).to_have_count(2)
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        for name in ("Target and budget…", "Add producer", "Remove producer-1"):
            await expect(page.get_by_role("button", name=name)).to_be_hidden()
        await expect(page.get_by_label("Model of producer-1")).to_have_count(0)
