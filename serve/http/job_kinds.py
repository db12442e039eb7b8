"""What background jobs can do."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

from ...agents.colophon import INCOMPLETE
from ...errors import LimnerError, ModelUnavailableError, UnknownFormatError
from ...face import Limner
from ...records import Kind, Moment, Record
from ...tools.import_report import ImportProgress
from ...tools.jobs import JobError
from .asked import Id, Subjects, budget_for
from .problems import problem_of

MOST_ERRORS = 100
"""Entries that came to nothing which a job names."""

MOST_REJECTS = 1_000
"""Rejected rows that an import names."""

Calls = Annotated[int, Field(ge=1, le=10_000_000)]


class ProfilesJob(Record):
    """Draw portraits of many users."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "profiles", "user_ids": ["ada", "bo"]}]}
    )

    kind: Literal["profiles"]
    """This kind."""

    user_ids: Subjects | None = None
    """Users; everybody if absent."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    calls: Calls | None = None
    """Most model calls of all of them together."""


class CardsJob(Record):
    """Describe many items."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "cards", "calls": 50}]})

    kind: Literal["cards"]
    """This kind."""

    item_ids: Subjects | None = None
    """Items; the whole catalogue if absent."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    calls: Calls | None = None
    """Most model calls of all of them together."""


class PairNamed(Record):
    """A user and an item."""

    user_id: Id
    """The user."""

    item_id: Id
    """The item."""


class PairsJob(Record):
    """Write many pairs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "pairs", "pairs": [{"user_id": "ada", "item_id": "b1"}]}]}
    )

    kind: Literal["pairs"]
    """This kind."""

    pairs: Annotated[tuple[PairNamed, ...], Field(min_length=1, max_length=100_000)]
    """Which."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    calls: Calls | None = None
    """Most model calls of all of them together."""


class ReindexJob(Record):
    """Drop every vector and embed the catalogue and the portraits again; takes the role `admin`."""

    kind: Literal["reindex"]
    """This kind."""


class RefreshJob(Record):
    """Find groups, or bring them up to date."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "refresh"}]})

    kind: Literal["refresh"]
    """This kind."""

    full: bool = False
    """Recompute everybody and find the groups anew."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    calls: Calls | None = None
    """Most model calls, where a refresh draws portraits."""


class ImportJob(Record):
    """Import a file that was uploaded."""

    kind: Literal["import"]
    """This kind."""

    name: str
    """What whoever sent it calls it."""

    form: str | None = None
    """What the file holds; recognised by its columns if absent."""

    mapping: dict[str, str] = Field(default_factory=dict[str, str])
    """Column to field."""

    row_kind: Kind = "purchase"
    """What an interaction with neither text nor rating is."""

    user_id: str | None = None
    """Whose turns the user's turns of chats are, or whose export this is; absent where the rows say so."""

    strict: bool = False
    """Whether a bad row anywhere refuses the whole file."""


class DrawJob(Record):
    """Draw a user's portrait, as `record` with `draw` queues it."""

    kind: Literal["draw"]
    """This kind."""

    user_id: str
    """The user."""


Wanted = ProfilesJob | PairsJob | CardsJob | RefreshJob | ReindexJob | ImportJob | DrawJob
JobWanted = Annotated[
    ProfilesJob | PairsJob | CardsJob | RefreshJob | ReindexJob, Field(discriminator="kind")
]
"""What can be asked for without a file."""

_wanted: TypeAdapter[Wanted] = TypeAdapter(Annotated[Wanted, Field(discriminator="kind")])


@dataclass
class Progress:
    """How far a job is; whoever runs it writes it down now and then."""

    done: int = 0
    total: int | None = None
    step: str = ""
    failed: int = 0
    errors: list[JobError] = field(default_factory=list[JobError])

    def fail(self, subject: str, error: LimnerError) -> None:
        """Note an entry that came to nothing."""
        self.failed += 1
        if len(self.errors) < MOST_ERRORS:
            problem = problem_of(error)
            self.errors.append(JobError(subject=subject, code=problem.code, message=problem.detail))


class _Entry(Protocol):
    """One entry of a batch."""

    @property
    def error(self) -> LimnerError | None:
        """Why there is nothing."""
        ...


Entry = TypeVar("Entry", bound=_Entry)


def read_wanted(wanted: dict[str, Any]) -> Wanted:
    """Return what a job was asked to do."""
    return _wanted.validate_python(wanted)


async def work(wanted: Wanted, limner: Limner, progress: Progress, upload: Path) -> dict[str, Any]:
    """Do a job and return what came of it.

    Args:
        wanted: What to do.
        limner: The tenant's.
        progress: Kept up to date.
        upload: Where the file of an import lies.
    """
    match wanted:
        case ProfilesJob():
            return await _profiles(wanted, limner, progress)
        case PairsJob():
            return await _pairs(wanted, limner, progress)
        case CardsJob():
            return await _cards(wanted, limner, progress)
        case ReindexJob():
            return await _reindex(limner, progress)
        case RefreshJob():
            return await _refresh(wanted, limner, progress)
        case ImportJob():
            return await _import(wanted, limner, progress, upload)
        case DrawJob():
            return await _draw(wanted, limner)


