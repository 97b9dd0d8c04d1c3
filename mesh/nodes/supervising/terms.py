"""How a machine that wants to join learns what the run is: from any node that its ticket names.

What it is told is checked before anything is believed; which models this machine can and will
call is decided elsewhere, by its own rules.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from mesh.config import RunTerms, SimulatorSettings, TokenPrices
from mesh.core.items import NODE_ID_BYTES, LogId, NodeId
from mesh.core.membership import Endpoint
from mesh.core.normalize import clean_text
from mesh.nodes.channel import unpack
from mesh.transport.asking import Silence, ask
from mesh.transport.curve import CurveKeys
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameKind
from mesh.wire.tickets import JoinTicket

ASK_TIMEOUT_S = 2.0
ROUNDS_MAX = 2
"""So often each service is asked: a collector that is just starting again gets a second chance."""
MODEL_SPECS_MAX = 100
SPEC_CHARACTERS_MAX = 400
TOPIC_CHARACTERS_MAX = 200
TIME_SCALE_MAX = 10_000.0
PRICE_USD_MAX = 1e6
"""Of a million tokens."""
_REASON_CHARACTERS_MAX = 300

Ask = Callable[[Endpoint, bytes, CurveKeys | None], list[bytes] | Silence]


class NoTerms(Exception):
    """This machine cannot join; the message says why and what to do."""


class _Refused(Exception):
    """A service that was asked says no."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.word, _, self.explanation = reason.partition(": ")


def _ask(service: Endpoint, frame: bytes, curve: CurveKeys | None) -> list[bytes] | Silence:
    return ask(service, frame, curve=curve, timeout_s=ASK_TIMEOUT_S)


def ask_terms(ticket: JoinTicket, *, now_ms: int, ask: Ask = _ask) -> tuple[RunTerms, Endpoint]:
    """The run's terms, and who told them.

    Raises:
        NoTerms: the ticket holds no more, or nobody answers, or only with a refusal.
    """
    if ticket.expires_ms <= now_ms:
        raise NoTerms(_expired(ticket))
    curve = CurveKeys.new() if ticket.encrypted else None
    refusals: list[_Refused] = []
    silences: dict[Endpoint, Silence] = {}
    for service in ticket.services * ROUNDS_MAX:
        try:
            answer = ask(service, _question(ticket, curve), curve)
        except ValueError as error:
            raise NoTerms(f"the join ticket names what is no node's: {error}") from error
        if isinstance(answer, Silence):
            silences[service] = answer
            continue
        try:
            return _read(answer, ticket), service
        except _Refused as refusal:
            refusals.append(refusal)
        except BadFrame as error:
            raise NoTerms(_unreadable(error, answer[0], service)) from error
    if refusals:
        raise NoTerms(_refusal(refusals))
    raise NoTerms(_nobody(silences))


def _question(ticket: JoinTicket, curve: CurveKeys | None) -> bytes:
    public = curve.public if curve else b""
    proof = ticket.key.sign(messages.terms_claim(public, ticket.run_id))
    return codec.encode_frame(
        FrameKind.ASK_TERMS,
        messages.encode_body(messages.AskTerms(ticket.ticket_id, public, proof)),
        run_id=ticket.run_id,
        # It has no node yet, so it asks in nobody's name.
        log=LogId(NodeId(secrets.token_bytes(NODE_ID_BYTES)), 0),
        time_us=time.time_ns() // 1000,
    )


def _read(answer: list[bytes], ticket: JoinTicket) -> RunTerms:
    header = codec.decode_header(answer[0], ticket.run_id)
    if header.kind is FrameKind.REFUSED:
        raise _Refused(messages.decode_body(answer[0], header, messages.Refused).reason)
    if header.kind is not FrameKind.TERMS:
        raise BadFrame("kind", header.kind.name)
    terms = messages.decode_body(answer[0], header, messages.Terms).terms
    try:
        return checked_terms(unpack(json.loads(terms), RunTerms), ticket.run_id)
    except (ValueError, RecursionError) as error:
        raise BadFrame("terms", str(error)[:_REASON_CHARACTERS_MAX]) from error


def checked_terms(terms: RunTerms, run_id: bytes) -> RunTerms:
    """Terms as they may be used here: files and ports of the other machine mean nothing here.

    Raises:
        ValueError: a value that no run of ours has.
    """
    sound = (
        terms.run_id == run_id
        and clean_text(terms.topic) == terms.topic
        and len(terms.topic) <= TOPIC_CHARACTERS_MAX
        and 0 < len(terms.model_specs) <= MODEL_SPECS_MAX
        and all(_is_sound_spec(spec) for spec in terms.model_specs)
        and math.isfinite(terms.alone_limit_s)
        and terms.alone_limit_s >= 0
        and 0 <= terms.seed < 2**63
        and 0 <= terms.started_ms < 2**63
        and terms.prices.keys() <= set(terms.model_specs)
        and all(_is_sound_price(prices) for prices in terms.prices.values())
    )
    if not sound:
        raise ValueError("a value that no run has")
    simulator = terms.simulator
    if simulator is not None:
        if not 0 < simulator.time_scale <= TIME_SCALE_MAX or not 0 <= simulator.seed < 2**63:
            raise ValueError("simulated models as no run has them")
        simulator = SimulatorSettings(
            topic=terms.topic, time_scale=simulator.time_scale, seed=simulator.seed
        )
    return dataclasses.replace(terms, simulator=simulator)


def _is_sound_price(prices: TokenPrices) -> bool:
    each = (prices.input, prices.output, prices.cached_input, prices.cache_write)
    return all(price is None or 0 <= price <= PRICE_USD_MAX for price in each)


def _is_sound_spec(spec: str) -> bool:
    return 0 < len(spec) <= SPEC_CHARACTERS_MAX and spec.isprintable()


def _expired(ticket: JoinTicket) -> str:
    seconds = min(ticket.expires_ms / 1000, 253_402_300_799)
    expired = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
    return (
        f"the join ticket expired on {expired:%Y-%m-%d at %H:%M} by this machine's clock: "
        "ask for a new one, which the collector prints when it is started with --new-ticket"
    )


def _refusal(refusals: list[_Refused]) -> str:
    """The most telling of the refusals, for a person."""
    # A node that has itself just joined may not have heard of the ticket or the terms yet.
    told = min(refusals, key=lambda each: each.word in ("unknown_ticket", "no_terms"))
    return f"the run lets nobody in with this ticket: {told.explanation or told.word}"


def _unreadable(error: BadFrame, frame: bytes, service: Endpoint) -> str:
    theirs = codec.version_of(frame)
    if error.reason == "version" and theirs is not None:
        return (
            f"{service.address} speaks protocol version {theirs}, this machine "
            f"{codec.PROTOCOL_VERSION}: use the same version of Topic Mesh on all machines"
        )
    if error.reason == "run":
        return f"{service.address} is a node of another run: ask for that run's own ticket"
    return f"{service.address} answers what cannot be read ({error})"


def _nobody(silences: dict[Endpoint, Silence]) -> str:
    """Which addresses were tried and what may stand in between."""
    tried = ", ".join(f"{each.address} ({why.value})" for each, why in silences.items())
    ports = ", ".join(str(urlsplit(each.address).port) for each in silences)
    if all(why is Silence.NOT_TRUSTED for why in silences.values()):
        return (
            f"whoever listens at {tried} does not hold the key that the ticket names: "
            "is the ticket of this run? Ask for a new one"
        )
    return (
        f"nobody answers at {tried}: is the collector running, and do firewalls on the way let "
        f"TCP connections to port {ports} through?"
    )
