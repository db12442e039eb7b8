"""The suite `profile`: what portraits are like, whether or not they predict."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from ...errors import SettingsError
from ...models import Profile
from ...records import Record, Usage
from ..dataset import FloatArray
from ..encoding import Encoding, label_of
from ..failing import failing_in
from ..lexical import WordScores
from ..portraits.quality import Hanging, agreement, measure_portraits, scores_of
from ..prepared import Prepared, own_options, prepare
from ..registry import build
from ..results import Cost, DataCard, Measured, Probe
from ..splits import Past, Queries
from ..suite import Task
from ..system import Dependent, Doubtful, Keeping

WORDS = "words"
"""Names the lexical scorer where an encoder could stand."""


class ProfileOptions(Record):
    """Options of the suite, as `--set` gives them."""

    encoder: str = ""
    """What similarities and support are measured with; absent for the configured encoder."""

    second: str = WORDS
    """Another encoder, to see whether it agrees on which items a portrait points at; `words` for TF-IDF."""


@runtime_checkable
class Portraying(Protocol):
    """A system that makes portraits."""

    name: str
    usage: Usage

    def fit(self, past: Past) -> None:
        """Take in what may be known."""
        ...

    def profiles(self, queries: Queries) -> list[Profile | None]:
        """Return each query's portrait; `None` where there is nothing to draw from."""
        ...


class Profiles:
    """Portraits against the histories they were drawn from, and against each other."""

    name = "profile"
    together = False
    default_systems = ("profile", "random-profile")

    def measure(self, task: Task) -> Sequence[Measured]:
        """Draw every test user as of the question, and look at the portraits."""
        options = own_options(task, ProfileOptions)
        [folder] = task.data
        prepared = prepare(task, folder)
        system = build(task.system, task.workspace)
        if not isinstance(system, Portraying):
            raise SettingsError(
                "system", f"{task.system!r} makes no portraits; `profile`, `zero-shot` and `judged` do"
            )
        past, queries = prepared.split.past, prepared.test.queries
        started = time.perf_counter()
        with failing_in(system.name, "fit"):
            system.fit(past)
        fitted = time.perf_counter()
        with failing_in(system.name, "profiles"):
            profiles = system.profiles(queries)
        drawn = time.perf_counter()
        cost = Cost(
            fit_seconds=fitted - started,
            score_seconds=drawn - fitted + (system.kept_seconds if isinstance(system, Keeping) else 0.0),
            queries=len(queries),
            usage=system.usage,
        )
        hanging = _hang(task, options, prepared, profiles)
        measured = _measured(task, options, prepared, hanging, system.name, cost)
        caveats = system.caveats if isinstance(system, Doubtful) else ()
        notes = (*measured.notes, *(f"{system.name}: {caveat}" for caveat in caveats))
        complete = system.complete if isinstance(system, Dependent) else True
        return [replace(measured, notes=notes, complete=complete)]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        own_options(task, ProfileOptions)
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes


def _hang(
    task: Task, options: ProfileOptions, prepared: Prepared, profiles: Sequence[Profile | None]
) -> Hanging:
    settings = task.workspace.settings
    return Hanging(
        past=prepared.split.past,
        queries=prepared.test.queries,
        profiles=profiles,
        encoding=Encoding(options.encoder or settings.embedder, task.workspace),
        temperature=settings.critic.temperature,
        support=settings.critic.support,
        seed=task.seed,
    )


def _measured(
    task: Task, options: ProfileOptions, prepared: Prepared, hanging: Hanging, system: str, cost: Cost
) -> Measured:
    values = measure_portraits(hanging)
    other = label_of(options.second)
    values["encoder agreement"] = np.full(len(hanging.profiles), np.nan, dtype=np.float32)
    if hanging.shown:
        agreed = agreement(scores_of(hanging), _second_scores(task, options, hanging))
        values["encoder agreement"][hanging.shown] = agreed
    return Measured(
        system=system,
        dataset=prepared.dataset.card.name,
        split=prepared.split.name,
        users=hanging.past.ids_of(hanging.queries.user),
        per_query=values,
        cost=cost,
        notes=(
            *prepared.notes,
            f"Measured with {hanging.encoding.label}; `encoder agreement` is with {other}.",
        ),
    )


def _second_scores(task: Task, options: ProfileOptions, hanging: Hanging) -> FloatArray:
    """Score the catalogue by the portraits once more, in another way."""
    if options.second == WORDS:
        words = WordScores([item.describe() for item in hanging.past.items])
        return words.score([hanging.profile(query).text for query in hanging.shown])
    return scores_of(replace(hanging, encoding=Encoding(options.second, task.workspace)))
