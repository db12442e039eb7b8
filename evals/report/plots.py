"""Plots of a report: metrics, parts of the queries, cost, rewards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..results import Row, Values
from .answers import context_curve
from .canvas import COLOURS, INK, Canvas, Plot, axis_label, broken, draw_plot, said, spread_ticks
from .curve import cost_curve
from .markdown import About
from .report import ANSWERED, BILLED, PAIRED, Report, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (3, 5)
"""Panels beside each other, of few systems and of more than `FEW`."""

FEW = 6


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
    if section.place.suite == ANSWERED and (curve := context_curve(section)):
        found.append(curve)
    if section.place.suite == PAIRED and (curve := cost_curve(section)):
        found.append(curve)
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
        axes.set_xlabel(axis_label(metric))

    slots = _slots([row.system for row in rows])
    words = "; ".join(said(row) for row in rows)
    canvas = Canvas(f"{metric} by system", place, 0.7 + slots.height)
    return draw_plot("metrics", canvas, "Bars with 95 % intervals.", words, draw)


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
        figure.supxlabel(axis_label(metric), fontsize=10)

    words = f"{len(systems)} systems on {', '.join(names)}; the numbers are in the table"
    height = 0.6 + down * (0.5 + slots.height)
    canvas = Canvas(f"{metric} by part of the queries", section.place.title, height)
    return draw_plot("buckets", canvas, "Points with 95 % intervals.", words, draw)


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
        axes.set_ylabel(axis_label(metric))
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)

    lines = sum(broken(row.system).count("\n") + 1 for row in rows)
    words = "; ".join(
        f"{row.system} {cost:.3g} ms, {row.value:.4f}" for row, cost in zip(rows, each, strict=True)
    )
    canvas = Canvas(f"Cost against {metric}", section.place.title, 3.4 + 0.11 * (lines + 1))
    about: About = "bill" if section.place.suite == BILLED else "cost"
    return draw_plot(about, canvas, "Points with 95 % intervals.", words, draw)


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
    return draw_plot(
        about, Canvas(title, place, 0.9 + 0.5 * len(kept)), "Densities with medians.", words, draw
    )
