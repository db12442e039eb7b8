"""What every plot of a report is drawn on: inline SVG, where the same results give the same bytes.

Ink and background follow the page (`currentColor`, no background), so that one picture serves light and dark; text
stays text.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import MissingExtraError
from ..results import Row
from .markdown import About
from .report import is_lower_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for `currentColor`, which matplotlib does not know."""

COLOURS = ("#3f7fbf", "#c9762b", "#2f9470", "#bf5b6b", "#8a6fc0", "#7d7d35", "#3f99a8", "#a06a4a")
"""Each has a contrast of 3 or more on white and on near-black."""

_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "ytick.labelsize": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


class Plot(NamedTuple):
    """A picture with its words."""

    about: About
    """The table beside which it stands."""

    title: str
    note: str
    """How to read it."""

    description: str
    """What it shows, for whoever does not see it."""

    svg: str


def spread_ticks(axes: "Axes", values: Sequence[float], *, most: int = 8) -> None:
    """Make an axis logarithmic, with labels as dense as they have room.

    Args:
        axes: Whose axis along is meant.
        values: What is shown on it.
        most: Labels that there is room for.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), max(values)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    decades = np.log10(high / low) + 0.4
    steps = (1.0, 2.0, 5.0) if decades < 2.5 * most / 8 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=most))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: object) -> str:
    """Write a mark of a logarithmic axis without an exponent."""
    return f"{value:,.10g}" if value >= 1e-3 else f"{value:.4f}"


def broken(name: str, longest: int = 34) -> str:
    r"""Break a long name into lines, at its own marks.

    Examples:
        >>> broken("history:encoder=minilm,form=decayed,last=10")
        'history:encoder=minilm,\nform=decayed,last=10'
    """
    lines = [""]
    for part in re.findall(r"[^,:+ _]*[,:+ _]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > longest:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def said(row: Row) -> str:
    """Return a row in words."""
    interval = f" ({row.ci[0]:.4f} to {row.ci[1]:.4f})" if row.ci else ""
    return f"{row.system} {row.value:.4f}{interval}"


def axis_label(metric: str) -> str:
    """Return what an axis shows, and which end is the better one."""
    return f"{metric}, {'lower' if is_lower_better(metric) else 'higher'} is better"


class Canvas(NamedTuple):
    """What a picture is drawn on."""

    title: str
    place: str
    """Heading of its section; with the title it decides the ids of its parts."""

    height: float
    """Inches."""


def draw_plot(about: About, canvas: Canvas, note: str, words: str, draw: "Callable[[Figure], None]") -> Plot:
    """Draw on a fresh figure, without any global state.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a report with plots", "evals") from error
    file = io.StringIO()
    style: Any = {
        **_STYLE,
        "svg.hashsalt": f"{canvas.title} {canvas.place}",
    }  # matplotlib wants its own literals
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.6, canvas.height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    return Plot(about, canvas.title, note, f"{words}.", svg[svg.index("<svg") :])


def inline(plot: Plot, number: int) -> str:
    """Return a plot's SVG for a page that holds several: ids of its own, words for screen readers, page's ink."""
    svg = re.sub(r'\bid="', f'id="p{number}-', plot.svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1p{number}-", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", svg, count=1)
    label = f'role="img" aria-labelledby="p{number}-title" aria-describedby="p{number}-said"'
    return svg.replace("<svg", f"<svg {label}", 1).replace(INK, "currentColor")
