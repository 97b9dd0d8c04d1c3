"""Which server a model is asked at: its name for people, and whether it is public.

Decided by the text of the address alone. Names are never resolved: what DNS says can change
between the check and the call, so every host name but `localhost` counts as public.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from mesh.config import Api, ModelSpec

OFFICIAL_BASE_URLS: dict[Api, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}

_PLAIN_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?(/[A-Za-z0-9._~/%+:-]*)?"
)


def is_plain_url(url: str) -> bool:
    """Whether every reader of `url` sees the same host: http(s), host, port and path only.

    Excludes user names, queries, backslashes and blanks, by which one parser can be made to see
    another host than the one which is connected to.
    """
    if _PLAIN_URL.fullmatch(url) is None:
        return False
    try:
        port = urlsplit(url).port
    except ValueError:
        return False
    return port is None or 0 < port < 65_536


def is_private_host(url: str) -> bool:
    """Whether `url` names this machine or a private network, by an address or as `localhost`."""
    host = _host(url)
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped if mapped is not None else address
    return address.is_loopback or address.is_private


def is_loopback_host(url: str) -> bool:
    """Whether `url` names this machine: no proxy may come between."""
    host = _host(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_official(api: Api, url: str | None) -> bool:
    """Whether `url` (None: the SDK's default) is the provider's own server, over TLS."""
    if url is None:
        return True
    official = _host(OFFICIAL_BASE_URLS[api])
    host = _host(url)
    return url.startswith("https://") and (host == official or host.endswith("." + official))


def same_server(url: str, other: str) -> bool:
    """Whether two addresses are of one scheme, host and port."""
    return _origin(url) == _origin(other)


def base_url_of(model: ModelSpec) -> str:
    """The address that `model` is asked at."""
    return model.base_url if model.base_url is not None else OFFICIAL_BASE_URLS[model.api]


def is_named_by_address(model: ModelSpec) -> bool:
    """Whether the user gave the server's address with the model (`NAME@URL`)."""
    return not model.simulated and "@http" in model.spec


def is_own_server(model: ModelSpec) -> bool:
    """Whether the model runs on this machine or a private network: it refuses no call, but answers
    many at once more slowly."""
    return not model.simulated and is_private_host(base_url_of(model))


def server_name(model: ModelSpec) -> str:
    """The server as messages name it: `api.openai.com`, `127.0.0.1:8000`, `the simulator`."""
    if model.simulated:
        return "the simulator"
    parts = urlsplit(base_url_of(model))
    # Not the whole of netloc, where a password could stand.
    return parts.netloc.rpartition("@")[2]


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default_port = 443 if parts.scheme == "https" else 80
    return parts.scheme, _host(url), parts.port or default_port
