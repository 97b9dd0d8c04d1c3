"""What a producer makes of the collector's control, in whatever order it arrives."""

from __future__ import annotations

from mesh.nodes.producing.orders import ControlHeard


def test_what_was_said_later_holds_whatever_comes_first() -> None:
    control = ControlHeard(since_ms=100)
    assert control.is_news("state", (200, 5))
    assert not control.is_news("state", (200, 4))
    assert not control.is_news("state", (200, 5))
    assert control.is_news("state", (300, 1)), "a later start of the collector"


def test_each_matter_has_its_own_order() -> None:
    control = ControlHeard(since_ms=100)
    assert control.is_news("state", (200, 5))
    assert control.is_news("dismissal", (200, 2))


def test_what_an_earlier_start_of_the_run_was_told_is_history() -> None:
    control = ControlHeard(since_ms=100)
    assert not control.is_news("dismissal", (99, 7))
    assert control.is_news("dismissal", (100, 1))
