"""P: portraits in words, scored by the vectors of their sentences; and what they must be compared with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from ...models import Profile
from ...records import Item, Record, Usage
from ..dataset import FloatArray
from ..encoding import Encoding, label_of
from ..options import named, read_options
from ..pooling import score_late
from ..portraits.liked_texts import liked_texts
from ..portraits.moments import moment_of
from ..portraits.painters import EXTRACTIVE, LoopPainter, Painter, ZeroShotPainter
from ..portraits.portraits import Portraits, asked_at
from ..portraits.studio import Wanted
from ..spaces import OwnSpace
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace

if TYPE_CHECKING:
    from ...tools.chat import ChatModel

Form = Literal["late", "whole"]

_CANDIDATES = 20


class DrawnOptions(Record):
    """Who writes portraits, and what encodes them."""

    encoder: str = ""
    """`minilm`, `sentence-transformers/FOLDER`, or a LiteLLM embedding model; absent for the configured one."""

    writer: str = EXTRACTIVE
    """`extractive`, or a LiteLLM model string such as `limner/smollm2-135m`."""

    space: str = ""
    """`fit` to teach one on the past, or a file of `limner distill embed`; absent for the encoder's own."""

    teaching_seed: NonNegativeInt | None = None
    """Seed of `space=fit`; that of the run if absent."""

    sitters: NonNegativeInt = 0
    """Users of the past whose portraits `space=fit` learns from too; each is drawn."""


class LoopOptions(DrawnOptions):
    """How Limner's own loop draws; what is absent is as configured."""

    drafts: PositiveInt | None = None
    """First drafts of each user."""

    rounds: NonNegativeInt | None = None
    """Revision rounds; with 0 and `drafts=1` the writer is asked once."""

    style: Literal["free", "lexicon", "plain"] | None = None
    """How drafts are written."""

    @property
    def painter(self) -> LoopPainter:
        """Who draws."""
        chosen = {"drafts": self.drafts, "rounds": self.rounds, "style": self.style}
        return LoopPainter(self.writer, {name: value for name, value in chosen.items() if value is not None})


class PortraitOptions(LoopOptions):
    """Who writes portraits, and how they score items."""

    form: Form = "late"
    """`late`: a vector a liked sentence, pooled by a soft maximum; `whole`: all of them as one text."""


class ZeroShotOptions(DrawnOptions):
    """Who describes people in one plain completion, and how that scores items."""

    writer: str = ""
    """A LiteLLM model string; absent for the configured model."""

    form: Form = "late"
    """`late`: a vector a sentence, pooled by a soft maximum; `whole`: all of them as one text."""


