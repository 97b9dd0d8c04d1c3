"""CURVE keys, and sockets that demand or prove them. Who may connect is the gate's decision."""

from __future__ import annotations

from dataclasses import dataclass, field

import zmq

from mesh.transport.sockets import Socket

KEY_CHARACTERS = 40
"""32 bytes in Z85, ZeroMQ's text form of keys."""


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """A node's key pair, both halves in Z85. Shown by nothing: the secret is left out of repr."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> CurveKeys:
        return cls(*zmq.curve_keypair())


class NoSuchKey(Exception):
    """A peer's key that is none, or plaintext where keys are demanded, or the reverse."""


def demand_keys(socket: Socket, keys: CurveKeys, domain: bytes) -> None:
    """Have `socket`, before it is bound, let in only whom the gate admits to `domain`.

    Without a gate in the socket's context nobody gets in, such as while a node closes.
    """
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, domain)
    # Else whoever has any key gets in where there is no gate.
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def prove_keys(socket: Socket, keys: CurveKeys | None, server_key: bytes) -> None:
    """Have the next connect of `socket` reach only the holder of `server_key`.

    Args:
        keys: this node's; None in plaintext runs, where `server_key` must be empty too. An
            encrypted node never falls back to plaintext: anyone could answer then.

    Raises:
        NoSuchKey: `server_key`, which comes from a peer, is none.
    """
    if keys is None:
        if server_key:
            raise NoSuchKey("the peer demands a key, this node has none")
        return
    if len(server_key) != KEY_CHARACTERS:
        raise NoSuchKey("the peer has no key")
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    try:
        socket.setsockopt(zmq.CURVE_SERVERKEY, server_key)
    except (zmq.ZMQError, ValueError) as error:
        raise NoSuchKey(f"{server_key!r} is no key") from error
