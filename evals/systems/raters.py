"""Raters: means, a damped bias model, and a chat model that reads a portrait, a history or nothing.

As specs: `mean`, `user-mean`, `item-mean`, `bias:item=25,user=10`, `mf:factors=16`,
`judge:given=profile,writer=extractive`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from ...errors import SettingsError
from ...records import Record, Usage
from ...settings import NO_MODEL
from ...tools.rating_levels import ShownScale
from ...tools.spans import owners
from ...tools.waiting import wait_for
from ..dataset import Events, FloatArray, IntArray
from ..options import NoOptions, named, read_options
from ..portraits.painters import EXTRACTIVE
from ..questions.answering import open_questioner
from ..questions.conditions import Condition, contexts_for, writer_of
from ..questions.describe_history import RECENT
from ..questions.next_item import describe_items
from ..questions.rating_questions import Guesses, guess_ratings, scale_of
from ..rating_metrics import MIDDLE, mean_of
from ..splits import Past, Queries
from ..system import Rater
from ..workspace import Workspace
from .factors import FactorOptions, Factors


class GlobalMean:
    """Everybody's mean."""

    name = "mean"

    def fit(self, past: Past) -> None:
        """Average all ratings."""
        self.mean = mean_of(past.events.rating)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Say the same of everything."""
        return np.full(len(items), self.mean, dtype=np.float32)


class UserMean:
    """The mean of each user's own ratings; everybody's where there are none."""

    name = "user-mean"

    def fit(self, past: Past) -> None:
        """Average all ratings, for users without any."""
        self.mean = mean_of(past.events.rating)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Average each history."""
        sums, counts = _sums(queries, queries.history.rating)
        return np.where(counts > 0, sums / np.maximum(counts, 1), self.mean).astype(np.float32)


class ItemMean:
    """The mean of what others gave each item; everybody's mean where nobody rated it."""

    name = "item-mean"

    def fit(self, past: Past) -> None:
        """Average the ratings of each item."""
        self.mean = mean_of(past.events.rating)
        sums, counts = _by_item(past.events, past.n_items, 0.0)
        self._items = np.where(counts > 0, sums / np.maximum(counts, 1), self.mean)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Look the items up."""
        return self._items[items].astype(np.float32)


class BiasOptions(Record):
    """How strongly the bias model holds back."""

    item: NonNegativeFloat = 25.0
    """Ratings at the mean that every item is thought to have beside its own."""

    user: NonNegativeFloat = 10.0
    """The same for every user."""


class Bias:
    """Mean + what an item gets above it + what a user gives above both, each damped.

    Source:
        Koren 2010, https://doi.org/10.1145/1644873.1644874, section 2.1: the decoupled estimate and its constants.
    """

    def __init__(self, options: BiasOptions) -> None:
        self.name = named("bias", options)
        self._options = options

    def fit(self, past: Past) -> None:
        """Estimate the items' biases; a user's comes from the history of each query."""
        self.mean = mean_of(past.events.rating)
        sums, counts = _by_item(past.events, past.n_items, self.mean)
        self._items = sums / np.maximum(counts + self._options.item, 1e-9)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Add the three up."""
        expected = self.mean + self._items[queries.history.item]
        sums, counts = _sums(queries, queries.history.rating - expected)
        users = sums / np.maximum(counts + self._options.user, 1e-9)
        predicted: FloatArray = (self.mean + self._items[items] + users).astype(np.float32)
        return predicted


class JudgeOptions(Record):
    """What the judge is given."""

    given: Literal["nothing", "history", "profile"] = "profile"
    """What the model is told of a person before it guesses."""

    last: PositiveInt = RECENT
    """Interactions of the raw history."""

    writer: str = EXTRACTIVE
    """Who writes the portrait: `extractive`, `model` for the one that guesses, or a LiteLLM model string."""


