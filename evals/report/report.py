"""A folder of results as one report: what every renderer shows, and the two files it becomes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..result_files import PerQuery, load_per_query, load_result, result_files
from ..results import HEADLINES, Cost, DataCard, Probe, Result, Row, Weight
from ..suite_list import SUITES

LOWER_IS_BETTER = (
    *(
        "mae",
        "mse",
        "rmse",
        "rating_mae",
        "rank",
        "percentile_rank",
        "boilerplate",
        "portrait similarity",
        "empty",
    ),
    *("unsupported", "repeated", "evidence", "false", "judge's doubt"),
    *("seconds", "calls", "tokens", "dollars", "fit", "tune"),
)
"""Such metrics, without their cut-off; or their first words."""


BILLED = "cost"
"""The suite whose headline is what a system takes."""

ANSWERED = "qa"
"""The suite that asks a chat model, with contexts of several lengths."""

PAIRED = "pairs"
"""The suite that ranks few candidates: its metrics say so in their names, and stand in its own order."""


class Place(NamedTuple):
    """Where numbers may stand side by side."""

    suite: str
    dataset: str
    split: str
    users: str
    seed: int
    ties: str
    options: str

    @property
    def rank(self) -> tuple[object, ...]:
        """What places are ordered by: the suite's weight, then names."""
        names = tuple(SUITES)
        return names.index(self.suite) if self.suite in names else len(names), *self

    @property
    def title(self) -> str:
        """Heading of the place."""
        ties = "" if self.ties == "average" else f", {self.ties} ties"
        options = f", {self.options}" if self.options else ""
        return (
            f"{self.suite}: {self.dataset}, {self.split}, {self.users} users, seed {self.seed}{ties}{options}"
        )


@dataclass(frozen=True, kw_only=True)
class Section:
    """All results of one suite on one data set and split."""

    place: Place
    rows: Sequence[Row]
    results: Sequence[Result]

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """Systems, best first by the first metric."""
        names = dict.fromkeys(row.system for row in self.rows)
        first = self.metrics[0] if self.metrics else ""
        sign = 1 if is_lower_better(first) else -1
        return tuple(sorted(names, key=lambda name: sign * self._value(name, first)))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics over everybody, those of `HEADLINES` first."""
        names = dict.fromkeys(row.metric for row in self.rows if " | " not in row.metric)
        if self.place.suite == PAIRED:
            return tuple(names)
        return tuple(
            sorted(names, key=lambda name: HEADLINES.index(name) if name in HEADLINES else len(HEADLINES))
        )

    @cached_property
    def buckets(self) -> tuple[str, ...]:
        """Names of the parts of the queries that have rows of their own."""
        return tuple(
            dict.fromkeys(row.metric.partition(" | ")[2] for row in self.rows if " | " in row.metric)
        )

    @cached_property
    def valid(self) -> bool:
        """Whether every probe of every result passed."""
        return all(result.valid for result in self.results)

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """Probes of this data set, each once."""
        return tuple(dict.fromkeys(probe for result in self.results for probe in result.probes))

    @cached_property
    def data(self) -> tuple[DataCard, ...]:
        """Cards of the data, each once."""
        return tuple({card.content: card for result in self.results for card in result.data}.values())

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Everything a reader must know, each once."""
        cards = (note for data in self.data for note in data.card.notes)
        by_model = [
            f"{data.card.name}: (part of) the text was made by a language model."
            for data in self.data
            if data.card.text_by_model
        ]
        said = (note for result in self.results for note in result.notes)
        return tuple(dict.fromkeys([*by_model, *said, *cards]))

    @cached_property
    def costs(self) -> Mapping[str, Cost]:
        """Cost of each system on this data set."""
        return {
            entry.system: entry.cost
            for result in self.results
            for entry in result.cost
            if entry.dataset == self.place.dataset
        }

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Weights of each mixture on this data set; those of a later result replace an earlier one's."""
        found: dict[str, tuple[Weight, ...]] = {}
        for result in self.results:
            here = [entry for entry in result.weights if entry.dataset == self.place.dataset]
            for system in dict.fromkeys(entry.system for entry in here):
                found[system] = tuple(entry for entry in here if entry.system == system)
        return tuple(entry for name in self.systems for entry in found.get(name, ()))

    def row(self, system: str, metric: str) -> Row | None:
        """Return a number, if it was measured."""
        return self._table.get((system, metric))

    def _value(self, system: str, metric: str) -> float:
        row = self.row(system, metric)
        return row.value if row else 0.0

    @cached_property
    def _table(self) -> Mapping[tuple[str, str], Row]:
        return {(row.system, row.metric): row for row in self.rows}


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a folder of results says."""

    sections: Sequence[Section]
    values: Mapping[Place, Sequence[PerQuery]]
    """Values of every user, for distributions."""

    rewards: Mapping[str, Sequence[float]]
    """Rewards of logged drafts by term; empty without a log."""

    unmeasured: Sequence[str] = ()
    """Why some systems have no numbers."""

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type to get these numbers, each once."""
        return tuple(dict.fromkeys(result.command for part in self.sections for result in part.results))

    @property
    def valid(self) -> bool:
        """Whether no probe failed anywhere."""
        return all(section.valid for section in self.sections)


