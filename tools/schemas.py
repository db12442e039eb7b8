"""JSON Schemas that servers with constrained decoding accept."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeGuard

from pydantic import TypeAdapter

_DROPPED = frozenset(
    [
        "$defs",
        "title",
        "default",
        "examples",
        "discriminator",
        "uniqueItems",
        "multipleOf",
        "minProperties",
        "maxProperties",
        "propertyNames",
        "patternProperties",
        "readOnly",
        "writeOnly",
        "deprecated",
        "contentMediaType",
        "contentEncoding",
    ]
)
_VALUES = frozenset(("enum", "const", "required"))


def schema_of(type_: Any) -> dict[str, Any]:
    """Return the schema an answer must fit to become a value of this type.

    References are inlined and every property is required, in the order of the fields, so that OpenAI's
    strict mode and llama.cpp's grammars take it and a model cannot leave a field out. Field documentation
    is kept.

    Args:
        type_: What pydantic validates: a model, a dataclass, a list of one.

    Raises:
        ValueError: The type contains itself.

    Examples:
        >>> from pydantic import BaseModel
        >>> class Remark(BaseModel):
        ...     text: str
        ...     evidence: list[str] = []
        >>> schema_of(Remark)["required"]
        ['text', 'evidence']
    """
    schema: dict[str, Any] = json.loads(_inlined(type_))
    return schema


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes a schema: objects closed, every property required.

    It refuses limits on the length of strings, too.
    """
    if is_array(schema):
        return all(is_strict(part) for part in schema)
    if not is_object(schema):
        return True
    if "properties" in schema:
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema["properties"]):
            return False
    return not {"minLength", "maxLength"} & schema.keys() and all(map(is_strict, schema.values()))


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


@cache
def _inlined(type_: Any) -> str:
    raw = TypeAdapter[Any](type_).json_schema()
    return json.dumps(_clean(raw, raw.get("$defs", {}), ()))


def _clean(node: Any, defs: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """Inline references and drop what grammar converters refuse or ignore."""
    if is_array(node):
        return [_clean(part, defs, inside) for part in node]
    if not is_object(node):
        return node
    fields = dict(node)
    if "$ref" in fields:
        name: str = fields.pop("$ref").rpartition("/")[2]
        if name in inside:
            raise ValueError(f"{name!r} contains itself, so its schema cannot be inlined")
        return {**_clean(defs[name], defs, (*inside, name)), **_clean(fields, defs, inside)}
    cleaned = {
        "anyOf" if key == "oneOf" else key: _clean_field(key, part, defs, inside)
        for key, part in fields.items()
        if key not in _DROPPED and not _is_open_pattern(key, part)
    }
    if "properties" in cleaned:
        cleaned |= {"required": list(cleaned["properties"]), "additionalProperties": False}
    return cleaned


def _clean_field(key: str, part: Any, defs: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """Clean schemas, and leave names and values as they are."""
    if key == "properties":
        return {name: _clean(child, defs, inside) for name, child in part.items()}
    return part if key in _VALUES else _clean(part, defs, inside)


def _is_open_pattern(key: str, part: Any) -> bool:
    """Whether this is a pattern without both anchors, which llama.cpp refuses."""
    return key == "pattern" and not (part.startswith("^") and part.endswith("$"))
