"""A check of models: one call through the real SDKs, and what it showed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mesh.config import Api, ApiKey
from mesh.llm.checking import check_lines, check_models
from tests.integration.llm_clients import APIS, KEY, client_at, error_body, good_events, model_at
from tests.integration.scripted_llm_server import (
    json_answer,
    openai_events,
    scripted_server,
    stream_answer,
)

pytestmark = pytest.mark.steady


@pytest.mark.parametrize("api", APIS)
async def test_the_providers_names_are_listed(api: Api) -> None:
    async with scripted_server() as server:
        server.names = ["atlas", "swift"]
        client = client_at(server, api)
        assert await client.model_names() == ["atlas", "swift"]
        await client.close()


@pytest.mark.parametrize("api", APIS)
async def test_a_check_reports_what_one_call_showed(api: Api) -> None:
    async with scripted_server(stream_answer(good_events(api, "Louvre"))) as server:
        model = model_at(server, api)
        (check,) = await check_models([model], {f"{api.upper()}_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok, check.streaming) == (True, True, True, True)
    assert "max_tokens" in check.sent_parameters
    assert check.cost_usd is None
    assert check.first_text_s is not None
    lines = check_lines(check)
    assert lines[0] == f"{api}:m: ok: it answers: Louvre"
    assert "  price: price unknown" in lines


async def test_a_check_goes_on_with_the_larger_cap_that_a_model_wants() -> None:
    message = "Could not finish the message because max_tokens or model output limit was reached."
    refused = json_answer(400, error_body("openai", "invalid_request_error", message))
    async with scripted_server(refused, stream_answer(openai_events("Louvre"))) as server:
        (check,) = await check_models([model_at(server, "openai")], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert check.ok
    assert [call.body["max_tokens"] for call in server.calls] == [64, 256]


async def test_a_check_reports_rate_limits_and_refusals_without_the_key() -> None:
    limits = {"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "200000"}
    answer = json_answer(401, error_body("openai", "x", f"Incorrect key: {KEY}"), limits)
    async with scripted_server(answer) as server:
        model = model_at(server, "openai")
        (check,) = await check_models([model], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok) == (False, False, None)
    assert check.limits == "500 requests, 200000 tokens a minute"
    assert "OPENAI_API_KEY" in check.message
    assert KEY not in repr(check)
    assert KEY not in "\n".join(check_lines(check))


async def test_a_check_of_an_unknown_name_says_that_the_key_is_good() -> None:
    answer = json_answer(404, error_body("openai", "x", "no", code="model_not_found"))
    async with scripted_server(answer) as server:
        (check,) = await check_models([model_at(server, "openai")], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok) == (False, True, False)


def test_importing_the_package_imports_neither_sdk() -> None:
    modules = ["interface", "clients", "selection", "defaults", "checking", "retrying", "pricing"]
    imports = "; ".join(f"import mesh.llm.{name}" for name in modules)
    slow = {"openai", "anthropic", "genai_prices"}
    code = f"import sys; {imports}; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
