"""One question to one service, for who has no node yet.

A node asks through zmq_transport.py; this is for a machine that must learn first what to start.
It blocks, and tells apart why no answer came.
"""

from __future__ import annotations

import enum
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys, NoSuchKey, prove_keys
from mesh.wire.codec import FRAME_BYTES_MAX

_NUMBER = b"\x00" * 8
"""The asker's own number for its only question."""
_HANDSHAKE_FAILURES = {
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
    zmq.Event.HANDSHAKE_FAILED_AUTH,
}


class Silence(enum.Enum):
    """Why a service did not answer."""

    NOT_REACHED = "no connection"
    """Nothing listens there, or what is sent there does not arrive."""
    NOT_TRUSTED = "another program or key"
    """Something listens that does not prove to be that service, or that turns the asker away."""
    NO_ANSWER = "no answer"
    """It is connected, and says nothing."""


def ask(
    service: Endpoint, frame: bytes, *, curve: CurveKeys | None, timeout_s: float
) -> list[bytes] | Silence:
    """The parts of the service's answer, or why there is none.

    Args:
        curve: the asker's keys; None in plaintext runs.

    Raises:
        ValueError: `service` cannot be one.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
    socket = context.socket(zmq.DEALER)
    monitor = socket.get_monitor_socket(
        zmq.Event.HANDSHAKE_SUCCEEDED
        | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
        | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
        | zmq.Event.HANDSHAKE_FAILED_AUTH
        | zmq.Event.CONNECTED
    )
    try:
        _connect(socket, service, curve)
        socket.send_multipart([_NUMBER, frame])
        return _await_answer(socket, monitor, timeout_s)
    finally:
        socket.disable_monitor()
        monitor.close(linger=0)
        socket.close(linger=0)
        context.term()


def _connect(socket: zmq.Socket[bytes], service: Endpoint, curve: CurveKeys | None) -> None:
    options = {zmq.LINGER: 0, zmq.IPV6: 1, zmq.MAXMSGSIZE: FRAME_BYTES_MAX, zmq.RECONNECT_IVL: 100}
    for option, value in options.items():
        socket.setsockopt(option, value)
    try:
        prove_keys(socket, curve, service.curve_key)
        socket.connect(service.address)
    except (NoSuchKey, zmq.ZMQError) as error:
        raise ValueError(f"{service.address!r}: {error}") from error


def _await_answer(
    socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes], timeout_s: float
) -> list[bytes] | Silence:
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    silence = Silence.NOT_REACHED
    deadline_s = time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        ready = dict(poller.poll(int(left_s * 1000) + 1))
        if socket in ready:
            number, *answer = socket.recv_multipart(zmq.NOBLOCK)
            if number == _NUMBER and answer:
                return answer
        if monitor in ready:
            silence = _after(recv_monitor_message(monitor)["event"], silence)
    return silence


def _after(event: zmq.Event | int, silence: Silence) -> Silence:
    """What a silence means once `event` has happened."""
    if event == zmq.Event.HANDSHAKE_SUCCEEDED:
        return Silence.NO_ANSWER
    if event in _HANDSHAKE_FAILURES or silence is Silence.NOT_REACHED:
        # Connected, and so far nothing proves who is there.
        return Silence.NOT_TRUSTED
    return silence
