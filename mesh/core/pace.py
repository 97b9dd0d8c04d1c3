"""How a model writes: how soon it begins, how long an entry takes, how many tokens it is.

Measured from finished calls, so that what a call costs beside its entries can be told in entries.
What follows from that (how many to ask for, when to end an answer) is call_sizing's and
call_course's.
"""

from __future__ import annotations

from dataclasses import dataclass

WEIGHT = 0.2
"""Of the newest call."""
FIRST_TOKEN_S = 0.6
ENTRY_S = 0.08
ENTRY_TOKENS = 7.0
"""Before a model has been measured: a typical one."""


@dataclass(slots=True)
class ModelPace:
    """One model's, smoothed over some ten calls."""

    first_token_s: float = FIRST_TOKEN_S
    entry_s: float = ENTRY_S
    entry_tokens: float = ENTRY_TOKENS
    _measured: bool = False

    def finished(
        self, *, first_token_s: float | None, writing_s: float, entry_count: int, output_tokens: int
    ) -> None:
        """Learn from one call.

        Args:
            writing_s: from the first token to the end.
            entry_count: entries that it wrote, whatever became of them.
        """
        if first_token_s is None or entry_count == 0:
            return
        weight = WEIGHT if self._measured else 1.0
        self._measured = True
        self.first_token_s += weight * (first_token_s - self.first_token_s)
        self.entry_s += weight * (max(writing_s, 1e-6) / entry_count - self.entry_s)
        self.entry_tokens += weight * (max(1, output_tokens) / entry_count - self.entry_tokens)

    def overhead_entries(self, *, prompt_cost_tokens: float) -> float:
        """What a call costs beside its entries, in entries: the mean of what it costs in time and
        in money, since the list is to grow fast and cheaply.

        Args:
            prompt_cost_tokens: output tokens that cost as much as the prompt.
        """
        time_entries = self.first_token_s / max(1e-6, self.entry_s)
        money_entries = prompt_cost_tokens / max(1.0, self.entry_tokens)
        return (time_entries + money_entries) / 2
