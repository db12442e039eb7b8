"""The raw history as a model is told it before a question."""

from collections.abc import Sequence

import numpy as np

from ...agents.case import one_line
from ...records import Item
from ...tools.rating_levels import ShownScale
from ..dataset import Events

RECENT = 10
"""Interactions that a rater is told, unless it is told how many."""

_TITLE = 60
_LABELS = 40
_QUOTE = 100


def describe_history(
    events: Events, items: Sequence[Item], scale: ShownScale | None = None, last: int | None = None
) -> str:
    """Return the last interactions, one a line, newest last; ratings as levels of the shown scale.

    Without `last`, all of them.
    """
    first = 0 if last is None else max(0, len(events) - last)
    return "\n".join(_line(events, row, items, scale) for row in range(first, len(events)))


def _line(events: Events, row: int, items: Sequence[Item], scale: ShownScale | None) -> str:
    item = items[int(events.item[row])]
    title = one_line(item.title)[:_TITLE] or "untitled"
    labels = one_line(", ".join([*item.categories, *item.tags]))[:_LABELS]
    parts = [f"- {title} ({labels})" if labels else f"- {title}"]
    rating = float(events.rating[row])
    if scale is not None and not np.isnan(rating):
        parts.append(f"rated {scale.shown(rating)} of {scale.levels}")
    if events.text is not None and events.text[row]:
        quote = one_line(events.text[row])[:_QUOTE].replace('"', "'")
        parts.append(f'wrote: "{quote}"')
    return "; ".join(parts)
