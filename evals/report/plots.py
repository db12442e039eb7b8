"""Plots of a report as inline SVG: the same results give the same bytes, and text stays text.

Ink and background follow the page (`currentColor`, no background), so that one picture serves light and dark.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import MissingExtraError
from ..results import Row, Values
from .markdown import About
from .report import BILLED, Report, Section, is_lower_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for `currentColor`, which matplotlib does not know."""

COLOURS = ("#3f7fbf", "#c9762b", "#2f9470", "#bf5b6b", "#8a6fc0", "#7d7d35", "#3f99a8", "#a06a4a")
"""Each has a contrast of 3 or more on white and on near-black."""

PANELS = (3, 5)
"""Panels beside each other, of few systems and of more than `FEW`."""

FEW = 6

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


def plots_of(section: Section, report: Report) -> list[Plot]:
    """Return the pictures that a section has numbers for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if not section.metrics:
        return []
    metric = section.metrics[0]
    rows = [row for name in section.systems if (row := section.row(name, metric))]
    found = [_bars(section.place.title, metric, rows)]
    if section.buckets:
        found.append(_buckets(section, metric))
    priced = [row for row in rows if row.system in section.costs and section.costs[row.system].queries]
    if len(priced) > 1:
        found.append(_cost(section, metric, priced))
    for part in report.values.get(section.place, ()):
        rewards = {name: values for name, values in part.values.items() if name.startswith("reward")}
        if rewards:
            title = f"Rewards of {part.system}"
            found.append(_distribution("metrics", title, section.place.title, rewards))
    return found


def reward_plots(report: Report) -> list[Plot]:
    """Return distributions of the logged drafts' rewards, term by term."""
    rewards = {name: np.asarray(values) for name, values in sorted(report.rewards.items())}
    return [_distribution("further", "Rewards of logged drafts", "", rewards)] if rewards else []


def _bars(place: str, metric: str, rows: Sequence[Row]) -> Plot:
    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.barh(slots.centres, [row.value for row in rows], color=COLOURS[0], height=0.62)
        for row, at in zip(rows, slots.centres, strict=True):
            _interval(axes, row, at, INK)
        slots.label(axes)
        axes.set_xlabel(_axis(metric))

    slots = _slots([row.system for row in rows])
    words = "; ".join(_said(row) for row in rows)
    canvas = _Canvas(f"{metric} by system", place, 0.7 + slots.height)
    return _plot("metrics", canvas, "Bars with 95 % intervals.", words, draw)


def _interval(axes: "Axes", row: Row, at: float, colour: str) -> None:
    """Draw an interval over a bar or a point."""
    if row.ci:
        axes.plot(row.ci, [at, at], color=colour, linewidth=1.4, solid_capstyle="butt")


