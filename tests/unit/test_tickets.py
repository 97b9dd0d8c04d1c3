"""Tickets as text, and signatures."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.wire.signing import SigningKey, is_signed
from mesh.wire.tickets import PREFIX, BadTicket, JoinTicket

KEY = SigningKey(b"s" * 32)
TICKET = JoinTicket(
    b"r" * 16,
    NodeId(b"c" * 16),
    b"t" * 8,
    KEY,
    1_700_000_000_000,
    (Endpoint("tcp://10.0.0.1:5001", b"c" * 40), Endpoint("tcp://[fd00::1]:5001", b"d" * 40)),
)


def test_a_ticket_survives_its_text() -> None:
    assert JoinTicket.from_text(TICKET.text()) == TICKET
    assert TICKET.encrypted


def test_line_breaks_and_spaces_that_mail_adds_do_not_matter() -> None:
    text = TICKET.text()
    assert JoinTicket.from_text(f"  {text[:40]}\n {text[40:]}\r\n") == TICKET


def test_a_ticket_of_a_plaintext_run_says_so() -> None:
    plain = dataclasses.replace(TICKET, services=(Endpoint("tcp://127.0.0.1:5001"),))
    assert not JoinTicket.from_text(plain.text()).encrypted


@pytest.mark.parametrize(
    "text",
    ["", "hello", PREFIX, PREFIX + "AAAA", TICKET.text()[:-3], TICKET.text() + "A", "x" * 10_000],
)
def test_what_is_no_whole_ticket_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadTicket) as refused:
        JoinTicket.from_text(text)
    assert len(text) < 12 or text[11:] not in str(refused.value)


def test_a_ticket_of_another_version_says_what_to_do() -> None:
    """The first version named no collector: who joined by it had to believe whoever answered."""
    for word in ("topicmesh1-" + TICKET.text().removeprefix(PREFIX), "topicmesh12-AAAA"):
        with pytest.raises(BadTicket, match="the same version on all machines"):
            JoinTicket.from_text(word)


@given(st.integers(0, len(TICKET.text()) - 1), st.sampled_from("Aa09-_"))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    text = TICKET.text()
    mistyped = text[:place] + character + text[place + 1 :]
    if mistyped != text:
        with pytest.raises(BadTicket):
            JoinTicket.from_text(mistyped)


def test_neither_ticket_nor_key_shows_its_secret() -> None:
    assert "ssss" not in repr(TICKET)
    assert "73737373" not in repr(KEY)


def test_a_signature_holds_for_its_message_and_key_alone() -> None:
    signature = KEY.sign(b"message")
    assert is_signed(b"message", signature, KEY.public_key)
    assert not is_signed(b"Message", signature, KEY.public_key)
    assert not is_signed(b"message", signature[:-1] + b"x", KEY.public_key)
    assert not is_signed(b"message", signature, SigningKey.new().public_key)
    assert not is_signed(b"message", b"", KEY.public_key)
    assert not is_signed(b"message", signature, b"")
