"""When an answer that is still streaming in is ended, because another call would bring more.

The marginal value theorem: leave a patch when what it still yields falls below the average of
the whole journey, travel between patches included (Charnov, "Optimal foraging, the marginal
value theorem", Theoretical Population Biology 9, 1976). A patch is an answer, travel is a call's
prompt and its time to first token. Near the end of a topic the average is low and nothing is cut
but loops and chatter. Who closes the stream is the caller.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field

ENTRIES_MIN = 6
"""Written before an answer is cut for repeats."""

DISCOUNT = 0.93
"""Of an entry's weight with each later one: the last fourteen or so count."""

CERTAINTY = 2.0
"""Standard deviations by which the share must be below the average. The question is put after
every entry, so some run of repeats will come by chance, and a needless cut costs a whole call's
overhead."""

PRIOR_ENTRIES = 6.0
"""Weight of what was expected, at the answer's start."""

LOOP_ENTRIES = 12
"""So many in a row that this answer has written before are a loop."""

CHATTER_CHARACTERS_MAX = 1_500
"""Without an entry, once there was one."""

OPENING_CHARACTERS_MAX = 8_000
"""Before the first entry: some models think aloud there."""

TAIL_ENTRIES = 12
"""The end of an answer, as far as the next call's size depends on it."""

AVERAGE_DISCOUNT = 0.97
"""Of a call's weight in the run's average with each later one: the last thirty or so count."""

AVERAGE_PRIOR_ENTRIES = 40.0
AVERAGE_PRIOR_SHARE = 0.3
"""Before the first calls have ended little is expected, so little is cut."""


class Cut(enum.StrEnum):
    """Why an answer is ended."""

    REPEATS = "repeats"
    LOOP = "loop"
    CHATTER = "chatter"


@dataclass(slots=True)
class AverageYield:
    """Unique entries for each entry's worth of effort over the latest calls, overhead included.

    Fed with the calls that a node hears of; all models together, or one.
    """

    _gain: float = AVERAGE_PRIOR_SHARE * AVERAGE_PRIOR_ENTRIES
    _effort: float = AVERAGE_PRIOR_ENTRIES

    def finished(self, unique_count: int, written_count: int, overhead_entries: float) -> None:
        self._gain = self._gain * AVERAGE_DISCOUNT + unique_count
        self._effort = self._effort * AVERAGE_DISCOUNT + written_count + overhead_entries

    @property
    def share(self) -> float:
        return self._gain / self._effort


@dataclass(slots=True)
class CallCourse:
    """One answer as it comes."""

    average_share: float
    """AverageYield.share: what another call would bring for the same effort."""
    expected_share: float | None = None
    """New entries expected of this call at its start; None: the average."""
    entry_count: int = 0
    _new: float = field(init=False)
    _weight: float = PRIOR_ENTRIES
    _tail: deque[bool] = field(default_factory=lambda: deque(maxlen=TAIL_ENTRIES))
    _written: set[bytes] = field(default_factory=set)
    _own_repeats_in_a_row: int = 0
    _characters_since_entry: int = 0

    def __post_init__(self) -> None:
        expected = self.average_share if self.expected_share is None else self.expected_share
        self._new = PRIOR_ENTRIES * expected

    def entry(self, key: bytes, is_new: bool) -> None:
        """The answer holds an entry, new to all that is known or not."""
        self.entry_count += 1
        self._new = self._new * DISCOUNT + is_new
        self._weight = self._weight * DISCOUNT + 1.0
        self._tail.append(is_new)
        self._own_repeats_in_a_row = self._own_repeats_in_a_row + 1 if key in self._written else 0
        self._written.add(key)
        self._characters_since_entry = 0

    def characters(self, count: int) -> None:
        """So many characters came; those that complete an entry are said before it."""
        self._characters_since_entry += count

    @property
    def share(self) -> float:
        """New ones among the entries to expect next."""
        return self._new / self._weight

    @property
    def tail_share(self) -> float:
        """New ones among the last entries written; of an answer without any, 0."""
        return sum(self._tail) / len(self._tail) if self._tail else 0.0

    def verdict(self) -> Cut | None:
        """Why to end the answer now; None: let it go on."""
        if self._own_repeats_in_a_row >= LOOP_ENTRIES:
            return Cut.LOOP
        is_begun = self.entry_count > 0
        silence_max = CHATTER_CHARACTERS_MAX if is_begun else OPENING_CHARACTERS_MAX
        if self._characters_since_entry > silence_max:
            return Cut.CHATTER
        if self.entry_count >= ENTRIES_MIN and self._is_below_average():
            return Cut.REPEATS
        return None

    def _is_below_average(self) -> bool:
        deviation = math.sqrt(self.share * (1.0 - self.share) / self._weight)
        return self.share + CERTAINTY * deviation < self.average_share
