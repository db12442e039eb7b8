"""The first of pydantic's complaints, as errors of Limner tell it."""

from typing import Any, NamedTuple

from pydantic import ValidationError


class Fault(NamedTuple):
    """What was wrong with one field."""

    field: str
    """Its name, with those of the fields that it lies in before it; empty for the whole."""

    reason: str
    """In pydantic's words."""

    given: Any
    """The value; it may be a secret."""

    kind: str
    """pydantic's word for what is wrong, such as `missing`."""

    def __str__(self) -> str:
        """Say what was wrong, with the value."""
        return f"{self.reason}, got {self.given!r}"


def first_fault(error: ValidationError) -> Fault:
    """Return the first complaint.

    Examples:
        >>> from pydantic import TypeAdapter
        >>> try:
        ...     TypeAdapter(dict[str, int]).validate_python({"steps": "many"})
        ... except ValidationError as error:
        ...     fault = first_fault(error)
        >>> fault.field, fault.given, fault.kind
        ('steps', 'many', 'int_parsing')
    """
    first = error.errors(include_url=False)[0]
    return Fault(".".join(map(str, first["loc"])), first["msg"], first["input"], first["type"])
