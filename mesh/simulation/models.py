"""The simulated models: their figures as values, read from TOML and checked.

`simulated_models.toml` holds the models that results are quoted for, its head defines what each
figure means; `odd_models.toml` adds one model for each way in which real models differ. How a
figure is acted upon is drawing.py's, writing.py's, faults.py's and the two APIs'.
"""

from __future__ import annotations

import difflib
import importlib.resources
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from mesh.config import Api

AnswerFormat = Literal[
    "numbered", "bullets", "plain", "chatty", "json", "fenced", "described", "table"
]
CacheRule = Literal["prefix", "breakpoints"]
LimitKind = Literal["sliding", "bucket", "window"]

_MODELS_FILE = "simulated_models.toml"
_ODD_MODELS_FILE = "odd_models.toml"
_SHARES = frozenset(
    {
        "knows",
        "suppress",
        "suppress_min",
        "obey",
        "judge_accuracy",
        "facet_overlap",
        "facet_miss",
        "shared_knowledge",
        "self_repeats",
    }
)
_REQUIRED = ("api", "knows", "taste", "suppress", "obey", "ttft_s", "tokens_per_s", "format")


class ModelsUnusable(Exception):
    """A models file cannot be used; the message says where and why. The command line shows it."""


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model. Rates are shares of answers or entries in 0..1; the TOML's head has the rest."""

    name: str
    api: Api
    knows: float
    taste: float
    suppress: float
    obey: float
    ttft_s: float
    """Mean time to the first token, in simulated seconds."""
    tokens_per_s: float
    format: AnswerFormat
    price_of: str = ""
    zipf: float = 0.8
    suppress_drop: float = 0.03
    suppress_min: float = 0.70
    suppress_onset: int = 100
    shared_knowledge: float = 0.0
    self_repeats: float = 0.0
    alias_rate: float = 0.0
    case_rate: float = 0.0
    accent_rate: float = 0.0
    article_rate: float = 0.0
    off_topic_rate: float = 0.0
    refusal_rate: float = 0.0
    empty_rate: float = 0.0
    cut_stream_rate: float = 0.0
    error_429_rate: float = 0.0
    error_5xx_rate: float = 0.0
    facet_overlap: float = 0.15
    facet_miss: float = 0.15
    judge_accuracy: float = 0.95
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    limit_kind: LimitKind = "sliding"
    slows_down_at: int = 0
    context_tokens: int = 128_000
    rejects: tuple[str, ...] = ()
    unrecognized: tuple[str, ...] = ()
    streams: bool = True
    credit: bool = True
    reasoning_tokens: int = 0
    output_tokens_max: int = 0
    cache: CacheRule | None = None
    """None: as the API's usual models."""
    cache_tokens_min: int = 1024
    filtered: bool = False
    fails_in_stream: bool = False

    @property
    def caches_at_breakpoints(self) -> bool:
        return (self.cache or ("prefix" if self.api == "openai" else "breakpoints")) != "prefix"

    def suppression(self, listed_count: int) -> float:
        """s of the TOML's head: the chance that a listed entry is passed over."""
        if listed_count <= self.suppress_onset:
            return self.suppress
        fallen = self.suppress - self.suppress_drop * math.log2(listed_count / self.suppress_onset)
        return max(self.suppress_min, fallen)


def load_models(path: Path | None = None) -> dict[str, SimulatedModel]:
    """Every model that a server with models file `path` offers, the odd ones last.

    Raises:
        ModelsUnusable: the file cannot be read, or a figure is missing, unknown or out of range.
    """
    usual = _usual_models(path)
    odd = _models_in(_packaged(_ODD_MODELS_FILE), _ODD_MODELS_FILE)
    return usual | {name: model for name, model in odd.items() if name not in usual}


def model_choices(path: Path | None = None) -> dict[str, tuple[Api, str]]:
    """What `--model simulated:NAME` may name: name -> (wire format, model whose price is charged).

    With a models file of the user's own these are its models alone. Raises ModelsUnusable.
    """
    models = load_models() if path is None else _usual_models(path)
    return {name: (model.api, model.price_of) for name, model in models.items()}


def _usual_models(path: Path | None) -> dict[str, SimulatedModel]:
    if path is None:
        return _models_in(_packaged(_MODELS_FILE), _MODELS_FILE)
    try:
        return _models_in(path.read_bytes(), str(path))
    except OSError as error:
        raise ModelsUnusable(
            f"cannot read models file {path}: {error.strerror or error}"
        ) from error


def _packaged(name: str) -> bytes:
    return importlib.resources.files("mesh.simulation").joinpath(name).read_bytes()


def _models_in(raw: bytes, where: str) -> dict[str, SimulatedModel]:
    try:
        document = tomllib.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelsUnusable(f"models file {where}: {error}") from error
    defaults, models = document.get("defaults", {}), document.get("models", {})
    if not isinstance(defaults, dict) or not isinstance(models, dict) or not models:
        raise ModelsUnusable(f"models file {where} holds no [models.NAME]")
    return {
        name: _model(name, {**defaults, **_table(figures, name, where)}, where)
        for name, figures in models.items()
    }


def _table(figures: object, name: str, where: str) -> dict[str, Any]:
    if not isinstance(figures, dict):
        raise ModelsUnusable(f"models file {where}: models.{name} is not a table")
    return figures


def _model(name: str, figures: Mapping[str, Any], where: str) -> SimulatedModel:
    known = {each.name: str(each.type) for each in fields(SimulatedModel) if each.name != "name"}
    for missing in (figure for figure in _REQUIRED if figure not in figures):
        raise ModelsUnusable(f"models file {where}: models.{name} lacks {missing}")
    checked: dict[str, Any] = {}
    for figure, value in figures.items():
        if figure not in known:
            near = difflib.get_close_matches(figure, known, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ModelsUnusable(f"models file {where}: unknown figure {figure} of {name}{hint}")
        fault = _fault(figure, known[figure], value)
        if fault:
            raise ModelsUnusable(
                f"models file {where}: models.{name}.{figure} = {value!r}: {fault}"
            )
        checked[figure] = tuple(value) if isinstance(value, list) else value
    return SimulatedModel(name=name, **checked)


def _fault(figure: str, kind: str, value: object) -> str:
    """What is wrong with a figure; "" when nothing is."""
    choices: dict[str, tuple[str, ...]] = {
        "api": get_args(Api),
        "format": get_args(AnswerFormat),
        "cache": get_args(CacheRule),
        "limit_kind": get_args(LimitKind),
    }
    if figure in choices:
        return "" if value in choices[figure] else f"one of {', '.join(choices[figure])}"
    if kind == "bool":
        return "" if isinstance(value, bool) else "true or false"
    if kind == "str":
        return "" if isinstance(value, str) else "a text"
    if kind.startswith("tuple"):
        is_texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return "" if is_texts else "a list of texts"
    if isinstance(value, bool) or not isinstance(value, int if kind == "int" else int | float):
        return "a whole number" if kind == "int" else "a number"
    return _range_fault(figure, value)


def _range_fault(figure: str, value: float) -> str:
    if figure in _SHARES or figure.endswith("_rate"):
        return "" if 0 <= value <= 1 else "a share between 0 and 1"
    if figure in {"tokens_per_s", "context_tokens", "suppress_onset"}:
        return "" if 0 < value < math.inf else "more than 0"
    return "" if 0 <= value < math.inf else "0 or more"
