"""Where the marks of the report's reward plots go, in units of their SVG view box."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

from ..models import Rollout

Mark = Literal["floor", "draft", "published", "mean"]

WIDTH, HEIGHT = 360.0, 216.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 348.0, 16.0, 184.0
SPREAD = 0.72
"""Share of a column's width that the drafts of one round may use."""

SPACING = 21.0
"""Widest distance between two drafts of one round."""

CAPTION = 56.0
"""Width of the longest caption."""

ROOMY = 4
"""Columns that leave room for whole words under them."""

CAPTION_GAP = 13.0
"""How far a caption stands above its mark."""

FAINT_LINES = 60
"""Users drawn as single lines in the summary; more would only make a smear."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One mark of a plot."""

    x: float
    y: float
    label: str
    """What a reader who points at it is told."""

    mark: Mark
    spoiled: bool = False
    """Whether it lies below the scale: the draft leaked or could not be read."""

    caption: str = ""
    """Words printed beside it; empty for none."""

    caption_y: float = 0.0

    anchor: Literal["start", "middle", "end"] = "middle"
    """Which end of the caption stands at `x`, so that it stays inside the drawing."""


class Label(NamedTuple):
    """A word on an axis and its place along it."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing, ready for a template that only copies numbers."""

    dots: tuple[Dot, ...]
    ticks: tuple[Label, ...]
    columns: tuple[Label, ...]
    line: str
    """Points of the line through the best, or the mean, of each column."""

    faint: tuple[str, ...] = ()
    """Points of the lines in the background."""

    floor_y: float | None = None
    """Height of the extractive floor; absent if it was not scored."""

    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    bottom: float = BOTTOM


class Stages(NamedTuple):
    """One user's total reward at the three stages that are compared."""

    floor: float
    first: float
    """Mean of the first drafts."""

    published: float


STAGE_NAMES = ("extractive floor", "first draft, mean", "published")


def total_of(draft: Rollout) -> float | None:
    """Return the draft's total reward; absent if it was not scored or is not a number."""
    total = draft.rewards.get("total")
    return total if total is not None and math.isfinite(total) else None


def name_draft(draft: Rollout) -> str:
    """Return what a reader calls the draft."""
    if draft.round < 0:
        return "extractive floor"
    if draft.round == 0:
        return f"first draft {draft.draft_ix + 1}"
    return f"revision {draft.round}, draft {draft.draft_ix + 1}"


def is_spoiled(draft: Rollout) -> bool:
    """Return whether the draft leaked or could not be read, so that its total says nothing of its worth."""
    total = total_of(draft)
    return total is not None and (total <= -1.0 or draft.rewards.get("leak", 0.0) > 0.0)


