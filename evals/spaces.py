"""The space that a system's sentences score items in: the encoder's own, one from a file, or one taught in `fit`.

A space is taught from the past alone, so it knows nothing of any question; and since it needs only texts, what was
taught on one catalogue answers about another.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from ..tools.lessons import Lessons, PastPortrait
from ..tools.space import ENCODERS_OWN, load_space
from .dataset import FloatArray, IntArray
from .encoding import Encoding
from .splits import Past
from .workspace import Workspace

FIT = "fit"
"""Value of the option `space` that teaches one."""

_FEWEST = 3
"""Items before a portrait."""

Portrayed = Callable[[Past, Sequence[tuple[int, int]]], Sequence[FloatArray]]
"""Takes users with the place in their sequence before which to draw them; returns vectors of facets, or none."""


class OwnSpace:
    """The space of one system.

    Args:
        option: Empty for the encoder's own, `fit`, or a file of `limner distill embed`.
        encoding: Of the system.
        workspace: Teaches.

    Raises:
        SettingsError: `fit` is asked for, and nobody teaches.
        SpaceFileError: The file holds no space.
        WrongSpaceError: The file's space was taught on another encoder.
    """

    def __init__(self, option: str, encoding: Encoding, workspace: Workspace) -> None:
        self.learns = option == FIT
        if self.learns and workspace.teach is None:
            raise SettingsError(
                "space", "`fit` needs a teacher; run `limner eval`, or give the workspace one"
            )
        self._encoding, self._workspace = encoding, workspace
        self.space = ENCODERS_OWN
        if option and not self.learns:
            self.space = load_space(Path(option), encoder=encoding.name)
        self.label = FIT if self.learns else self.space.name if option else ""
        self._mapped: tuple[FloatArray, str, FloatArray] | None = None

    def fit(
        self,
        past: Past,
        *,
        seed: int | None = None,
        portrayed: Portrayed | None = None,
        sitters: int = 0,
    ) -> None:
        """Teach the space if it is to be taught; a past without events leaves what was learned.

        Args:
            past: All that may be known.
            seed: Of the teaching; that of the past if absent.
            portrayed: Draws portraits of users of the past.
            sitters: How many to draw.
        """
        teach = self._workspace.teach
        if not self.learns or teach is None or not len(past.events):
            return
        drawn = seat(past, sitters, portrayed) if portrayed and sitters else ()
        lessons = lessons_of(past, self._encoding, drawn)
        chosen = past.seed if seed is None else seed
        self.space = teach(lessons, seed=chosen, notice=self._workspace.notice)
        self._mapped = None

    def items(self, matrix: FloatArray) -> FloatArray:
        """Map a catalogue, shape `(N, D)`; the last one is kept."""
        if self.space.is_identity:
            return matrix
        if self._mapped is None or self._mapped[0] is not matrix or self._mapped[1] != self.space.name:
            self._mapped = (matrix, self.space.name, self.space.items(matrix))
        return self._mapped[2]

    def users(self, vectors: FloatArray) -> FloatArray:
        """Map what speaks of users, shape `(..., D)`."""
        return self.space.users(vectors)

    @property
    def chosen(self) -> Mapping[str, object]:
        """What was learned, for the notes of a result."""
        if self.space.is_identity:
            return {}
        space = self.space
        scalars = {"decay": space.decay, "temperature": space.temperature, "share": space.share}
        facts = {name: space.taught[name] for name in ("source", "seed", "step") if name in space.taught}
        return {"space": space.name, **facts, **{name: value for name, value in scalars.items() if value}}


def lessons_of(past: Past, encoding: Encoding, portraits: Sequence[PastPortrait] = ()) -> Lessons:
    """Return a past as lessons."""
    return Lessons(
        encoder=encoding.name,
        items=encoding.encode_items(past.items),
        sequences=sequences_of(past),
        portraits=portraits,
        source=past.card.name,
    )


def sequences_of(past: Past) -> list[IntArray]:
    """Return each user's items by user number, oldest first; empty for users without any."""
    starts = np.searchsorted(past.events.user, np.arange(len(past.user_ids) + 1)).tolist()
    return [past.events.item[start:end] for start, end in pairwise(starts)]


def seat(past: Past, sitters: int, portrayed: Portrayed) -> list[PastPortrait]:
    """Draw portraits of some users of the past, each right before the last item.

    Args:
        past: The seed decides who sits; at least three items come before the portrait.
        sitters: How many.
        portrayed: Draws.
    """
    starts = np.searchsorted(past.events.user, np.arange(len(past.user_ids) + 1))
    able = np.flatnonzero(np.diff(starts) > _FEWEST)
    chosen: list[int] = np.random.default_rng(past.seed).permutation(able)[:sitters].tolist()
    cuts = [_moment_start(past, int(starts[user]), int(starts[user + 1])) for user in chosen]
    wanted = [(user, cut) for user, cut in zip(chosen, cuts, strict=True) if cut >= _FEWEST]
    return [
        PastPortrait(user, cut, facets)
        for (user, cut), facets in zip(wanted, portrayed(past, wanted), strict=True)
        if len(facets)
    ]


def _moment_start(past: Past, start: int, end: int) -> int:
    """Return the place in a sequence of the first event at the moment of its last: nothing of it was before."""
    at: list[int] = past.events.at[start:end].tolist()
    return bisect_left(at, at[-1])
