"""Which client speaks to which model. Imports an SDK only when a model needs it."""

from __future__ import annotations

from mesh.config import ApiKey, ModelSpec
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.sdk_http import CallTimeouts

DEFAULT_TIMEOUTS = CallTimeouts()


def open_client(
    model: ModelSpec, key: ApiKey | None, timeouts: CallTimeouts = DEFAULT_TIMEOUTS
) -> AdaptiveClient:
    """A client for `model`, an `LLMClient`; the caller closes it.

    Imports the SDK of the model's API on the first call (0.7 to 1.5 s of CPU); `preload` does so
    ahead.
    """
    if model.api == "openai":
        from mesh.llm.openai_chat import OpenAIChatClient

        return OpenAIChatClient(model, key, timeouts)
    from mesh.llm.anthropic_messages import AnthropicMessagesClient

    return AnthropicMessagesClient(model, key, timeouts)