def _buckets(section: Section, metric: str) -> Plot:
    """Draw a panel a bucket, with the systems in the same lines everywhere."""
    names, systems = section.buckets, section.systems
    across = min(len(names), PANELS[len(systems) > FEW])
    down = -(-len(names) // across)
    slots = _slots(systems)

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for number, axes in enumerate(panels.flat):
            if number >= len(names):
                axes.set_visible(False)
                continue
            rows = [section.row(name, f"{metric} | {names[number]}") for name in systems]
            for row, at in zip(rows, slots.centres, strict=True):
                if row:
                    _interval(axes, row, at, COLOURS[0])
                    axes.plot([row.value], [at], "o", color=COLOURS[0], markersize=4.5)
            axes.set_title(broken(names[number], 20), fontsize=10)
            slots.label(axes)
            axes.tick_params(axis="x", labelbottom=number + across >= len(names))
            axes.locator_params(axis="x", nbins=3)
        figure.supxlabel(_axis(metric), fontsize=10)

    words = f"{len(systems)} systems on {', '.join(names)}; the numbers are in the table"
    height = 0.6 + down * (0.5 + slots.height)
    canvas = _Canvas(f"{metric} by part of the queries", section.place.title, height)
    return _plot("buckets", canvas, "Points with 95 % intervals.", words, draw)


def _cost(section: Section, metric: str, rows: Sequence[Row]) -> Plot:
    costs = [section.costs[row.system] for row in rows]
    each = [max(1000 * cost.score_seconds / cost.queries, 1e-4) for cost in costs]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for at, (row, cost) in enumerate(zip(rows, each, strict=True)):
            colour = COLOURS[at % len(COLOURS)]
            if row.ci:
                axes.plot([cost, cost], row.ci, color=colour, linewidth=1.4, solid_capstyle="butt")
            marker = "osD^vPX*"[(at + at // 8) % 8]  # no two alike among 64
            axes.plot([cost], [row.value], marker, color=colour, label=broken(row.system))
        spread_ticks(axes, each)
        axes.set_xlabel("milliseconds a query (logarithmic)")
        axes.set_ylabel(_axis(metric))
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)

    lines = sum(broken(row.system).count("\n") + 1 for row in rows)
    words = "; ".join(
        f"{row.system} {cost:.3g} ms, {row.value:.4f}" for row, cost in zip(rows, each, strict=True)
    )
    canvas = _Canvas(f"Cost against {metric}", section.place.title, 3.4 + 0.11 * (lines + 1))
    about: About = "bill" if section.place.suite == BILLED else "cost"
    return _plot(about, canvas, "Points with 95 % intervals.", words, draw)


def spread_ticks(axes: "Axes", values: Sequence[float]) -> None:
    """Make an axis logarithmic, with labels as dense as they have room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), max(values)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, high * 1.6)
    decades = np.log10(high / low) + 0.4
    steps = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: object) -> str:
    """Write a mark of a logarithmic axis without an exponent."""
    return f"{value:,.10g}" if value >= 1e-3 else f"{value:.4f}"


class _Slots(NamedTuple):
    """Lines of a picture, one a system, each as high as its name needs."""

    centres: list[float]
    """From 0 downwards."""

    names: list[str]
    height: float
    """Inches of all together."""

    def label(self, axes: "Axes") -> None:
        """Write the names beside their lines."""
        axes.set_yticks(self.centres, self.names)
        axes.set_ylim(self.centres[-1] - 0.7, self.centres[0] + 0.7)


def _slots(systems: Sequence[str]) -> _Slots:
    names = [broken(name) for name in systems]
    heights = [0.45 + 0.55 * (name.count("\n") + 1) for name in names]
    centres = [-(sum(heights[:at]) + heights[at] / 2) for at in range(len(heights))]
    return _Slots(centres, names, 0.3 * (sum(heights) + 0.4))


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


def _distribution(about: About, title: str, place: str, columns: Mapping[str, Values]) -> Plot:
    kept = {name: values[~np.isnan(values)] for name, values in columns.items()}
    kept = {name: values for name, values in kept.items() if len(values)}

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        boxes: Any = axes.violinplot(
            list(kept.values()), orientation="horizontal", showmedians=True, showextrema=False
        )
        for body in boxes["bodies"]:
            body.set(facecolor=COLOURS[0], alpha=0.6)
        boxes["cmedians"].set(color=INK)
        axes.set_yticks(np.arange(1, len(kept) + 1), list(kept))
        axes.set_xlabel("reward")

    words = "; ".join(
        f"{name}: median {np.median(values):.3f}, n={len(values):,}" for name, values in kept.items()
    )
    return _plot(about, _Canvas(title, place, 0.9 + 0.5 * len(kept)), "Densities with medians.", words, draw)


def _said(row: Row) -> str:
    interval = f" ({row.ci[0]:.4f} to {row.ci[1]:.4f})" if row.ci else ""
    return f"{row.system} {row.value:.4f}{interval}"


def _axis(metric: str) -> str:
    return f"{metric}, {'lower' if is_lower_better(metric) else 'higher'} is better"


class _Canvas(NamedTuple):
    """What a picture is drawn on."""

    title: str
    place: str
    """Heading of its section; with the title it decides the ids of its parts."""

    height: float
    """Inches."""


def _plot(about: About, canvas: _Canvas, note: str, words: str, draw: "Callable[[Figure], None]") -> Plot:
    """Draw on a fresh figure, without any global state."""
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