class _Scale:
    """Maps rewards to heights; its ends are round numbers around everything shown."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        span = max(high - low, 0.02)
        step = 10.0 ** math.floor(math.log10(span / 2))
        self.step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 4)
        self.low = math.floor(low / self.step - 0.25) * self.step
        self.high = math.ceil(high / self.step + 0.25) * self.step

    def height(self, value: float) -> float:
        share = (max(value, self.low) - self.low) / (self.high - self.low)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def ticks(self) -> tuple[Label, ...]:
        count = round((self.high - self.low) / self.step)
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9))
        values = [self.low + index * self.step for index in range(count + 1)]
        return tuple(Label(self.height(value), f"{value + 0.0:.{digits}f}") for value in values)


def _centre(column: int, columns: int) -> float:
    return LEFT + (RIGHT - LEFT) * (column + 0.5) / columns


def _across(index: int, count: int, columns: int) -> float:
    """Return how far the draft stands from the middle of its column, so that drafts do not hide each other."""
    room = (RIGHT - LEFT) / columns * SPREAD
    gap = min(SPACING, room / max(count - 1, 1))
    return (index - (count - 1) / 2) * gap


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _round_name(number: int, columns: int) -> str:
    roomy = columns <= ROOMY
    if number > 0:
        return f"revision {number}" if roomy else f"rev. {number}"
    return "floor" if number < 0 else "first drafts" if roomy else "first"


def _by_round(drafts: Sequence[Rollout]) -> Mapping[int, list[tuple[Rollout, float]]]:
    rounds: dict[int, list[tuple[Rollout, float]]] = {}
    for draft in sorted(drafts, key=lambda draft: (draft.round, draft.draft_ix)):
        if (total := total_of(draft)) is not None:
            rounds.setdefault(max(draft.round, -1), []).append((draft, total))
    return rounds


def plot_drafts(drafts: Sequence[Rollout]) -> Plot | None:
    """Draw every scored draft of one portrait by round and total; absent if none was scored."""
    rounds = _by_round(drafts)
    if not rounds:
        return None
    clean = {
        number: [total for draft, total in scored if not is_spoiled(draft)]
        for number, scored in rounds.items()
    }
    scale = _Scale([total for totals in clean.values() for total in totals])
    dots: list[Dot] = []
    columns: list[Label] = []
    best: list[tuple[float, float]] = []
    for column, (number, scored) in enumerate(rounds.items()):
        centre = _centre(column, len(rounds))
        columns.append(Label(round(centre, 1), _round_name(number, len(rounds))))
        placed = [
            _draft_dot(draft, total, centre + _across(index, len(scored), len(rounds)), scale)
            for index, (draft, total) in enumerate(scored)
        ]
        dots += placed
        best += sorted(((dot.x, dot.y) for dot in placed if not dot.spoiled), key=lambda at: at[1])[:1]
    floor = clean.get(-1)
    return Plot(
        dots=tuple(dots),
        ticks=scale.ticks(),
        columns=tuple(columns),
        line=_points(best) if len(best) > 1 else "",
        floor_y=scale.height(floor[0]) if floor else None,
    )


def _draft_dot(draft: Rollout, total: float, x: float, scale: _Scale) -> Dot:
    spoiled = is_spoiled(draft)
    y = BOTTOM if spoiled else scale.height(total)
    mark: Mark = "published" if draft.selected else ("floor" if draft.round < 0 else "draft")
    remarks = ["published"] * draft.selected + ["leaked or unreadable"] * spoiled
    return Dot(
        x=round(x, 1),
        y=y,
        label=", ".join([f"{name_draft(draft)}: {total:.3f}", *remarks]),
        mark=mark,
        spoiled=spoiled,
        caption="published" if draft.selected else "",
        caption_y=round(y - CAPTION_GAP, 1),
        anchor="end" if x > RIGHT - CAPTION / 2 else "start" if x < LEFT + CAPTION / 2 else "middle",
    )


def plot_stages(users: Sequence[Stages]) -> Plot | None:
    """Draw the mean of the three stages over the users, with a faint line for each; absent without users."""
    if not users:
        return None
    drawn = users[:FAINT_LINES]
    means = [fmean(values) for values in zip(*users, strict=True)]
    scale = _Scale([value for stages in drawn for value in stages] + means)
    centres = [_centre(column, len(means)) for column in range(len(means))]
    heights = [scale.height(mean) for mean in means]
    return Plot(
        dots=tuple(
            Dot(
                x=round(x, 1),
                y=y,
                label=f"{name}: {mean:.3f}",
                mark="mean",
                caption=f"{mean:.3f}",
                caption_y=round(y - CAPTION_GAP, 1),
            )
            for x, y, name, mean in zip(centres, heights, STAGE_NAMES, means, strict=True)
        ),
        ticks=scale.ticks(),
        columns=tuple(
            Label(round(x, 1), name)
            for x, name in zip(centres, ("floor", "first drafts", "published"), strict=True)
        ),
        line=_points(list(zip(centres, heights, strict=True))),
        faint=tuple(
            _points([(x, scale.height(value)) for x, value in zip(centres, stages, strict=True)])
            for stages in drawn
        ),
    )
