"""Which models a run uses, and which key each may be sent: from `--model` and the environment.

Without `--model`, defaults.py asks the providers whose keys are there. Whether the run may cost
what these models cost is money.py's. Simulated models come in as an argument: the simulator is
no part of this package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.endpoints import is_official, is_plain_url, is_private_host, same_server
from mesh.llm.safe_text import safe_line

SimulatedModels = Mapping[str, tuple[Api, str]]
"""The simulator's models: name -> (wire format, real model whose price is charged or "")."""

DEFAULT_SIMULATED = ("atlas", "sonata", "swift", "haiku")
NAME_CHARACTERS_MAX = 200

KEY_VARIABLES: dict[Api, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
}
"""Where each provider's key is looked for, in this order."""
BASE_URL_VARIABLES: dict[Api, str] = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
}

_FORMS = "openai:NAME, anthropic:NAME, simulated:NAME, or NAME@http://host:port/v1"
_BY_ADDRESS = re.compile(r"(?P<name>[^,]*?)@(?P<url>https?:[^,]*)(?P<options>(?:,.*)?)", re.DOTALL)
_NAME = re.compile(r"[^\s,]+")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_KEY = re.compile(r"[!-~]+")


class ModelSelectionError(Exception):
    """The models asked for cannot be used; the message says what to do.

    The command line shows it and ends with `exit_status`: 2 for wrong use, 1 where a provider
    refuses.
    """

    def __init__(self, message: str, *, exit_status: int = 2) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, slots=True)
class Selection:
    """The models of a run."""

    models: tuple[ModelSpec, ...]
    notices: tuple[str, ...] = ()
    """Lines to show before the start, such as a provider left out and why."""


def models_from_specs(
    specs: Sequence[str],
    environment: Mapping[str, str],
    simulated: SimulatedModels,
    *,
    keys_needed: bool = True,
) -> tuple[ModelSpec, ...]:
    """The models that `--model SPEC …` names, each once, in the order given.

    Args:
        specs: at least one, as written by the user.
        environment: variables of the process over those of `.env`.
        simulated: what the simulator offers.
        keys_needed: whether they will be asked from this machine, with its keys.

    Raises:
        ModelSelectionError: a SPEC is wrong, or its key is missing.
    """
    models: dict[str, ModelSpec] = {}
    for spec in specs:
        for model in _models_of(spec.strip(), environment, simulated, keys_needed):
            if keys_needed:
                key_of(model, environment)
            models.setdefault(model.spec, model)
    return tuple(models.values())


def default_simulated_models(simulated: SimulatedModels) -> tuple[ModelSpec, ...]:
    """What `simulated` alone means: the usual four; all of a file that has other names."""
    usual = [name for name in DEFAULT_SIMULATED if name in simulated]
    return tuple(_simulated_model(name, simulated) for name in usual or simulated)


def provider_model(
    api: Api, name: str, environment: Mapping[str, str], *, key_needed: bool = True
) -> ModelSpec:
    """The model `name` of OpenAI or Anthropic, or of the server that OPENAI_BASE_URL names.

    Raises:
        ModelSelectionError: no key is there for a server that wants one.
    """
    url = base_url_from(api, environment)
    variable = key_variable_of(api, environment)
    if key_needed and variable is None and (url is None or not is_private_host(url)):
        wanted = KEY_VARIABLES[api][0]
        raise ModelSelectionError(
            f"{api}:{name} needs a key: set {wanted} in the environment or in .env, "
            "or try --model simulated"
        )
    return ModelSpec(f"{api}:{name}", api, name, base_url=url, key_variable=variable)


def key_variable_of(api: Api, environment: Mapping[str, str]) -> str | None:
    """The variable that holds the provider's key; None when there is no key."""
    return next((each for each in KEY_VARIABLES[api] if environment.get(each, "").strip()), None)


def base_url_from(api: Api, environment: Mapping[str, str]) -> str | None:
    """The server that the SDK's own variable names; None for the provider's."""
    variable = BASE_URL_VARIABLES[api]
    url = environment.get(variable, "").strip().rstrip("/")
    if url and not is_plain_url(url):
        raise ModelSelectionError(
            f"{variable} is no plain address: write http://host:port/path, or unset it"
        )
    return url or None


def key_of(model: ModelSpec, environment: Mapping[str, str]) -> ApiKey | None:
    """The key to send with calls to `model`; None when none is to be sent.

    Raises:
        ModelSelectionError: the variable is empty, or holds what cannot be a key.
    """
    if model.key_variable is None:
        return None
    value = environment.get(model.key_variable, "").strip()
    if not value:
        raise ModelSelectionError(
            f"{model.key_variable} is not set: {model.spec} needs the key that it should hold"
        )
    if _KEY.fullmatch(value) is None:
        raise ModelSelectionError(
            f"{model.key_variable} holds blanks or characters that no key has: set it again"
        )
    return ApiKey(value)


