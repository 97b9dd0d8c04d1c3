"""The program's clients of models, at a server that a test scripts."""

from __future__ import annotations

import pytest

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.clients import open_client
from mesh.llm.interface import Prompt, ProviderError, StreamEvent
from tests.integration.scripted_llm_server import ScriptedServer, anthropic_events, openai_events

KEY = "sk-proj-Zx81kQpLm20Vt7"
PROMPT = Prompt("Topic: Paris attractions", ("Louvre\nOrsay",), "Panthéon", "Write up to 3.")
APIS: tuple[Api, ...] = ("openai", "anthropic")
TEXTS = ("Eiffel Tower\n", "Sacré-", "Cœur\n")


def model_at(server: ScriptedServer | str, api: Api, name: str = "m") -> ModelSpec:
    """A model of `api` at `server`, as OPENAI_BASE_URL or ANTHROPIC_BASE_URL would name it."""
    url = server if isinstance(server, str) else server.url
    base_url = f"{url}/v1" if api == "openai" else url
    return ModelSpec(f"{api}:{name}", api, name, base_url, f"{api.upper()}_API_KEY")


def client_at(server: ScriptedServer | str, api: Api, name: str = "m") -> AdaptiveClient:
    return open_client(model_at(server, api, name), ApiKey(KEY))


async def ask(client: AdaptiveClient, output_tokens_max: int = 100) -> list[StreamEvent]:
    return [event async for event in client.stream(PROMPT, output_tokens_max=output_tokens_max)]


async def collect(client: AdaptiveClient, events: list[StreamEvent]) -> None:
    """Add the answer's events to `events` as they come."""
    async for event in client.stream(PROMPT, output_tokens_max=100):
        events.append(event)


async def error_of(client: AdaptiveClient) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(client)
    await client.close()
    return caught.value


def good_events(api: Api, *texts: str) -> list[str]:
    return openai_events(*texts) if api == "openai" else anthropic_events(*texts)


def cut_events(api: Api, *texts: str) -> list[str]:
    """A stream without its end."""
    if api == "openai":
        return openai_events(*texts, finish=None, usage=None)[:-1]
    return anthropic_events(*texts, finish=None)


def error_body(api: Api, kind: str, message: str, **more: object) -> dict[str, object]:
    if api == "openai":
        return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}
    return {"type": "error", "error": {"type": kind, "message": message, **more}}