async def _profiles(wanted: ProfilesJob, limner: Limner, progress: Progress) -> dict[str, Any]:
    counted = wanted.user_ids is None
    progress.total = (await limner.counts()).users if counted else len(wanted.user_ids or ())
    progress.step = "drawing"
    budget = budget_for(limner, wanted.calls)
    outcomes = limner.profiles(wanted.user_ids, as_of=wanted.as_of, budget=budget)
    await _each(outcomes, progress, lambda outcome: outcome.user_id)
    return {"drawn": progress.done - progress.failed, "usage": budget.spent.model_dump()}


async def _draw(wanted: DrawJob, limner: Limner) -> dict[str, Any]:
    """Draw one portrait.

    Raises:
        BudgetExceededError: The portrait is there, but less was drawn than is wanted.
        ModelUnavailableError: The same, because the model failed; drawn again, it pays only for what is missing.
    """
    budget = limner.new_budget()
    profile = await limner.profile(wanted.user_id, budget=budget)
    if profile.fingerprint.startswith(INCOMPLETE):
        budget.check()
        reason = "the portrait was drawn without it"
        raise ModelUnavailableError(limner.settings.model, budget.spent.calls, reason, budget.spent)
    return {"version": profile.version, "usage": budget.spent.model_dump()}


async def _pairs(wanted: PairsJob, limner: Limner, progress: Progress) -> dict[str, Any]:
    progress.step, progress.total = "pairing", len(wanted.pairs)
    budget = budget_for(limner, wanted.calls)
    named = [(pair.user_id, pair.item_id) for pair in wanted.pairs]
    outcomes = limner.pairs(named, as_of=wanted.as_of, budget=budget)
    await _each(outcomes, progress, lambda outcome: f"{outcome.user_id}, {outcome.item_id}")
    return {"written": progress.done - progress.failed, "usage": budget.spent.model_dump()}


async def _reindex(limner: Limner, progress: Progress) -> dict[str, Any]:
    def step(done: int, total: int) -> None:
        progress.step, progress.done, progress.total = "embedding", done, total

    return {"items": await limner.reindex(step)}


async def _cards(wanted: CardsJob, limner: Limner, progress: Progress) -> dict[str, Any]:
    counted = wanted.item_ids is None
    progress.total = (await limner.counts()).items if counted else len(wanted.item_ids or ())
    progress.step = "describing"
    budget = budget_for(limner, wanted.calls)
    outcomes = limner.cards(wanted.item_ids, as_of=wanted.as_of, budget=budget)
    await _each(outcomes, progress, lambda outcome: outcome.item_id)
    return {"described": progress.done - progress.failed, "usage": budget.spent.model_dump()}


async def _each(outcomes: AsyncGenerator[Entry], progress: Progress, name: Callable[[Entry], str]) -> None:
    async with aclosing(outcomes):
        async for outcome in outcomes:
            if outcome.error:
                progress.fail(name(outcome), outcome.error)
            progress.done += 1


async def _refresh(wanted: RefreshJob, limner: Limner, progress: Progress) -> dict[str, Any]:
    def step(name: str, done: int, total: int) -> None:
        progress.step, progress.done, progress.total = name, done, total

    report = await limner.refresh(
        as_of=wanted.as_of, full=wanted.full, budget=budget_for(limner, wanted.calls), progress=step
    )
    return report.model_dump(mode="json")


async def _import(wanted: ImportJob, limner: Limner, progress: Progress, upload: Path) -> dict[str, Any]:
    def step(seen: ImportProgress) -> None:
        progress.step, progress.done, progress.failed = seen.step, seen.rows, seen.rejected

    rejects = upload.with_name(f"{upload.name}.rejects.jsonl")
    try:
        report = await limner.import_file(
            upload,
            form=wanted.form,
            mapping=wanted.mapping or None,
            kind=wanted.row_kind,
            user_id=wanted.user_id,
            strict=wanted.strict,
            rejects=rejects,
            progress=step,
        )
        told = report.model_dump(mode="json", exclude={"rejects", "rejects_file", "dry_run"})
        return {**told, "file": wanted.name, "rejects": _rejected(rejects)}
    except UnknownFormatError as error:
        raise UnknownFormatError(
            wanted.name, error.reason
        ) from error  # where it lies here is nobody's business
    finally:
        rejects.unlink(missing_ok=True)


def _rejected(file: Path) -> list[dict[str, Any]]:
    """Return where the first rejected rows are and what is wrong with them, without the rows themselves."""
    if not file.exists():
        return []
    found: list[dict[str, Any]] = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if len(found) == MOST_REJECTS:
                break
            row = json.loads(line)
            found.append({name: row[name] for name in ("line", "field", "reason")})
    return found