def may_receive(variable: str, url: str, environment: Mapping[str, str]) -> bool:
    """Whether the key in `variable` may go to `url`.

    A provider's own key goes to the provider, to the server its *_BASE_URL names, and to private
    hosts. Any other variable was named for this server by the user.
    """
    owner = next((api for api, names in KEY_VARIABLES.items() if variable in names), None)
    if owner is None or is_official(owner, url) or is_private_host(url):
        return True
    configured = base_url_from(owner, environment)
    return configured is not None and same_server(url, configured)


def _models_of(
    spec: str, environment: Mapping[str, str], simulated: SimulatedModels, keys_needed: bool
) -> Iterable[ModelSpec]:
    by_address = _BY_ADDRESS.fullmatch(spec)
    if by_address is not None:
        return [_addressed_model(by_address, environment)]
    if spec == "simulated":
        return default_simulated_models(simulated)
    provider, colon, name = spec.partition(":")
    if provider == "simulated" and colon:
        return [_simulated_model(name, simulated)]
    if provider not in KEY_VARIABLES or not colon:
        raise ModelSelectionError(_unknown_provider(spec))
    api: Api = "openai" if provider == "openai" else "anthropic"
    checked = _checked_name(name, spec)
    return [provider_model(api, checked, environment, key_needed=keys_needed)]


def _addressed_model(spec: re.Match[str], environment: Mapping[str, str]) -> ModelSpec:
    url = spec["url"].rstrip("/")
    if not is_plain_url(url):
        # The address is not repeated: it may hold a password.
        raise ModelSelectionError(
            "the address in --model NAME@URL must be http(s)://host:port/path, "
            "without user, query or blanks"
        )
    name = _checked_name(spec["name"], f"NAME@{url}")
    variable = _named_variable(spec["options"])
    if variable is None and environment.get("OPENAI_API_KEY", "").strip():
        variable = "OPENAI_API_KEY" if may_receive("OPENAI_API_KEY", url, environment) else None
    elif variable is not None and not may_receive(variable, url, environment):
        raise ModelSelectionError(
            f"{variable} is not sent to {url}: put that server's own key in another variable "
            f"and write --model {name}@{url},key=VARIABLE"
        )
    return ModelSpec(f"{name}@{url}", "openai", name, base_url=url, key_variable=variable)


def _named_variable(options: str) -> str | None:
    """The VARIABLE of `,key=VARIABLE`. What is wrong is not repeated: it may be a key."""
    if not options:
        return None
    name, _, variable = options.removeprefix(",").partition("=")
    if name.strip() != "key":
        raise ModelSelectionError(
            "after the address in --model NAME@URL only ,key=VARIABLE may follow"
        )
    if _VARIABLE.fullmatch(variable.strip()) is None:
        raise ModelSelectionError(
            "key= in --model NAME@URL,key=VARIABLE takes the name of an environment variable in "
            "capitals, never the key itself"
        )
    return variable.strip()


def _simulated_model(name: str, simulated: SimulatedModels) -> ModelSpec:
    if name not in simulated:
        near = difflib.get_close_matches(name, simulated, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(simulated)}"
        raise ModelSelectionError(f"unknown simulated model '{safe_line(name)}': {hint}")
    api, price_of = simulated[name]
    return ModelSpec(f"simulated:{name}", api, name, simulated=True, price_of=price_of)


def _checked_name(name: str, spec: str) -> str:
    if len(name) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(name) and name.isprintable():
        return name
    raise ModelSelectionError(f"--model {safe_line(spec)} lacks a model's name: write {_FORMS}")


def _unknown_provider(spec: str) -> str:
    shown = safe_line(spec) or "''"
    provider, colon, name = spec.partition(":")
    if colon:
        near = difflib.get_close_matches(provider, [*KEY_VARIABLES, "simulated"], 1)
        hint = f"did you mean {near[0]}:{safe_line(name)}?" if near else f"write {_FORMS}"
        return f"unknown provider '{safe_line(provider)}' in --model {shown}: {hint}"
    if spec.startswith(("gpt-", "o1", "o3", "o4", "chatgpt-")):
        return f"--model {shown} lacks its provider: did you mean openai:{shown}?"
    if spec.startswith("claude"):
        return f"--model {shown} lacks its provider: did you mean anthropic:{shown}?"
    return f"--model {shown} lacks its provider: write {_FORMS}"
