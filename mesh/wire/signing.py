"""Ed25519: who said it. Nothing here knows frames, members or tickets.

PyNaCl (libsodium) does the work; it is loaded by the first key, since runs on one machine sign
nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
VERIFIERS_MAX = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Shown by nothing: its seed is left out of repr."""

    seed: bytes = field(repr=False)
    _key: Any = field(init=False, repr=False, compare=False)
    public_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        from nacl.signing import SigningKey as SodiumKey

        key = SodiumKey(self.seed)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "public_key", bytes(key.verify_key))

    @classmethod
    def new(cls) -> SigningKey:
        return cls(secrets.token_bytes(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        signature: bytes = self._key.sign(message).signature
        return signature


def is_signed(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether the holder of `public_key` signed `message`; False also for what is no key."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    from nacl.exceptions import CryptoError

    try:
        _verifier(public_key).verify(message, signature)
    except (CryptoError, ValueError):
        return False
    return True


@lru_cache(maxsize=VERIFIERS_MAX)
def _verifier(public_key: bytes) -> Any:
    from nacl.signing import VerifyKey

    return VerifyKey(public_key)
