"""A run as one HTML file that needs nothing else: no script, no network."""

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from .run_folder import RunRecord

_NO_METRIC = {"step", "epoch"}


def as_html(record: RunRecord, curves: bytes | None) -> str:
    """Return a run's report.

    Args:
        record: The run.
        curves: Its curves, a PNG; absent if there are none.
    """
    first, last = ends(record)
    settings = record.identity.settings.model_dump(mode="json", exclude_none=True)
    return _template().render(
        record=record,
        settings=settings,
        first=first,
        last=last,
        curves=base64.b64encode(curves or b"").decode(),
    )


def ends(record: RunRecord) -> tuple[dict[str, float], dict[str, float]]:
    """Return the first and the last value of each metric, in the order in which they came up."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for point in record.history:
        for name, value in point.items():
            if name not in _NO_METRIC and not name.startswith(("train_", "total_")):
                first.setdefault(name, value)
                last[name] = value
    return first, last


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("run.html.jinja")
