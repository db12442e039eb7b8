"""A run's curves as one picture."""

import io
from collections.abc import Sequence
from typing import Any

from ...errors import MissingExtraError

_NO_CURVE = {"step", "epoch", "total_flos", "num_tokens", "num_input_tokens_seen"}
_FIRST = ("loss", "validation_logprob", "validation_gap", "reward", "grad_norm", "learning_rate")
_COLUMNS = 3
_MOST = 30

Curve = tuple[list[float], list[float]]
"""Steps and values."""


def curves_of(history: Sequence[dict[str, float]]) -> dict[str, Curve]:
    """Return the curves of a run, the most telling first; what has a single point is none.

    Examples:
        >>> curves_of([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5, "train_runtime": 9.0}])
        {'loss': ([1, 2], [2.0, 1.5])}
    """
    found: dict[str, Curve] = {}
    for point in history:
        for name, value in point.items():
            if name not in _NO_CURVE and not name.startswith("train_"):
                steps, values = found.setdefault(name, ([], []))
                steps.append(point["step"])
                values.append(value)
    several = {name: curve for name, curve in found.items() if len(curve[0]) > 1}
    ordered = sorted(several, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    return {name: several[name] for name in ordered[:_MOST]}


def draw_curves(history: Sequence[dict[str, float]]) -> bytes | None:
    """Return a PNG with one panel a curve; `None` if the run is too short to have any.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing curves", "train") from error
    curves = curves_of(history)
    if not curves:
        return None
    columns = min(_COLUMNS, len(curves))
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.4 * lines), layout="constrained")
    panels: Any = figure.subplots(lines, columns, squeeze=False)
    for panel, (name, (steps, values)) in zip(panels.flat, curves.items(), strict=False):
        panel.plot(steps, values, linewidth=1.2, marker="." if len(steps) < 30 else "")
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(curves) :]:
        panel.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
