"""Schemas of structured answers: the one shape that the simulated models can be held to.

That is an object with one list of texts and nothing else. How each API wraps a schema, and in
which words it refuses one, is its own module's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def list_name_of(schema: object) -> str | None:
    """The name of the list that `schema` asks for; None: another shape, or not a strict one."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return None
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) != 1:
        return None
    name, wanted = next(iter(properties.items()))
    is_strict = schema.get("required") == [name] and schema.get("additionalProperties") is False
    return name if is_strict and _is_list_of_texts(wanted) else None


def _is_list_of_texts(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or schema.get("type") != "array":
        return False
    items = schema.get("items")
    return isinstance(items, Mapping) and items.get("type") == "string"
