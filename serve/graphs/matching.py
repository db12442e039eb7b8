"""Which values a filter takes and which namespaces a condition takes, as LangGraph's own stores decide it.

Source: the documentation of `SearchOp.filter` and `MatchCondition` in `langgraph.store.base`, and what
`langgraph.store.memory.InMemoryStore` answers. Differs: a comparison of sizes with something that is no number is not
met, where LangGraph's store in memory fails.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from langgraph.store.base import MatchCondition

from ...tools.schemas import is_object

_SIZES: dict[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def takes(wanted: Mapping[str, Any] | None, value: Mapping[str, Any]) -> bool:
    """Whether a filter takes a value.

    Raises:
        ValueError: The filter has an operator that does not exist.

    Examples:
        >>> takes({"score": {"$gte": 3}, "by": {"name": "ada"}}, {"score": 3.5, "by": {"name": "ada", "age": 9}})
        True
        >>> takes({"score": {"$gt": 3}}, {"score": "many"}), takes({"tags": ["a"]}, {"tags": ["a", "b"]})
        (False, False)
    """
    return all(_same(value.get(field), part) for field, part in (wanted or {}).items())


def matches(conditions: Sequence[MatchCondition] | None, namespace: tuple[str, ...]) -> bool:
    """Whether a namespace meets all conditions; `*` stands for any one label.

    Raises:
        ValueError: A condition is of a kind that does not exist.
    """
    return all(_meets(condition, namespace) for condition in conditions or ())


def _same(value: Any, wanted: Any) -> bool:
    if is_object(wanted):
        if any(name.startswith("$") for name in wanted):
            return all(_compares(value, name, bound) for name, bound in wanted.items())
        return is_object(value) and all(_same(value.get(name), part) for name, part in wanted.items())
    parts, found = _parts(wanted), _parts(value)
    if parts is not None:
        return found is not None and len(found) == len(parts) and all(map(_same, found, parts))
    return bool(value == wanted)


def _parts(value: object) -> Sequence[Any] | None:
    return (
        cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None
    )  # what is in it is any JSON


def _compares(value: Any, name: str, bound: Any) -> bool:
    if name in ("$eq", "$ne"):
        return bool(value == bound) == (name == "$eq")
    if name not in _SIZES:
        raise ValueError(f"Unsupported operator: {name}; use $eq, $ne, $gt, $gte, $lt or $lte")
    try:
        return _SIZES[name](float(value), float(bound))
    except (TypeError, ValueError):
        return False


def _meets(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    kind, path = condition.match_type, condition.path
    if kind not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {kind}; use prefix or suffix")
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))
