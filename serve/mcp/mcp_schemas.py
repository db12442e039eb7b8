"""JSON Schemas that assistants read: the words of our models, without what pydantic adds for tools of its own."""

from typing import Any

from ...records import Record


def schema_of(model: type[Record]) -> dict[str, Any]:
    """Return a model's JSON Schema without titles and without the model's own description.

    Every assistant reads the schemas in every conversation, so that words without meaning are paid for each time.

    Examples:
        >>> class Ask(Record):
        ...     '''Asks.'''
        ...
        ...     user_id: str
        >>> schema_of(Ask)
        {'additionalProperties': False, 'properties': {'user_id': {'type': 'string'}}, 'required': ['user_id'], 'type': 'object'}
    """
    schema: dict[str, Any] = _untitled(model.model_json_schema())
    schema.pop("description", None)
    return schema


def description_of(model: type[Record]) -> str:
    """Return a model's docstring in one line a paragraph."""
    paragraphs = (model.__doc__ or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())


def _untitled(part: Any) -> Any:
    """Drop every `title` that names a schema; a property that is called so stays."""
    if isinstance(part, list):
        return [_untitled(entry) for entry in part]  # pyright: ignore[reportUnknownVariableType] - JSON
    if not isinstance(part, dict):
        return part
    kept: dict[str, Any] = {}
    for name, value in part.items():  # pyright: ignore[reportUnknownVariableType] - JSON
        if name == "title" and isinstance(value, str):
            continue
        if name == "properties":
            kept[name] = {field: _untitled(schema) for field, schema in value.items()}
        else:
            kept[name] = _untitled(value)
    return kept
