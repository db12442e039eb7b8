"""The context curve: how long what a model was told is, against how well it answers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..results import Row
from .canvas import COLOURS, Canvas, Plot, axis_label, draw_plot, said, spread_ticks
from .report import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LENGTH = "context tokens"
"""Metric that says how long contexts were."""

_BUDGETED = "limner@"
_MARKERS = "sD^vPX*"


class _Point(NamedTuple):
    """A condition with the mean length of its contexts."""

    row: Row
    tokens: float


def context_curve(section: Section) -> Plot | None:
    """Draw the first metric against the tokens that were told; nothing where no condition told anything.

    Budgets of the product's context are one line. Who is told nothing is a level.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    metric = section.metrics[0]
    points = sorted(_points(section, metric), key=lambda point: point.tokens)
    told = [point for point in points if point.tokens > 0]
    if not told:
        return None
    levels = [point.row for point in points if point.tokens == 0]
    lines = _lines(told)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for at, (name, line) in enumerate(lines):
            _line(axes, name, line, at)
        for row in levels:
            axes.axhline(row.value, color=COLOURS[-1], linewidth=1, linestyle="--", label=row.system)
            if row.ci:
                axes.axhspan(*row.ci, color=COLOURS[-1], alpha=0.12, linewidth=0)
        spread_ticks(axes, [point.tokens for point in told])
        axes.set_xlabel("mean tokens of what was told (logarithmic)")
        axes.set_ylabel(axis_label(metric))
        figure.legend(loc="outside lower left", ncols=3, fontsize=9)

    words = "; ".join(f"{said(point.row)} at {point.tokens:,.0f} tokens" for point in points)
    note = "Points with 95 % intervals; a line joins one context at several budgets. Dashed: told nothing."
    canvas = Canvas(f"{metric} by length of the context", section.place.title, 3.9)
    return draw_plot("metrics", canvas, note, words, draw)


def _points(section: Section, metric: str) -> Iterator[_Point]:
    for name in section.systems:
        row, length = section.row(name, metric), section.row(name, LENGTH)
        if row and length:
            yield _Point(row, length.value)


def _lines(points: Sequence[_Point]) -> list[tuple[str, list[_Point]]]:
    """Put the budgets of one kind of context together, each other condition by itself."""
    found: dict[str, list[_Point]] = {}
    for point in points:
        found.setdefault(family_of(point.row.system), []).append(point)
    return list(found.items())


def family_of(system: str) -> str:
    """Return a condition's name without its budget.

    Examples:
        >>> family_of("limner@200:writer=none"), family_of("limner@100"), family_of("history:last=10")
        ('limner:writer=none', 'limner', 'history:last=10')
    """
    if not system.startswith(_BUDGETED):
        return system
    _, colon, options = system.partition(":")
    return f"limner{colon}{options}"


def _line(axes: "Axes", name: str, points: Sequence[_Point], at: int) -> None:
    colour = COLOURS[at % (len(COLOURS) - 1)]
    tokens, values = [point.tokens for point in points], [point.row.value for point in points]
    marker = _MARKERS[at % len(_MARKERS)]
    axes.plot(tokens, values, marker, linestyle="-", color=colour, linewidth=1.2, markersize=6, label=name)
    for point in points:
        if point.row.ci:
            ends = [point.tokens, point.tokens]
            axes.plot(ends, point.row.ci, color=colour, linewidth=1.3, solid_capstyle="butt")
