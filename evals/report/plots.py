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
from .report import Report, Section, is_lower_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"
"""Stands for `currentColor`, which matplotlib does not know."""

COLOURS = ("#3f7fbf", "#c9762b", "#2f9470", "#bf5b6b", "#8a6fc0", "#7d7d35", "#3f99a8", "#a06a4a")
"""Each has a contrast of 3 or more on white and on near-black."""

_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
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

    title: str
    description: str
    """What the picture shows, for whoever does not see it."""

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
            found.append(_distribution(f"Rewards of {part.system}, {section.place.title}", rewards))
    return found


def reward_plots(report: Report) -> list[Plot]:
    """Return distributions of the logged drafts' rewards, term by term."""
    rewards = {name: np.asarray(values) for name, values in sorted(report.rewards.items())}
    return [_distribution("Rewards of logged drafts", rewards)] if rewards else []


def _bars(title: str, metric: str, rows: Sequence[Row]) -> Plot:
    def draw(axes: "Axes") -> None:
        places = np.arange(len(rows), dtype=np.float64)[::-1]
        axes.barh(places, [row.value for row in rows], color=COLOURS[0], height=0.62)
        _whiskers(axes, rows, places)
        axes.set_yticks(places, [row.system for row in rows])
        axes.set_xlabel(_axis(metric))

    words = "; ".join(_said(row) for row in rows)
    return _plot(
        f"{metric} by system ({title})", f"Bars with 95 % intervals. {words}.", draw, 0.9 + 0.34 * len(rows)
    )


def _whiskers(axes: "Axes", rows: Sequence[Row], places: Values) -> None:
    """Draw intervals over bars or points."""
    for row, place in zip(rows, places, strict=True):
        if row.ci:
            axes.plot(row.ci, [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")


def _buckets(section: Section, metric: str) -> Plot:
    names = section.buckets
    space = 0.7 / max(len(section.systems), 1)

    def draw(axes: "Axes") -> None:
        for at, system in enumerate(section.systems):
            rows = [section.row(system, f"{metric} | {name}") for name in names]
            kept = [(row, -place - at * space) for place, row in enumerate(rows) if row]
            here = np.asarray([place for _, place in kept])
            colour = COLOURS[at % len(COLOURS)]
            for row, place in kept:
                if row.ci:
                    axes.plot(row.ci, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
            marker = "osD^vPX*"[at % 8]
            axes.plot([row.value for row, _ in kept], here, marker, color=colour, label=system, markersize=5)
        axes.set_yticks(-np.arange(len(names)) - space * (len(section.systems) - 1) / 2, names)
        axes.set_xlabel(_axis(metric))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    words = f"Points with 95 % intervals of {len(section.systems)} systems on {', '.join(names)}; numbers in the table."
    height = 0.9 + max(0.45, 0.17 * len(section.systems)) * len(names)
    return _plot(f"{metric} by part of the queries ({section.place.title})", words, draw, height)


def _cost(section: Section, metric: str, rows: Sequence[Row]) -> Plot:
    each = [
        1000 * section.costs[row.system].score_seconds / section.costs[row.system].queries for row in rows
    ]
    each = [max(value, 1e-4) for value in each]

    def draw(axes: "Axes") -> None:
        for at, (row, cost) in enumerate(zip(rows, each, strict=True)):
            colour = COLOURS[at % len(COLOURS)]
            if row.ci:
                axes.plot([cost, cost], row.ci, color=colour, linewidth=1.6, solid_capstyle="butt")
            marker = "osD^vPX*"[at % 8]
            axes.plot([cost], [row.value], marker, color=colour, label=row.system)
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds a query (logarithmic)")
        axes.set_ylabel(_axis(metric))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    words = "; ".join(
        f"{row.system} {cost:.3g} ms, {row.value:.4f}" for row, cost in zip(rows, each, strict=True)
    )
    return _plot(
        f"Cost against {metric} ({section.place.title})", f"Points with 95 % intervals. {words}.", draw, 3.4
    )


def _distribution(title: str, columns: Mapping[str, Values]) -> Plot:
    kept = {name: values[~np.isnan(values)] for name, values in columns.items()}
    kept = {name: values for name, values in kept.items() if len(values)}

    def draw(axes: "Axes") -> None:
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
    return _plot(title, f"Densities with medians. {words}.", draw, 0.9 + 0.5 * len(kept))


def _said(row: Row) -> str:
    interval = f" ({row.ci[0]:.4f} to {row.ci[1]:.4f})" if row.ci else ""
    return f"{row.system} {row.value:.4f}{interval}"


def _axis(metric: str) -> str:
    return f"{metric}, {'lower' if is_lower_better(metric) else 'higher'} is better"


def _plot(title: str, description: str, draw: "Callable[[Axes], None]", height: float) -> Plot:
    """Draw on a fresh canvas, without any global state."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a report with plots", "evals") from error
    file = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": title}  # matplotlib wants its own literals as keys
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.6, height), layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Plot(title, description, file.getvalue()[file.getvalue().index("<svg") :])


def inline(plot: Plot, number: int) -> str:
    """Return a plot's SVG for a page that holds several: ids of its own, words for screen readers, page's ink."""
    svg = re.sub(r'\bid="', f'id="p{number}-', plot.svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1p{number}-", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", svg, count=1)
    label = f'role="img" aria-labelledby="p{number}-title" aria-describedby="p{number}-said"'
    return svg.replace("<svg", f"<svg {label}", 1).replace(INK, "currentColor")
