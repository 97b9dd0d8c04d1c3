"""Plans of answers: seeded, within caps and limits, with the mishaps that the figures ask for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mesh.simulation.answering import (
    Break,
    Call,
    Ending,
    PlannedAnswer,
    Simulator,
)
from mesh.simulation.books import CALLS_KEPT_MAX, Books, CallRecord
from mesh.simulation.catalog import CatalogShelf
from mesh.simulation.faults import Fault, FaultKind
from mesh.simulation.models import SimulatedModel, load_models
from mesh.simulation.prompt_cache import PromptBlock
from mesh.simulation.rate_limiting import ModelLimits
from mesh.simulation.writing import WrittenEntry

MODELS = load_models()
CALM = replace(
    MODELS["sonata"], refusal_rate=0.0, empty_rate=0.0, cut_stream_rate=0.0, error_5xx_rate=0.0
)
PROMPT = "Topic: Paris attractions\n\nWrite up to 20 further entries."


def simulator(seed: int = 0, topic: str | None = None) -> Simulator:
    return Simulator(MODELS, CatalogShelf(), seed, topic)


def call(
    model: SimulatedModel = CALM, text: str = PROMPT, cap: int | None = None, streamed: bool = True
) -> Call:
    return Call(model, (PromptBlock(text),), cap, streamed)


def planned(one: Call, at: Simulator | None = None, now_s: float = 0.0) -> PlannedAnswer:
    plan = (at or simulator()).answer(one, now_s)
    assert isinstance(plan, PlannedAnswer)
    return plan


def fault(one: Call, at: Simulator | None = None, now_s: float = 0.0) -> Fault:
    plan = (at or simulator()).answer(one, now_s)
    assert isinstance(plan, Fault)
    return plan


def outcomes(model: SimulatedModel, count: int = 200) -> Counter[object]:
    one, found = simulator(), Counter[object]()
    for number in range(count):
        plan = one.answer(call(model), float(number))
        found[plan.kind if isinstance(plan, Fault) else plan.outcome] += 1
    return found


def test_the_same_calls_in_the_same_order_get_the_same_answers() -> None:
    def texts(seed: int) -> list[str]:
        one = simulator(seed)
        return [planned(call(), one).text for _ in range(3)]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert len(set(texts(1))) == 3


def test_one_models_calls_do_not_change_anothers_answers() -> None:
    other = replace(CALM, name="other")
    one, another = simulator(), simulator()
    planned(call(other), one)
    assert planned(call(), one).text == planned(call(), another).text


def test_as_many_entries_are_written_as_were_asked_for() -> None:
    plan = planned(call())
    assert len(plan.entries) == 20
    assert plan.reading.asked_count == 20
    assert (plan.ending, plan.outcome) == (Ending.STOP, "ok")


def test_an_answer_is_cut_at_its_cap_and_its_last_line_is_no_entry() -> None:
    plan = planned(call(cap=10))
    assert (plan.ending, plan.outcome, plan.output_tokens) == (Ending.LENGTH, "length", 10)
    whole_lines = plan.text.count("\n")
    assert not plan.text.endswith("\n")
    assert len(plan.entries) == whole_lines


def test_hidden_reasoning_counts_and_can_eat_the_whole_cap() -> None:
    reasoner = MODELS["reasoner"]
    plan = planned(call(reasoner, cap=200))
    assert (plan.text, plan.ending) == ("", Ending.LENGTH)
    assert plan.reasoning_tokens == plan.output_tokens == 200
    roomy = planned(call(reasoner, cap=10_000))
    assert len(roomy.entries) == 20
    assert roomy.output_tokens > roomy.reasoning_tokens > 1000
    assert roomy.first_token_s > 1000 / reasoner.tokens_per_s


def test_a_prompt_longer_than_the_context_is_refused_with_its_length() -> None:
    small = replace(CALM, context_tokens=1000)
    assert planned(call(small, cap=900)).entries
    refused = fault(call(small, PROMPT + "x" * 4000, cap=10))
    assert refused.kind is FaultKind.PROMPT_TOO_LONG
    assert refused.prompt_tokens > refused.tokens_max == 1000
    assert fault(call(small, cap=999)).kind is FaultKind.PROMPT_TOO_LONG


def test_an_unknown_topic_is_refused_by_name_with_those_that_are_known() -> None:
    refused = fault(call(text="Topic: Moons of Saturn\n\nWrite up to 3."))
    assert refused.kind is FaultKind.UNKNOWN_TOPIC
    assert "'Moons of Saturn'" in refused.detail
    assert "Paris attractions" in refused.detail


def test_a_server_for_one_topic_answers_every_prompt_from_it() -> None:
    plan = planned(call(text="Write up to 3."), simulator(topic="Paris attractions"))
    assert plan.topic == "Paris attractions"
    assert len(plan.entries) == 3


def test_a_model_told_all_that_it_knows_says_that_it_has_no_more() -> None:
    one = simulator()
    catalog = one.shelf.find("Paris attractions")
    assert catalog is not None
    everything = "\n".join(entry.name for entry in catalog.entries)
    plan = planned(call(text=f"Topic: Paris attractions\n{everything}\n\nWrite up to 9."), one)
    assert (plan.outcome, plan.entries) == ("dry", ())
    assert plan.text.strip()


@pytest.mark.parametrize("name", ["refusal", "empty", "cut"])
def test_mishaps_come_at_their_rates(name: str) -> None:
    model = {
        "refusal": replace(CALM, refusal_rate=0.3),
        "empty": replace(CALM, empty_rate=0.3),
        "cut": replace(CALM, cut_stream_rate=0.3),
    }[name]
    found = outcomes(model)
    assert found[name] / 200 == pytest.approx(0.3, abs=0.1)
    assert set(found) == {name, "ok"}


def test_server_faults_and_rate_limits_come_at_their_rates() -> None:
    found = outcomes(replace(CALM, error_5xx_rate=0.3))
    faults = found[FaultKind.SERVER_ERROR] + found[FaultKind.OVERLOADED]
    assert faults / 200 == pytest.approx(0.3, abs=0.1)
    assert min(found[FaultKind.SERVER_ERROR], found[FaultKind.OVERLOADED]) > 10
    limited = outcomes(replace(CALM, error_429_rate=0.3))
    assert limited[FaultKind.RATE_LIMITED] / 200 == pytest.approx(0.3, abs=0.1)


def test_a_cut_stream_ends_somewhere_inside_its_text() -> None:
    one = simulator()
    plans = [planned(call(replace(CALM, cut_stream_rate=1.0)), one) for _ in range(20)]
    assert all(plan.breaks is Break.CONNECTION for plan in plans)
    assert all(plan.breaks_after < len(plan.text) for plan in plans)
    assert len({plan.breaks_after for plan in plans}) > 10


def test_a_filter_ends_an_answer_early() -> None:
    plan = planned(call(MODELS["filtered"]))
    assert (plan.ending, plan.outcome) == (Ending.FILTERED, "filtered")
    assert len(plan.entries) < 20


def test_a_rate_limit_says_when_the_next_call_may_come() -> None:
    limited = replace(CALM, requests_per_minute=2)
    one = simulator()
    planned(call(limited), one, now_s=0)
    planned(call(limited), one, now_s=10)
    refused = fault(call(limited), one, now_s=20)
    assert (refused.kind, refused.retry_after_s) == (FaultKind.RATE_LIMITED, 40)
    planned(call(limited), one, now_s=60)


def test_refused_calls_do_not_lengthen_the_wait() -> None:
    limits = ModelLimits.of(replace(CALM, requests_per_minute=1))
    assert limits.admit(0, 0.0) is None
    refusals = [limits.admit(0, float(now)) for now in (10, 20, 59)]
    assert [refusal and refusal.wait_s for refusal in refusals] == [50, 40, 1]
    assert limits.admit(0, 60.0) is None


def test_facets_are_proposed_when_asked_for() -> None:
    plan = planned(call(text="Topic: Paris attractions\n\nSplit the topic into 5 facets: parts."))
    assert len(plan.text.splitlines()) == 5
    assert plan.entries == ()


def test_a_facet_is_split_when_asked_for() -> None:
    text = "Topic: Paris attractions\n\nSplit the facet into 3 facets: parts.\nFacet: Museums"
    names = planned(call(text=text)).text.splitlines()
    assert len(names) == 3
    assert all("useums" in name for name in names)


def test_a_model_says_so_when_there_are_no_further_facets() -> None:
    catalog = CatalogShelf().find("Paris attractions")
    assert catalog is not None
    known = "\n".join(catalog.facets())
    text = f"Topic: Paris attractions\n\nKnown facets:\n{known}\n\nName up to 5 further facets."
    assert planned(call(text=text)).text == "No more facets.\n"


def test_a_judge_is_right_about_as_often_as_its_accuracy_says() -> None:
    questions = (
        "Topic: Paris attractions\n\nWhich is the same entry?\n"
        "Entry: Louvre\n1. Louvre Museum\n2. Eiffel Tower\n"
        "Entry: Pont Neuf\n1. Pont Royal\n2. Pont Marie\n"
    )
    one = simulator()
    answers: Counter[tuple[str, str]] = Counter()
    for _ in range(200):
        plan = planned(call(replace(CALM, judge_accuracy=0.9), questions), one)
        answers.update(zip(("a", "b"), plan.text.split(), strict=True))
    assert answers[("a", "1")] / 200 == pytest.approx(0.9, abs=0.06)
    assert answers[("b", "none")] / 200 == pytest.approx(0.9, abs=0.06)


def test_the_cache_is_filled_when_the_answer_begins() -> None:
    one = simulator()
    atlas = replace(MODELS["atlas"], error_5xx_rate=0.0)
    long = call(atlas, PROMPT + "\n" * 8000)
    first = planned(long, one)
    assert planned(long, one).cache_use.read_tokens == 0
    one.answer_begins(first, now_s=1)
    assert planned(long, one, now_s=2).cache_use.read_tokens > 1024


def _record(number: int, model: str = "atlas") -> CallRecord:
    return CallRecord(f"id-{number}", model, "openai", 200, "ok", topic="Things", output_tokens=5)


def test_books_count_each_true_entry_once_and_name_what_was_off_topic() -> None:
    books = Books()
    books.record(_record(1), [WrittenEntry(1, 4), WrittenEntry(2, 8), WrittenEntry(None, 9)])
    books.record(_record(2, "swift"), [WrittenEntry(2, 4)], frozenset({2}))
    books.record(CallRecord("req-3", "swift", "openai", 429, "rate_limited"))
    summary = books.summary()
    assert summary["topics"] == {"Things": 2}
    assert summary["models"]["atlas"]["distinct"] == 2
    assert summary["models"]["atlas"]["off_topic"] == 1
    assert summary["models"]["swift"]["repeats_of_listed"] == 1
    assert summary["models"]["swift"]["calls_failed"] == 1
    assert summary["totals"]["entries_written"] == 4
    assert summary["totals"]["distinct"] == 2
    assert summary["totals"]["output_tokens"] == 10
    assert books.written_indices("Things") == {1, 2}
    assert books.written_indices("Things", "swift") == {2}


def test_calls_are_listed_page_by_page_each_once() -> None:
    books = Books()
    for number in range(5):
        books.record(_record(number))
    first = books.calls(after=0, limit=3)
    assert [each["number"] for each in first["calls"]] == [1, 2, 3]
    rest = books.calls(after=first["next"], limit=3)
    assert [each["id"] for each in rest["calls"]] == ["id-3", "id-4"]
    assert rest["next"] is None


def test_the_oldest_calls_are_dropped_and_said_so() -> None:
    books = Books()
    for number in range(CALLS_KEPT_MAX + 2):
        books.record(_record(number))
    listed = books.calls(after=0, limit=1)
    assert listed["dropped"] == 2
    assert listed["calls"][0]["number"] == 3
    assert books.summary()["totals"]["calls"] == CALLS_KEPT_MAX + 2


def test_the_figures_are_those_that_results_are_quoted_for() -> None:
    """The packaged file is a plain copy: defaults merged with each model's own."""
    assert set(load_models()) >= {"atlas", "swift", "sonata", "haiku", "wild", "dim", "reasoner"}
    dim, atlas = MODELS["dim"], MODELS["atlas"]
    assert (dim.off_topic_rate, atlas.off_topic_rate) == (0.08, 0.01)
    assert (atlas.knows, atlas.zipf, atlas.price_of) == (0.85, 0.8, "gpt-4o")
    assert MODELS["wild"].price_of == ""