def make_profile(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `profile`: Limner's portraits."""
    chosen = read_options(PortraitOptions, "profile", options)
    return PortraitSystem("profile", chosen, workspace, chosen.painter)


def make_zero_shot(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `zero-shot`: one plain completion instead of the loop."""
    chosen = read_options(ZeroShotOptions, "zero-shot", options)
    chosen = chosen.model_copy(update={"writer": chosen.writer or workspace.settings.model})
    return PortraitSystem("zero-shot", chosen, workspace, ZeroShotPainter(chosen.writer))


def make_random_profile(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `random-profile`: the portrait of somebody else, as of the same moment."""
    chosen = read_options(PortraitOptions, "random-profile", options)
    return RandomPortraitSystem("random-profile", chosen, workspace, chosen.painter)


class DrawnSystem:
    """What every system that rests on portraits is made of: they, an encoder, and what they cost.

    Args:
        name: Name in a spec.
        options: As given; they complete the name in tables.
        workspace: Where portraits and vectors are kept.
        painter: How portraits come about.
        chat: A model to use in place of every one that is named.
    """

    def __init__(
        self,
        name: str,
        options: DrawnOptions,
        workspace: Workspace,
        painter: Painter,
        *,
        chat: "ChatModel | None" = None,
    ) -> None:
        encoder = options.encoder or workspace.settings.embedder
        self._encoding = Encoding(encoder, workspace)
        self._own = OwnSpace(options.space, self._encoding, workspace)
        shown = {"encoder": label_of(encoder)} | ({"space": self._own.label} if options.space else {})
        self.name = named(name, options.model_copy(update=shown))
        self.portraits = Portraits(workspace, painter=painter, chat=chat)
        self._drawn = options
        self._notice = workspace.notice
        self._temperature = workspace.settings.critic.temperature
        self._items: Sequence[Item] = ()

    def fit(self, past: Past) -> None:
        """Encode the catalogue, and teach the space if it is to be taught; else nobody is drawn before asked for."""
        self._items = past.items
        self.portraits.fit(past)
        self._encoding.encode_items(past.items)
        self._own.fit(
            past, seed=self._drawn.teaching_seed, portrayed=self._portray, sitters=self._drawn.sitters
        )

    @property
    def learns(self) -> bool:
        """Whether `fit` teaches a space."""
        return self._own.learns

    @property
    def chosen(self) -> Mapping[str, object]:
        """The space in use."""
        return self._own.chosen

    @property
    def temperature(self) -> float:
        """Of the late interaction: the space's own, or the critic's."""
        return self._own.space.temperature or self._temperature

    def _portray(self, past: Past, wanted: Sequence[tuple[int, int]]) -> list[FloatArray]:
        """Draw users of the past right before a place in their sequence."""
        starts = np.searchsorted(past.events.user, np.arange(len(past.user_ids)))
        at = [int(past.events.at[starts[user] + cut]) for user, cut in wanted]
        entries = [
            Wanted(past.user_ids[user], moment_of(moment, past.card.clock))
            for (user, _), moment in zip(wanted, at, strict=True)
        ]
        return profile_vectors(self.portraits.draw_users(entries), self._encoding)

    @property
    def usage(self) -> Usage:
        """What the portraits cost when they were drawn."""
        return self.portraits.usage

    @property
    def kept_seconds(self) -> float:
        """Seconds of the calls behind portraits of an earlier run."""
        return self.portraits.kept_seconds

    @property
    def complete(self) -> bool:
        """Whether whoever should have written the portraits did."""
        return self.portraits.complete

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader should know of the portraits."""
        return self.portraits.caveats

    def texts_seen(self, queries: Queries) -> Sequence[str]:
        """Return what each query was scored by, as words."""
        return self.portraits.texts_seen(queries)


class PortraitSystem(DrawnSystem):
    """Scores items by what a portrait says the user likes."""

    def __init__(
        self,
        name: str,
        options: PortraitOptions | ZeroShotOptions,
        workspace: Workspace,
        painter: Painter,
        *,
        chat: "ChatModel | None" = None,
    ) -> None:
        super().__init__(name, options, workspace, painter, chat=chat)
        self._form: Form = options.form

    def score(self, queries: Queries) -> FloatArray:
        """Score every item; a user without a portrait scores all alike."""
        profiles = self.profiles(queries)
        if missing := sum(profile is None for profile in profiles):
            self._notice(f"{self.name}: {missing} of {len(profiles)} users have nothing to draw from")
        matrix = self._encoding.encode_items(self._items)
        vectors = profile_vectors(profiles, self._encoding, form=self._form)
        return score_late(
            [self._own.users(facets) for facets in vectors],
            self._own.items(matrix),
            temperature=self.temperature,
        )

    def profiles(self, queries: Queries) -> list[Profile | None]:
        """Return each query's portrait; `None` where there is nothing to draw from."""
        return self.portraits.draw(queries)


class RandomPortraitSystem(PortraitSystem):
    """Scores items by the portrait of another user: what a portrait's form alone gives."""

    _past: Past

    def fit(self, past: Past) -> None:
        """Remember who there is."""
        super().fit(past)
        self._past = past

    def profiles(self, queries: Queries) -> list[Profile | None]:
        """Return a portrait of somebody else for each query."""
        clock, ids = self._past.card.clock, self._past.user_ids
        others = [draw_other(self._past, user, at) for user, at in asked_at(queries)]
        wanted = [
            None if other is None else Wanted(ids[other.user], moment_of(other.as_of, clock))
            for other in others
        ]
        drawn = iter(self.portraits.draw_users([entry for entry in wanted if entry is not None]))
        return [None if entry is None else next(drawn) for entry in wanted]

    def texts_seen(self, queries: Queries) -> Sequence[str]:
        """Return nothing: somebody else's portrait names a target by chance alone."""
        return [""] * len(queries)


class Other(NamedTuple):
    """Somebody else, at a moment."""

    user: int
    as_of: int
    """Right behind what the past holds of this user before the question."""


def draw_other(past: Past, user: int, as_of: int) -> Other | None:
    """Draw somebody else who had done something before a moment; the past's seed and the user decide who.

    Returns:
        The other; `None` if none of 20 candidates had done anything.
    """
    rng = np.random.default_rng([past.seed % 2**63, user])
    for candidate in rng.integers(len(past.user_ids), size=_CANDIDATES).tolist():
        span = slice(*np.searchsorted(past.events.user, [candidate, candidate + 1]).tolist())
        before = past.events.at[span][past.events.at[span] < as_of]
        if candidate != user and len(before):
            return Other(int(candidate), int(before.max()) + 1)
    return None


def profile_vectors(
    profiles: Sequence[Profile | None], encoding: Encoding, *, form: Form = "late"
) -> list[FloatArray]:
    """Return the vectors that each portrait scores items by, shape `(F_u, D)`; F = 0 without a portrait."""
    return encoding.encode_each([_texts(profile, form) for profile in profiles])


def _texts(profile: Profile | None, form: Form) -> list[str]:
    """Return the sentences about what the user likes, then all of them as one; or the last alone."""
    if profile is None or not profile.facets:
        return []
    texts = liked_texts(profile.facets)
    return texts if form == "late" else texts[-1:]
