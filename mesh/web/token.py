"""The secret that opens a page which other machines can reach.

Made here and kept in a file, so that the printed address stays right when the collector starts
again. How it is asked for is gate.py's.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from pathlib import Path

logger = logging.getLogger(__name__)

TOKEN_BYTES = 32
"""256 bits: no guessing finds it, however many try."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_FILE_BYTES_MAX = 64
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def new_token() -> str:
    """Return a new secret, 43 characters that need no escape in a URL, header or cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def page_token(path: Path) -> str:
    """Return the token kept in `path`, which is made, readable by its owner alone, if need be.

    A file that others could read or that holds no token is replaced by a new one. Where nothing
    can be written the token lasts for this process only, and a warning says so.
    """
    kept = _kept_token(path)
    if kept is not None:
        return kept
    token = new_token()
    try:
        _keep(path, token)
    except OSError as error:
        logger.warning("event=page_token_not_kept path=%s error=%s", path, error)
    return token


def _kept_token(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & _OTHERS:
            return None
        if status.st_uid != os.geteuid():
            return None
        text = file.read(_FILE_BYTES_MAX).decode("ascii", "replace").strip()
    return text if _TOKEN.fullmatch(text) else None


def _keep(path: Path, token: str) -> None:
    """Replace the file in one step: whoever reads it meanwhile sees the old token or the new."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{token}\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
