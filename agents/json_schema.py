"""JSON Schemas of answers, in the small part of the language that every grammar converter knows."""

from collections.abc import Mapping
from typing import Any


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has exactly these properties, in this order.

    Examples:
        >>> object_schema({"a": {"type": "string"}})["required"]
        ['a']
    """
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
