"""The environment as commands see it: this process's variables over those of a file `.env`.

The one place that reads either. What `.env` holds stays in the mapping returned here: it is
never put into the process's environment, where every program started would inherit it, and
never shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mesh.cli.commands import UsageError

DOTENV_FILE = ".env"
DOTENV_BYTES_MAX = 1 << 20
"""A larger file is refused."""


def load_environment(
    directory: Path, variables: Mapping[str, str] = os.environ
) -> Mapping[str, str]:
    """`variables` over those of `directory`/.env. An empty variable hides the file's.

    Values of the file are taken as they stand: `$NAME` in a key is part of the key.

    Raises:
        UsageError: the file cannot be read; its content is not repeated.
    """
    path = directory / DOTENV_FILE
    if not path.is_file():
        return dict(variables)
    # Imported here: most runs have no such file.
    from dotenv import dotenv_values

    try:
        if path.stat().st_size > DOTENV_BYTES_MAX:
            raise UsageError(f"{path} is longer than {DOTENV_BYTES_MAX} bytes: it should hold keys")
        stored = dotenv_values(path, interpolate=False, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    return {name: value for name, value in stored.items() if value is not None} | dict(variables)
