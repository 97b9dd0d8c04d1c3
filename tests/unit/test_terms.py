"""How a machine that joins asks for the run's terms, and what it believes of the answer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mesh.config import RunTerms, SimulatorSettings, TokenPrices
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Endpoint
from mesh.nodes.channel import pack
from mesh.nodes.supervising.terms import (
    ASK_TIMEOUT_S,
    ROUNDS_MAX,
    NoTerms,
    ask_terms,
    checked_terms,
)
from mesh.transport.asking import Silence
from mesh.transport.curve import CurveKeys
from mesh.wire import codec, messages
from mesh.wire.codec import PROTOCOL_VERSION, FrameKind
from mesh.wire.signing import SigningKey, is_signed
from mesh.wire.tickets import JoinTicket

RUN = b"r" * 16
FIRST = Endpoint("tcp://10.0.0.1:7001", b"k" * 40)
SECOND = Endpoint("tcp://[fd00::2]:7003", b"l" * 40)
TICKET = JoinTicket(RUN, NodeId(b"c" * 16), b"t" * 8, SigningKey(b"s" * 32), 2_000, (FIRST, SECOND))
TERMS = RunTerms(
    run_id=RUN,
    topic="Birds",
    model_specs=("simulated:atlas",),
    simulator=SimulatorSettings(topic="Birds", time_scale=2, seed=3),
    alone_limit_s=60,
    seed=1,
    started_ms=5,
    has_budget=True,
    prices={"simulated:atlas": TokenPrices(0.15, 0.6, cached_input=0.075)},
)
REFUSED = FrameKind.REFUSED


def frame(kind: FrameKind, body: messages.Message, run_id: bytes = RUN) -> list[bytes]:
    log = LogId(NodeId(b"c" * 16), 1)
    return [codec.encode_frame(kind, messages.encode_body(body), run_id=run_id, log=log, time_us=0)]


def told(terms: RunTerms = TERMS) -> list[bytes]:
    return frame(FrameKind.TERMS, messages.Terms(json.dumps(pack(terms)).encode()))


def refused(reason: str) -> list[bytes]:
    return frame(REFUSED, messages.Refused(reason))


class Services:
    """Answers, by service, and who was asked with what."""

    def __init__(self, **answers: list[bytes] | Silence) -> None:
        self._answers = {FIRST: answers["first"], SECOND: answers["second"]}
        self.asked: list[Endpoint] = []
        self.questions: list[tuple[bytes, CurveKeys | None]] = []

    def __call__(
        self, service: Endpoint, question: bytes, curve: CurveKeys | None
    ) -> list[bytes] | Silence:
        self.asked.append(service)
        self.questions.append((question, curve))
        return self._answers[service]


def why_not(services: Services, ticket: JoinTicket = TICKET) -> str:
    with pytest.raises(NoTerms) as error:
        ask_terms(ticket, now_ms=1_000, ask=services)
    return str(error.value)


def test_the_first_service_that_answers_tells_the_terms() -> None:
    services = Services(first=told(), second=Silence.NOT_REACHED)
    assert ask_terms(TICKET, now_ms=1_000, ask=services) == (TERMS, FIRST)
    assert services.asked == [FIRST]


def test_a_ticket_works_as_long_as_one_of_its_nodes_lives() -> None:
    services = Services(first=Silence.NOT_REACHED, second=told())
    assert ask_terms(TICKET, now_ms=1_000, ask=services) == (TERMS, SECOND)


def test_the_question_proves_that_the_asker_holds_the_ticket_and_keeps_its_secret() -> None:
    services = Services(first=told(), second=told())
    ask_terms(TICKET, now_ms=1_000, ask=services)
    ((question, curve),) = services.questions
    header = codec.decode_header(question, RUN)
    asked = messages.decode_body(question, header, messages.AskTerms)
    assert curve is not None
    assert asked.curve_key == curve.public
    claim = messages.terms_claim(curve.public, RUN)
    assert is_signed(claim, asked.ticket_proof, TICKET.key.public_key)
    assert TICKET.key.seed not in question
    assert curve.secret not in question


def test_an_unencrypted_run_is_asked_without_keys() -> None:
    services = tuple(dataclasses.replace(each, curve_key=b"") for each in TICKET.services)
    plain = dataclasses.replace(TICKET, services=services)
    asked: list[CurveKeys | None] = []

    def ask(service: Endpoint, question: bytes, curve: CurveKeys | None) -> list[bytes]:
        asked.append(curve)
        return told()

    assert ask_terms(plain, now_ms=1_000, ask=ask)[0] == TERMS
    assert asked == [None]


def test_when_nobody_answers_the_addresses_and_ports_are_named() -> None:
    services = Services(first=Silence.NOT_REACHED, second=Silence.NO_ANSWER)
    text = why_not(services)
    assert "tcp://10.0.0.1:7001 (no connection)" in text
    assert "tcp://[fd00::2]:7003 (no answer)" in text
    assert "port 7001, 7003" in text
    assert services.asked == [FIRST, SECOND] * ROUNDS_MAX
    assert len(services.asked) * ASK_TIMEOUT_S <= 30, "a person waits no longer"


def test_whoever_does_not_hold_the_key_of_the_ticket_is_not_taken_for_the_run() -> None:
    services = Services(first=Silence.NOT_TRUSTED, second=Silence.NOT_TRUSTED)
    assert "does not hold the key that the ticket names" in why_not(services)


def test_an_expired_ticket_is_not_even_shown_to_anybody() -> None:
    services = Services(first=told(), second=told())
    with pytest.raises(NoTerms, match=r"expired on 19\d\d-\d\d-\d\d .*ask for a new one"):
        ask_terms(TICKET, now_ms=2_000, ask=services)
    assert services.asked == []


def test_the_most_telling_refusal_is_shown() -> None:
    """A node that has only just joined may not know the ticket yet; the collector does."""
    services = Services(
        first=refused("unknown_ticket: the join ticket is not of this run"),
        second=refused("revoked_ticket: the join ticket was revoked: ask for a new one"),
    )
    assert why_not(services).endswith("the join ticket was revoked: ask for a new one")


def test_another_protocol_version_is_answered_with_both() -> None:
    theirs = bytearray(refused("version")[0])
    theirs[4] = 9
    text = why_not(Services(first=[bytes(theirs)], second=told()))
    assert f"speaks protocol version 9, this machine {PROTOCOL_VERSION}" in text
    assert "the same version" in text


def test_another_run_at_the_same_address_is_told_apart() -> None:
    other = frame(REFUSED, messages.Refused("run: other"), run_id=b"o" * 16)
    assert "is a node of another run" in why_not(Services(first=other, second=told()))


@pytest.mark.parametrize("answer", [b"", b"nonsense", told()[0][:-3], told()[0] + b"x"])
def test_what_cannot_be_read_is_named_with_its_address(answer: bytes) -> None:
    text = why_not(Services(first=[answer], second=told()))
    assert text.startswith("tcp://10.0.0.1:7001 answers what cannot be read")


def test_terms_that_are_no_terms_are_not_believed() -> None:
    for terms in (b"", b"[]", b"{}", b"[" * 100_000, b'{"run_id": 3}'):
        answer = frame(FrameKind.TERMS, messages.Terms(terms))
        assert "cannot be read" in why_not(Services(first=answer, second=told()))


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": b"o" * 16},
        {"topic": "two\nlines"},
        {"topic": ""},
        {"topic": "x" * 201},
        {"model_specs": ()},
        {"model_specs": ("simulated:atlas",) * 101},
        {"model_specs": ("x" * 401,)},
        {"model_specs": ("a\x1b[31m",)},
        {"alone_limit_s": float("nan")},
        {"alone_limit_s": -1.0},
        {"seed": -1},
        {"seed": 2**63},
        {"started_ms": -1},
        {"prices": {"openai:another": TokenPrices(1.0, 1.0)}},
        {"prices": {"simulated:atlas": TokenPrices(-1.0, 1.0)}},
        {"prices": {"simulated:atlas": TokenPrices(1.0, 1.0, cached_input=float("nan"))}},
        {"simulator": SimulatorSettings(time_scale=0)},
        {"simulator": SimulatorSettings(time_scale=float("inf"))},
        {"simulator": SimulatorSettings(seed=-1)},
    ],
)
def test_values_that_no_run_has_are_not_believed(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no run has"):
        checked_terms(dataclasses.replace(TERMS, **change), RUN)


def test_files_and_ports_of_the_other_machine_mean_nothing_here() -> None:
    """Or a run could have another machine read its files, or listen on its networks."""
    simulator = SimulatorSettings(
        host="0.0.0.0",
        port=80,
        topic="Birds",
        catalog_files=(Path("/etc/passwd"),),
        models_file=Path("/etc/passwd"),
        time_scale=2,
        seed=3,
    )
    checked = checked_terms(dataclasses.replace(TERMS, simulator=simulator), RUN)
    assert checked.simulator == SimulatorSettings(topic="Birds", time_scale=2, seed=3)
