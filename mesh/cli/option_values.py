"""One option's text -> its value, or a line that says what it should be.

Used for command line and config file alike. Whether options go together is parsing.py's.
"""

from __future__ import annotations

import ipaddress
import math
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mesh.config import PEERS_MAX, TARGET_MAX
from mesh.core.normalize import clean_text

CONCURRENCY_MAX = 64
PORT_MAX = 65_535
SEED_MAX = 2**63 - 1
TIME_SCALE_MAX = 10_000.0
TICKET_EXPIRES_H_MAX = 24.0 * 366
TOPIC_CHARACTERS_MAX = 200
_SHOWN_CHARACTERS_MAX = 80
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def topic(text: str) -> str:
    """One clean line of 1..200 characters."""
    cleaned = clean_text(text)
    if cleaned is not None and len(cleaned) <= TOPIC_CHARACTERS_MAX:
        return cleaned
    if not text.strip():
        raise ArgumentTypeError('it is empty: write what to explore, such as "Paris attractions"')
    raise ArgumentTypeError(
        f"{_shown(text)} is no topic: write one line of 1 to {TOPIC_CHARACTERS_MAX} characters"
    )


def peers(text: str) -> int:
    return _whole_number(text, 1, PEERS_MAX)


def concurrency(text: str) -> int:
    return _whole_number(text, 1, CONCURRENCY_MAX)


def target(text: str) -> int:
    return _whole_number(text, 1, TARGET_MAX)


def line_count(text: str) -> int:
    return _whole_number(text, 1, 10_000_000)


def port(text: str) -> int:
    return _whole_number(text, 0, PORT_MAX)


def seed(text: str) -> int:
    return _whole_number(text, 0, SEED_MAX)


def budget_usd(text: str) -> float | Literal["none"]:
    if text.strip().lower() == "none":
        return "none"
    try:
        return _positive_number(text.strip().removeprefix("$"))
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            f"{_shown(text)} is no amount of dollars above 0, such as 2.50, nor none for no cap"
        ) from error


def max_cost_per_item_usd(text: str) -> float:
    try:
        return _positive_number(text.strip().removeprefix("$"))
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            f"{_shown(text)} is no amount of dollars above 0, such as 0.002"
        ) from error


def time_limit_s(text: str) -> float:
    return _positive_number(text)


def time_scale(text: str) -> float:
    value = _positive_number(text)
    if value > TIME_SCALE_MAX:
        raise ArgumentTypeError(f"{_shown(text)} is more than {TIME_SCALE_MAX:g}")
    return value


def path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ArgumentTypeError("it is empty: write a path")
    return Path(text).expanduser()


def mesh_host(text: str) -> str:
    """An address of this machine, or of all its networks."""
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ArgumentTypeError(
            f"{_shown(text)} is no address of this machine: write its number, such as "
            "192.168.1.10, or 0.0.0.0 for all; a name goes to --advertise-host"
        ) from None


def advertise_host(text: str) -> str:
    """An address or a name that other machines know this one by."""
    host = _address_or_name(text)
    if host is None:
        raise ArgumentTypeError(f"{_shown(text)} is neither an address nor a name of a machine")
    try:
        is_all = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        is_all = False
    if is_all:
        raise ArgumentTypeError(f"{_shown(text)} leads other machines nowhere: name one address")
    return host


def mesh_ports(text: str) -> tuple[int, int]:
    """(first, last)."""
    found = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < first < last <= PORT_MAX:
        raise ArgumentTypeError(f"{_shown(text)} is no range of ports, such as 7000-7011")
    return first, last


def alone_limit_s(text: str) -> float:
    return _positive_number(text)


def ticket_expires_h(text: str) -> float:
    hours = _positive_number(text)
    if hours > TICKET_EXPIRES_H_MAX:
        raise ArgumentTypeError(f"{_shown(text)} is more than {TICKET_EXPIRES_H_MAX:g} hours")
    return hours


def ticket(text: str) -> str:
    """Where the ticket is, or itself. What is wrong is not repeated: it may be a secret."""
    if not text.strip() or "\0" in text:
        raise ArgumentTypeError("it is empty: write @FILE, -, or the ticket")
    return text.strip()


def page_host(text: str) -> str:
    """An address or a name to serve the page at."""
    host = _address_or_name(text)
    if host is None:
        raise ArgumentTypeError(
            f"{_shown(text)} is no address: write 127.0.0.1 for this machine alone, "
            "0.0.0.0 for everyone who can reach it"
        )
    return host


def public_url(text: str) -> str:
    """Where a proxy shows the page, without the slash at the end."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable or not text.isprintable() or " " in text:
        raise ArgumentTypeError(f"{_shown(text)} is no address: write https://host/path")
    if parts.query or parts.fragment or parts.username or parts.password:
        # Not repeated: it may hold a password.
        raise ArgumentTypeError("write https://host/path, without user, query and fragment")
    return text.rstrip("/")


def _address_or_name(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return text if _HOST_NAME.fullmatch(text) else None


def _whole_number(text: str, smallest: int, largest: int) -> int:
    # int() also takes "1_0" and "١", which nobody means.
    if re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text):
        value = int(text)
        if smallest <= value <= largest:
            return value
    raise ArgumentTypeError(f"{_shown(text)} is no whole number from {smallest} to {largest}")


def _positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ArgumentTypeError(f"{_shown(text)} is no number above 0")
    return value


def _shown(text: str) -> str:
    """A value as messages quote it: one short line, whatever it holds."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"'{line[:_SHOWN_CHARACTERS_MAX]}{'…' if len(line) > _SHOWN_CHARACTERS_MAX else ''}'"
