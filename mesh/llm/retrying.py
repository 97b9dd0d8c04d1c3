"""How long to wait before a failed call is tried again, and when to stop trying.

Only the rule: the producer waits, builds a fresh prompt and logs each attempt as a call of its
own, so the SDKs' retries are off and tenacity's loop is not used, only its backoff.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tenacity import AsyncRetrying, RetryCallState
from tenacity.wait import wait_exponential

from mesh.llm.interface import ErrorKind, ProviderError

WAIT_FIRST_S = 0.5
WAIT_MAX_S = 30.0
ATTEMPTS_MAX = 8
RETRY_AFTER_MAX_S = 3_600.0


class FullJitter(wait_exponential):
    """A wait drawn evenly between 0 and a ceiling that doubles: 0.5, 1, 2, … 30 s.

    Tenacity's own `wait_random_exponential` draws from the global generator; this one from the
    generator it is given, so that a run can be repeated.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, random: Random) -> None:
        super().__init__(multiplier=WAIT_FIRST_S, max=WAIT_MAX_S)
        self._random = random

    def __call__(self, retry_state: RetryCallState) -> float:
        return self._random.uniform(0.0, super().__call__(retry_state))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The rule for one producer's calls."""

    random: Random
    attempts_max: int = ATTEMPTS_MAX
    """Failures in a row, the network's own aside, after which the model is given up."""
    retry_after_max_s: float = RETRY_AFTER_MAX_S
    """A server that asks for a longer wait than this is given up instead: a daily limit."""
    _jitter: FullJitter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_jitter", FullJitter(self.random))

    def after(self, error: ProviderError, consecutive_failures: int) -> float | None:
        """Seconds to wait before the next attempt; None when the model is to be given up.

        Args:
            error: of the call that has just failed.
            consecutive_failures: as `FailureStreak` counts them, this one included, >= 1.
        """
        if error.kind is ErrorKind.GIVE_UP:
            return None
        if error.kind is not ErrorKind.UNREACHABLE and consecutive_failures >= self.attempts_max:
            return None
        if error.kind is ErrorKind.SHORTEN_PROMPT:
            return 0.0
        asked_s = error.retry_after_s or 0.0
        if asked_s > self.retry_after_max_s:
            return None
        # The jitter comes on top: all producers were told to come back at the same moment.
        return asked_s + self._jitter(_attempt(consecutive_failures))


@dataclass(slots=True)
class FailureStreak:
    """Counts failures in a row, those of the network apart from those of the provider.

    Hours without a network must not use up the attempts of the first overload after it.
    """

    _count: int = 0
    _unreachable: bool = False

    def failed(self, error: ProviderError) -> int:
        """Count one failed call; returns how many of its sort have come in a row."""
        unreachable = error.kind is ErrorKind.UNREACHABLE
        self._count = self._count + 1 if unreachable == self._unreachable else 1
        self._unreachable = unreachable
        return self._count

    def succeeded(self) -> None:
        self._count = 0


def given_up(error: ProviderError, consecutive_failures: int) -> ProviderError:
    """What to report when `RetryPolicy.after` said None: the last reason, and how often it came."""
    if error.kind is ErrorKind.GIVE_UP:
        return error
    times = "once" if consecutive_failures == 1 else f"{consecutive_failures} times in a row"
    return ProviderError(
        ErrorKind.GIVE_UP, f"given up after failing {times}: {error}", status=error.status
    )


def _attempt(number: int) -> RetryCallState:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = max(1, number)
    return state
