"""`--config FILE.toml`: a file of options, under the names that they have on the command line.

A file becomes option words, which the parser then reads like any others, so that file and
command line cannot differ in what they accept. Two tables are the exception: `[endpoints]` says
which variable holds the key of a server, by address, `[prices."SPEC"]` what a model costs.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mesh.cli.commands import UsageError
from mesh.config import TokenPrices

CONFIG_BYTES_MAX = 1 << 20
"""A larger file is refused."""
ENDPOINTS_TABLE = "endpoints"
PRICES_TABLE = "prices"
VERBOSE_MAX = 3


@dataclass(frozen=True, slots=True)
class OptionNames:
    """The options that a file may set, without their dashes."""

    with_value: Collection[str]
    flags: Collection[str]
    """Without a value; each has a `no-` form, save `verbose`, which counts."""

    def all(self) -> list[str]:
        return sorted({*self.with_value, *self.flags})


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says."""

    words: tuple[tuple[str, list[str]], ...] = ()
    """Per key, as written, the command-line words that mean the same."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Address of a server -> variable that holds its key."""
    prices: Mapping[str, TokenPrices] = field(default_factory=dict)
    """Spec of a model -> what it costs."""


def read_config_file(path: Path) -> dict[str, Any]:
    """The file's table.

    Raises:
        UsageError: it cannot be read or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
        if len(content) > CONFIG_BYTES_MAX:
            raise UsageError(f"--config {path} is longer than {CONFIG_BYTES_MAX} bytes")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read --config {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        # Its message says where, and quotes at most the character that it met.
        raise UsageError(f"--config {path} is no TOML: {error}") from error


def config_from(table: Mapping[str, Any], names: OptionNames) -> Config:
    """Turn a file's table into option words.

    Raises:
        UsageError: an unknown key, answered with near matches, or a value of the wrong type.
    """
    words: list[tuple[str, list[str]]] = []
    endpoints: Mapping[str, str] = {}
    prices: Mapping[str, TokenPrices] = {}
    for key, value in table.items():
        if key == ENDPOINTS_TABLE:
            endpoints = _endpoints(value)
        elif key == PRICES_TABLE:
            prices = _prices(value)
        else:
            words.append((key, _words(key, value, names)))
    return Config(tuple(words), endpoints, prices)


def with_endpoint_key(spec: str, endpoints: Mapping[str, str]) -> str:
    """A `NAME@URL` whose server `[endpoints]` names, with the variable of its key added."""
    name, at, url = spec.partition("@")
    variable = endpoints.get(url.rstrip("/")) if at else None
    return spec if variable is None else f"{name}@{url},key={variable}"


def _words(key: str, value: object, names: OptionNames) -> list[str]:
    name = key.replace("_", "-")
    if name == "verbose" and "verbose" in names.flags:
        return ["--verbose"] * _verbosity(value)
    if name in names.flags:
        if not isinstance(value, bool):
            raise UsageError(f"{key} takes true or false")
        return [f"--{name}" if value else f"--no-{name}"]
    if name in names.with_value:
        values = value if isinstance(value, list) else [value]
        return [f"--{name}={_text(key, each)}" for each in values]
    near = difflib.get_close_matches(name, names.all(), 1)
    hint = f"did you mean {near[0]}?" if near else f"it may hold {', '.join(names.all())}"
    raise UsageError(f"unknown key {key!r}: {hint}")


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{key} takes a text or a number")
    return str(value)


def _verbosity(value: object) -> int:
    if isinstance(value, int) and 0 <= value <= VERBOSE_MAX:
        return int(value)
    raise UsageError(f"verbose takes true, false or a number from 0 to {VERBOSE_MAX}")


def _endpoints(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f'{ENDPOINTS_TABLE} is a table: "http://host:port/v1" = "KEY_VARIABLE"')
    for address, variable in value.items():
        if not isinstance(variable, str):
            raise UsageError(f"[{ENDPOINTS_TABLE}] {address!r} takes the name of a variable")
    return {address.rstrip("/"): variable for address, variable in value.items()}


_PRICE_NAMES = [column.name for column in fields(TokenPrices)]


def _prices(value: object) -> dict[str, TokenPrices]:
    if not isinstance(value, dict):
        raise UsageError(f'{PRICES_TABLE} is a table: "openai:NAME" = {{ input = 0.15, … }}')
    return {spec: _token_prices(f'[{PRICES_TABLE}."{spec}"]', each) for spec, each in value.items()}


def _token_prices(where: str, value: object) -> TokenPrices:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is a table of {', '.join(_PRICE_NAMES)}")
    for name, price in value.items():
        if name not in _PRICE_NAMES:
            raise UsageError(f"{where} may hold {', '.join(_PRICE_NAMES)}, not {name!r}")
        is_number = isinstance(price, int | float) and not isinstance(price, bool)
        if not (is_number and math.isfinite(price) and price >= 0):
            raise UsageError(f"{where} {name} takes dollars for a million tokens, 0 or more")
    if missing := {"input", "output"} - value.keys():
        raise UsageError(f"{where} lacks {' and '.join(sorted(missing))}")
    return TokenPrices(**value)
