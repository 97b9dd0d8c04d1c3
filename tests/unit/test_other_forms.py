"""What producers and plans make of other forms and of judgements."""

from __future__ import annotations

import pytest

from mesh.core import entries as log
from mesh.core.facets import FacetPlan
from mesh.core.items import LogId, NodeId
from mesh.core.known import KnownItems
from mesh.core.normalize import item_key
from mesh.wire import codec

LOG = LogId(NodeId(b"p" * 16), 1)
RUN = b"the run of tests"


def test_another_form_stays_known_and_prompts_name_it_no_more() -> None:
    known = KnownItems()
    known.add(item_key("Saint Louis"), "Saint Louis")
    known.merged(item_key("Saint Louis"))
    assert list(known.fresh()) == []
    assert item_key("Saint Louis") in known


@pytest.mark.parametrize("end_comes_first", [False, True])
def test_a_judgement_is_no_call_for_entries(end_comes_first: bool) -> None:
    plan = FacetPlan()
    started = log.CallStarted("m", 3, None, 5, "judgements")
    finished = log.CallFinished(1, "m", "ok", None, 1, 0, 1, 0, False, None, 1.0, None)
    said: list[tuple[int, log.LogEntry]] = [(1, started), (2, finished)]
    for seq, entry in reversed(said) if end_comes_first else said:
        plan.apply(LOG, seq, entry)
    assert plan.calls.entry_calls_count == 0
    assert plan.calls.calls_count(0) == 0
    assert plan.calls.latest == []


@pytest.mark.parametrize(
    "entry",
    [
        log.Merged(LOG.origin, 1, 1, 1, "two\nlines", "rule"),
        log.JudgementAsked(1, LOG.origin, (log.Question("two\nlines", ("fine",)),)),
        log.JudgementAsked(1, LOG.origin, (log.Question("fine", ("fine", "two\nlines")),)),
    ],
)
def test_forms_and_questions_that_are_no_clean_line_are_refused(entry: log.LogEntry) -> None:
    frame = codec.encode_entries([entry], run_id=RUN, log=LOG, first_seq=1, time_us=1)
    with pytest.raises(codec.BadFrame, match="clean line"):
        codec.decode_entries(frame, codec.decode_header(frame, RUN))
