"""The tables of a training set as Arrow columns."""

import importlib
from typing import Any

from .training_rows import TABLES, Messages


def table_schema(name: str) -> Any:
    """Return the Arrow columns of a table, in the order of its fields."""
    pa: Any = importlib.import_module("pyarrow")
    message = pa.struct([pa.field("role", pa.string(), False), pa.field("content", pa.string(), False)])
    kinds: dict[Any, Any] = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        Messages: pa.list_(message),
        tuple[str, ...]: pa.list_(pa.string()),
        tuple[int, ...] | None: pa.list_(pa.int64()),
        tuple[float, ...] | None: pa.list_(pa.float64()),
        dict[str, float]: pa.map_(pa.string(), pa.float64()),
    }
    moment = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            pa.field(
                field, moment if field == "as_of" else kinds[info.annotation], type(None) in _kinds(info)
            )
            for field, info in TABLES[name].model_fields.items()
        ]
    )


def _kinds(info: Any) -> tuple[Any, ...]:
    """Return the members of a field's union; none for a plain type."""
    return getattr(info.annotation, "__args__", ())