class Judge:
    """A chat model guesses; where it names no rating or gives no answer, the middle of the scale stands in.

    Args:
        options: What the model is given.
        workspace: Names the model; answers and portraits are kept in its folder.

    Raises:
        SettingsError: No model is configured.
    """

    def __init__(self, options: JudgeOptions, workspace: Workspace) -> None:
        if workspace.settings.model == NO_MODEL:
            raise SettingsError("model", "is `none`, and the rater `judge` needs a chat model")
        self.name = named("judge", options)
        self.usage = Usage()
        """What the last `rate` cost, portraits included."""

        self.kept_seconds = 0.0
        """Seconds of the calls behind portraits of an earlier run."""

        self.complete = True
        """Whether the last guesses, and the portraits for them, all came from who should have made them."""

        self.readable: FloatArray | None = None
        """For each of the last guesses, whether the answer named a rating: 1, 0, or NaN without an answer."""

        self.caveats: tuple[str, ...] = ()
        """What a reader of the last guesses should know."""

        self._workspace = workspace
        self._condition = Condition(
            self.name, options.given, options.last, writer_of(options.writer, workspace)
        )
        self._past: Past | None = None
        self._mean = MIDDLE
        self._scale: ShownScale | None = None

    def fit(self, past: Past) -> None:
        """Learn the scale."""
        self._past, self._mean = past, mean_of(past.events.rating)
        self._scale = scale_of(past.events.rating)

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Ask the model about each query and item.

        Raises:
            ModelUnavailableError: Not one question could be answered.
        """
        if self._scale is None or self._scale.levels < 2:
            self.readable = None
            return np.full(len(items), self._mean, dtype=np.float32)
        assert self._past is not None, "set with the scale"
        told = contexts_for(self._condition, self._past, queries, self._scale, self._workspace)
        guesses = wait_for(self._guess(self._past, queries, items, told.contexts, self._scale))
        self.usage = Usage.total((*guesses.usage, told.usage))
        self.kept_seconds, self.readable = told.kept_seconds, guesses.readable
        missing = np.isnan(guesses.ratings)
        self.complete = told.complete and not missing.any()
        where = f"{missing.sum()} of {len(items)} guesses without an answer"
        stand_ins = [f"the middle of the scale stands in for {where}"] if missing.any() else []
        self.caveats = (*told.notes, *guesses.notes, *stand_ins)
        return np.where(missing, np.float32(self._scale.middle), guesses.ratings)

    async def _guess(
        self, past: Past, queries: Queries, items: IntArray, contexts: Sequence[str], scale: ShownScale
    ) -> Guesses:
        names = past.ids_of(queries.user)
        async with open_questioner(self._workspace) as questioner:
            return await guess_ratings(
                questioner, scale, names, describe_items(past.items, items), contexts, label=self.name
            )


PLAIN: Mapping[str, Callable[[], Rater]] = {
    "mean": GlobalMean,
    "user-mean": UserMean,
    "item-mean": ItemMean,
}
"""Raters without anything to set."""

WITH_OPTIONS = ("bias", "mf", "judge")
"""Raters with options."""


def make_rater(name: str, options: Mapping[str, str], workspace: Workspace) -> Rater:
    """Return a rater by its name.

    Raises:
        SettingsError: There is none of this name, or an option is wrong.
    """
    if name == "judge":
        return Judge(read_options(JudgeOptions, name, options), workspace)
    if name == "bias":
        return Bias(read_options(BiasOptions, name, options))
    if name == "mf":
        return Factors(read_options(FactorOptions, name, options))
    if name not in PLAIN:
        raise SettingsError(
            "--system", f"{name!r} is no rater; the raters are {', '.join((*PLAIN, *WITH_OPTIONS))}"
        )
    read_options(NoOptions, name, options)
    return PLAIN[name]()


def _by_item(events: Events, n_items: int, above: float) -> tuple[FloatArray, IntArray]:
    """Return, for each item, the sum of its ratings above a level, and their number."""
    rated = ~np.isnan(events.rating)
    items = events.item[rated]
    sums = np.bincount(items, weights=events.rating[rated] - above, minlength=n_items)
    return sums.astype(np.float32), np.bincount(items, minlength=n_items)


def _sums(queries: Queries, values: NDArray[np.floating[Any]]) -> tuple[FloatArray, IntArray]:
    """Return, for each query, the sum of its history's values that are there, and their number."""
    owner = owners(queries.starts)
    there = ~np.isnan(values)
    sums = np.bincount(owner[there], weights=values[there], minlength=len(queries))
    return sums.astype(np.float32), np.bincount(owner[there], minlength=len(queries))
