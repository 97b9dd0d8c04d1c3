"""Under which names a page may be asked for, and who may steer a run.

Any web site that a user visits can send requests to a server on his machine. Browsers say where
a request comes from (Origin, Sec-Fetch-Site) and no page can forge that, so steering from another
site is refused. One trick remains: a site whose name suddenly means 127.0.0.1 (DNS rebinding) asks
in its own name, and may read what it gets. Therefore a page bound to loopback answers only under
loopback names, addresses, and the host of `--public-url`.

A page bound to any other address is known to its visitors by names that nobody can list here. It
demands a token (gate.py), which no browser shows to another name. With a public URL on a loopback
bind none is demanded: whoever can reach the port is this machine, and whom the proxy lets in is the
proxy's to decide.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SHOWN_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class PageAccess:
    """Where the page is meant to be seen."""

    page_host: str
    """The address it is bound to."""
    public_url: str | None = None
    token: str | None = field(default=None, repr=False)
    """What every request must carry; None where none is demanded."""

    def __post_init__(self) -> None:
        assert self.token is not None or is_loopback(self.page_host)

    @property
    def is_public_https(self) -> bool:
        return self.public_url is not None and self.public_url.lower().startswith("https://")

    def foreign_name(self, headers: Mapping[str, str]) -> str | None:
        """Return why a page bound to loopback does not answer under the request's Host, else None.

        A request without Host comes from no browser.
        """
        host = headers.get("Host")
        if not host or not is_loopback(self.page_host):
            return None
        parts = _split(f"http://{host}")
        if parts is not None and self._is_own_name(parts):
            return None
        return (
            f"refused: this page is not known as {_shown(host)}; start the run with "
            f"--public-url and the page's address there, so that this is known to be right"
        )

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Return why a request with `headers` may not steer the run, None when it may."""
        site = headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin"):
            return f"refused: the request comes from another site ({_shown(site)})"
        origin = headers.get("Origin")
        if origin is None:
            return None
        parts = _split(origin)
        if parts is None:
            return f"refused: the request comes from an unnamed page ({_shown(origin)})"
        asked = _authority(parts.netloc, parts.scheme)
        if self.public_url is not None and _same_origin(parts, _split(self.public_url)):
            return None
        if asked == _authority(headers.get("Host", ""), parts.scheme) and self._is_own_name(parts):
            return None
        return (
            f"refused: the page was opened as {_shown(origin)}; start the run with "
            f"--public-url and the page's address there, so that this is known to be right"
        )

    def _is_own_name(self, parts: SplitResult) -> bool:
        """Whether a browser can have this name from us rather than from a hostile DNS server."""
        name = (parts.hostname or "").lower()
        if not is_loopback(self.page_host) or is_loopback(name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name == _host_name(self.public_url)
        return True


def is_loopback(host: str) -> bool:
    """Whether `host` means this machine alone, without asking DNS."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in _DEFAULT_PORTS and parts.hostname else None


def _host_name(url: str | None) -> str | None:
    parts = _split(url) if url is not None else None
    return None if parts is None else parts.hostname


def _authority(netloc: str, scheme: str) -> str:
    return netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS[scheme])


def _same_origin(one: SplitResult, other: SplitResult | None) -> bool:
    return (
        other is not None
        and one.scheme == other.scheme
        and _authority(one.netloc, one.scheme) == _authority(other.netloc, other.scheme)
    )


def _shown(text: str) -> str:
    """`text` from a stranger, fit for one line of JSON or log."""
    return ascii(text[:_SHOWN_CHARACTERS_MAX])[1:-1]
