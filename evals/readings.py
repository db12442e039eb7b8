"""A past in words: what was had or said, and what was chosen next, to tune an encoder on."""

from collections.abc import Iterator

import numpy as np

from ..tools.lessons import Words
from .portraits.liked_texts import liked_texts
from .portraits.moments import moment_of
from .portraits.portraits import Portraits
from .portraits.studio import Wanted
from .spaces import sequences_of
from .splits import Past
from .systems.history import history_text
from .workspace import Workspace

_WINDOW = 10
_CHARS = 100
_FEWEST = 3
_MOST = 200_000


def readings_of(
    past: Past, workspace: Workspace, *, portraits: int = 0, writer: str = "extractive"
) -> list[Words]:
    """Return moments of the past as texts; the past's seed decides which.

    Args:
        past: All that may be known.
        workspace: Where portraits are kept.
        portraits: Users whose portrait, and portrait with newest items, are queries too.
        writer: Who writes them.
    """
    sequences, rng = sequences_of(past), np.random.default_rng(past.seed)
    at = [(user, place) for user, items in enumerate(sequences) for place in range(1, len(items))]
    chosen: list[int] = rng.permutation(len(at))[:_MOST].tolist()
    found = [_words(past, sequences[at[row][0]], at[row][1]) for row in chosen]
    return [*found, *_spoken(past, workspace, portraits, writer)] if portraits else found


def _spoken(past: Past, workspace: Workspace, count: int, writer: str) -> Iterator[Words]:
    sequences = sequences_of(past)
    able = [user for user, items in enumerate(sequences) if len(items) > _FEWEST]
    users: list[int] = np.random.default_rng(past.seed).permutation(able)[:count].tolist()
    drawing = Portraits(workspace, writer=writer)
    drawing.fit(past)
    ends = np.searchsorted(past.events.user, np.arange(len(past.user_ids)), side="right")
    last = [moment_of(int(past.events.at[ends[user] - 1]), past.card.clock) for user in users]
    profiles = drawing.draw_users(
        [Wanted(past.user_ids[user], moment) for user, moment in zip(users, last, strict=True)]
    )
    for user, profile in zip(users, profiles, strict=True):
        if profile is None or not profile.facets:
            continue
        newest = _words(past, sequences[user], len(sequences[user]) - 1)
        said = liked_texts(profile.facets)[-1]
        yield newest._replace(query=said)
        yield newest._replace(query=f"{said} {newest.query}")


def _words(past: Past, items: np.ndarray[tuple[int], np.dtype[np.int64]], place: int) -> Words:
    newest = items[max(0, place - _WINDOW) : place][::-1]
    return Words(
        history_text(past.items, newest, _CHARS),
        past.items[int(items[place])].describe(_CHARS),
        tuple(past.items[int(item)].describe(_CHARS) for item in newest),
    )
