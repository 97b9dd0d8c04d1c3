"""Lines or JSON: the schema of a structured answer, and which of both a model is asked for next.

A strict schema keeps headings, numbers and remarks out of an answer, but its quotes and brackets
cost tokens, and some models list less well under it: which is better differs from model to model.
How an API is told is the clients', how an answer is read parsing.py's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

ENTRIES_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"entries": {"type": "array", "items": {"type": "string"}}},
    "required": ["entries"],
    "additionalProperties": False,
}
"""One list of names. No bounds on its length: strict modes refuse them."""

_EXPLORATION = 0.1
"""Share of the usual yield by which a format that was tried little is favoured."""
_DISCOUNT = 0.97
"""What an earlier call counts for, beside the one after it: formats may suit at first only."""
_TREND_WEIGHT = 0.3
_RELATIVE_MAX = 3.0
"""Where next to nothing is left, one find among many calls says little about its format."""


@dataclass(slots=True)
class _Arm:
    """One format of one model: its calls so far, the later ones counting more."""

    calls: float = 0.0
    relative_yields: float = 0.0

    def optimistic(self, all_calls: float, exploration: float) -> float:
        if self.calls == 0:
            return math.inf
        bonus = exploration * math.sqrt(math.log(1 + all_calls) / self.calls)
        return self.relative_yields / self.calls + bonus


@dataclass(slots=True)
class _Model:
    lines: _Arm = field(default_factory=_Arm)
    json: _Arm = field(default_factory=_Arm)
    usual_yield: float | None = None
    """Unique entries an output token, over the latest calls in either format."""


@dataclass(slots=True)
class FormatChoice:
    """Chooses by live yield: unique entries an output token, rejected ones being tokens in vain.

    A yield counts relative to the model's latest ones, since all yields fall as a topic runs dry.
    Discounted UCB: Garivier & Moulines, "On Upper-Confidence Bound Policies for Switching Bandit
    Problems", ALT 2011.
    """

    _models: dict[str, _Model] = field(default_factory=dict)

    def choose(self, model: str, *, structured_possible: bool, cold_share: float = 0.0) -> bool:
        """Whether to ask `model` (its SPEC) for JSON; lines first, then whichever yields more.

        Args:
            cold_share: what a call costs more, as a share of a usual answer's cost, because its
                prompt is not in the cache: providers keep it for each format by itself. The dearer
                that is, the less is explored.
        """
        tried = self._models.get(model)
        if tried is None or not structured_possible:
            return False
        all_calls = tried.lines.calls + tried.json.calls
        exploration = _EXPLORATION / (1 + cold_share)
        by_json = tried.json.optimistic(all_calls, exploration)
        return by_json > tried.lines.optimistic(all_calls, exploration)

    def finished(
        self, model: str, structured: bool, *, unique_count: int, output_tokens: int
    ) -> None:
        """Note a finished call that was asked for JSON, or for lines.

        Args:
            unique_count: entries that nobody knew before.
            output_tokens: all that were paid for.
        """
        tried = self._models.setdefault(model, _Model())
        if output_tokens < 1:
            return
        brought = unique_count / output_tokens
        usual = tried.usual_yield
        relative = min(_RELATIVE_MAX, brought / usual) if usual else 1.0
        tried.usual_yield = brought if usual is None else usual + _TREND_WEIGHT * (brought - usual)
        for arm in (tried.lines, tried.json):
            arm.calls *= _DISCOUNT
            arm.relative_yields *= _DISCOUNT
        arm = tried.json if structured else tried.lines
        arm.calls += 1
        arm.relative_yields += relative
