"""A picture of groups: how large each is, and what its members share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...communities import Community
from ...errors import MissingExtraError
from ..whole_files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _BAR, _DOT = "#333333", "#4c78a8", "#e45756"
_WORDS = 3
_ROW = 0.42
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw_groups(communities: Sequence[Community], path: Path) -> None:
    """Write a picture of groups, each a bar of members, with the interests that tell most about it.

    Args:
        communities: Groups, in the order from top to bottom.
        path: A `.png` or `.svg` file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("a plot of groups", "evals") from error
    figure = Figure(figsize=(11, 1.3 + _ROW * max(len(communities), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    sizes, lifts = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = range(len(communities))
    sizes.barh(rows, [each.size for each in communities], color=_BAR, height=0.6)
    sizes.set_yticks(list(rows), [_label(each) for each in communities], color=_INK)
    sizes.invert_yaxis()
    sizes.set_xlabel("members")
    _draw_lifts(lifts, communities)
    for axes in (sizes, lifts):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{len(communities)} groups: members, and how telling their shared interests are")
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=120, format=path.suffix.removeprefix("."))


def _draw_lifts(axes: "Axes", communities: Sequence[Community]) -> None:
    """Draw a point an interest: right is more telling, larger is shared by more of the members."""
    points = [
        (interest.lift, row, interest.share)
        for row, community in enumerate(communities)
        for interest in community.interests
    ]
    axes.scatter(
        [lift for lift, _, _ in points],
        [row for _, row, _ in points],
        s=[20 + 120 * share for _, _, share in points],
        color=_DOT,
        alpha=0.6,
        linewidths=0,
    )
    axes.axvline(1.0, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    highest = max((lift for lift, _, _ in points), default=2.0)
    ticks = [tick for tick in _TICKS if tick <= max(highest, 2.0)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("lift, logarithmic; larger dots: more members share it")


def _label(community: Community) -> str:
    words = ", ".join(interest.phrase for interest in community.interests[:_WORDS])
    return words or f"{community.group_id} (mixed)"