def is_lower_better(metric: str) -> bool:
    """Whether less is more."""
    name = metric.partition("@")[0].partition(" | ")[0]
    return name in LOWER_IS_BETTER or name.partition(" ")[0] in LOWER_IS_BETTER


def read_report(folder: Path, rollouts: Path | None = None) -> Report:
    """Gather the results of a folder.

    Args:
        folder: Where `limner eval` wrote.
        rollouts: A log of drafts, as `limner export rollouts` writes it.

    Raises:
        UnknownFormatError: There are no results, or a file is broken.
    """
    read = sorted(
        ((load_result(path), path) for path in result_files(folder)), key=lambda pair: pair[0].started
    )
    values: defaultdict[Place, list[PerQuery]] = defaultdict(list)
    for result, path in read:
        places = {row.dataset: _place(result, row) for row in result.rows}
        for part in load_per_query(path):
            if part.dataset in places:
                values[places[part.dataset]].append(part)
    results = [result for result, _ in read]
    return Report(
        sections=sections_of(results),
        values=values,
        rewards=_rewards(rollouts),
        unmeasured=unmeasured(results),
    )


def unmeasured(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the notes of results without any number, each once."""
    return tuple(dict.fromkeys(note for result in results if not result.rows for note in result.notes))


def sections_of(results: Sequence[Result]) -> list[Section]:
    """Put side by side what may stand there; a later result of a system replaces an earlier one."""
    rows: defaultdict[Place, dict[tuple[str, str], Row]] = defaultdict(dict)
    sources: defaultdict[Place, dict[str, Result]] = defaultdict(dict)
    for result in results:
        for row in result.rows:
            place = _place(result, row)
            rows[place][row.system, row.metric] = row
            sources[place][result.key] = result
    return [
        Section(place=place, rows=tuple(found.values()), results=tuple(sources[place].values()))
        for place, found in sorted(rows.items(), key=lambda entry: entry[0].rank)
    ]


def _place(result: Result, row: Row) -> Place:
    users = result.settings.get("users")
    options = [result.options] if result.options else []
    if result.suite == ANSWERED and "chat_model" in result.settings:
        options.append(f"model={result.settings['chat_model']}")  # no name of a condition tells who answers
    return Place(
        suite=result.suite,
        dataset=row.dataset,
        split=row.split,
        users=f"{users:,}" if users else "all",
        seed=row.seed,
        ties=result.ties,
        options=", ".join(options),
    )


def _rewards(rollouts: Path | None) -> Mapping[str, Sequence[float]]:
    if rollouts is None:
        return {}
    parquet: Any = import_module("pyarrow.parquet")  # ships no types

    found: defaultdict[str, list[float]] = defaultdict(list)
    drafts = parquet.read_table(rollouts, columns=["rewards"]).column(0).to_pylist()
    terms: list[tuple[str, float]]
    for terms in drafts:
        for name, value in terms:
            found[name].append(value)
    return found


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.html`, and return where they are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from .html import as_html
    from .markdown import as_markdown

    pages = {folder / "report.md": as_markdown(report), folder / "report.html": as_html(report)}
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return folder / "report.md", folder / "report.html"
