"""The cost curve: what ranked pairs take in calls and tokens, against how well they are ranked."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ..results import Row
from .canvas import COLOURS, Canvas, Plot, axis_label, broken, draw_plot, said, spread_ticks
from .markdown import UNITS
from .report import PAIRED, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BUDGET = re.compile(r"([:,])budget=\d+(,|$)")
_MARKERS = "osD^vPX*"
_FREE_AT_MOST = 4
_LABELS = 4


class _Point(NamedTuple):
    """A system with what it takes."""

    row: Row
    calls: float
    tokens: float

    @property
    def family(self) -> str:
        """The system without its budget: the same one at several budgets is one line."""
        return family_of(self.row.system)


def family_of(system: str) -> str:
    """Return a system's name without its budget.

    Examples:
        >>> family_of("factored:budget=4,drafts=1"), family_of("factored:drafts=1,budget=4"), family_of("joint")
        ('factored:drafts=1', 'factored:drafts=1', 'joint')
    """
    return _BUDGET.sub(lambda found: found[1] if found[2] else "", system).rstrip(":,")


def cost_curve(section: Section) -> Plot | None:
    """Draw what 1,000 ranked pairs take against the first metric; nothing where no system called a model.

    Systems that differ only in their budget are joined. Those without calls are levels to reach.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    metric = section.metrics[0]
    points = sorted(_points(section, metric), key=lambda point: (point.family, point.calls))
    paid = [point for point in points if point.calls > 0]
    if not paid:
        return None
    free = sorted((point.row for point in points if point.calls == 0), key=lambda row: -row.value)
    lines = [list(group) for _, group in groupby(paid, key=lambda point: point.family)]

    def draw(figure: "Figure") -> None:
        panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
        for axes, what in zip(panels, ("calls", "tokens"), strict=True):
            for at, line in enumerate(lines):
                _line(axes, line, what, at)
            for at, row in enumerate(free[:_FREE_AT_MOST]):
                style = (0, (1 + 2 * at, 2))
                axes.axhline(
                    row.value, color=COLOURS[-1], linewidth=1, linestyle=style, label=broken(row.system)
                )
            spread_ticks(axes, [getattr(point, what) or 1.0 for point in paid], most=_LABELS)
            axes.set_xlabel(f"{what} {UNITS[PAIRED][0]} (logarithmic)")
        panels[0].set_ylabel(axis_label(metric))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=9)

    words = "; ".join(
        f"{said(point.row)} at {point.calls:,.0f} calls and {point.tokens:,.0f} tokens" for point in paid
    )
    entries = [line[0].family for line in lines] + [row.system for row in free[:_FREE_AT_MOST]]
    height = 3.4 + 0.11 * (sum(broken(name).count("\n") + 1 for name in entries) + 1)
    title = f"Cost curve: {metric}"
    note = "Points with 95 % intervals; a line joins one system at several budgets. Dashed: the best without a model."
    return draw_plot("bill", Canvas(title, section.place.title, height), note, words, draw)


def _points(section: Section, metric: str) -> Iterator[_Point]:
    for name in section.systems:
        row = section.row(name, metric)
        calls, tokens = (section.row(name, f"{what} {UNITS[PAIRED][0]}") for what in ("calls", "tokens"))
        if row and calls and tokens:
            yield _Point(row, calls.value, tokens.value)


def _line(axes: "Axes", line: Sequence[_Point], what: str, at: int) -> None:
    """Draw one system at its budgets."""
    colour = COLOURS[at % (len(COLOURS) - 1)]
    taken = [getattr(point, what) for point in line]
    axes.plot(
        taken,
        [point.row.value for point in line],
        _MARKERS[at % len(_MARKERS)],
        linestyle="-",
        color=colour,
        linewidth=1.2,
        markersize=5,
        label=broken(line[0].family),
    )
    for point, place in zip(line, taken, strict=True):
        if point.row.ci:
            axes.plot([place, place], point.row.ci, color=colour, linewidth=1.2, solid_capstyle="butt")
