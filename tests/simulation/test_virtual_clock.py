"""Time in the simulation: only calls pass it, in one order."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.virtual_clock import ProcessTimers, VirtualClock

Said = list[tuple[float, str]]


def noting(clock: VirtualClock) -> tuple[Said, Callable[[str], None]]:
    """What was said and when, and what says it."""
    said: Said = []
    return said, lambda word: said.append((clock.time(), word))


def test_calls_come_when_due_and_at_one_moment_in_the_order_in_which_they_were_asked_for() -> None:
    clock = VirtualClock()
    said, note = noting(clock)
    clock.call_later(2.0, note, "second")
    clock.call_later(1.0, note, "first")
    clock.call_later(2.0, note, "third")
    clock.run_until(3.0)
    assert said == [(1.0, "first"), (2.0, "second"), (2.0, "third")]
    assert clock.time() == 3.0


def test_what_a_call_asks_for_comes_in_the_same_run_if_it_is_due() -> None:
    clock = VirtualClock()
    said, note = noting(clock)
    clock.call_later(1.0, lambda: clock.call_later(0.5, note, "child"))
    clock.call_later(1.0, lambda: clock.call_later(5.0, note, "later"))
    clock.run_until(2.0)
    assert said == [(1.5, "child")]


def test_a_cancelled_call_does_not_come_and_time_never_goes_back() -> None:
    clock = VirtualClock()
    said, note = noting(clock)
    clock.call_later(1.0, note, "no").cancel()
    clock.run_until(2.0)
    clock.call_later(-5.0, note, "at once")
    clock.run_until(2.0)
    assert said == [(2.0, "at once")]


def test_a_paused_process_makes_up_for_its_calls_in_order_when_it_goes_on() -> None:
    clock = VirtualClock()
    said, note = noting(clock)
    process, other = ProcessTimers(clock), ProcessTimers(clock)
    for delay_s in (1.0, 2.0, 9.0):
        process.call_later(delay_s, note, f"due at {delay_s:g}")
    other.call_later(1.5, note, "another's")
    process.pause()
    clock.run_until(5.0)
    process.resume()
    clock.run_until(10.0)
    assert said == [(1.5, "another's"), (5.0, "due at 1"), (5.0, "due at 2"), (9.0, "due at 9")]


def test_an_ended_process_is_called_no_more_though_it_was_paused_and_is_resumed() -> None:
    clock = VirtualClock()
    said, note = noting(clock)
    process = ProcessTimers(clock)
    process.call_later(1.0, note, "no")
    process.pause()
    clock.run_until(2.0)
    process.end()
    process.resume()
    clock.run_until(3.0)
    assert said == []
