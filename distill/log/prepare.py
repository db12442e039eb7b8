"""From the rollout log to a training set.

The log is put in order of users on disk; then one user after another is filtered, split, grouped, graded again
if need be, and written.
"""

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractContextManager, closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ... import __version__
from ...errors import CriticVersionError, EmptySplitError
from ...models import Rollout
from ...tools.whole_files import new_folder
from .filters import REASONS, Reason, first_of_each, group_fault
from .group_lessons import lessons_of, prompt_of
from .groups import DraftGroup, group_drafts
from .manifest import Funnel, LogSource, Manifest, Recipe, SplitCounts
from .rescoring import Rescore, graded_by
from .splits import SPLITS, Split, split_of, wrong_side
from .staging import Staging, UserDrafts
from .table_files import TableFiles, write_manifest

Knows = Callable[[str], Awaitable[bool]]
"""Whether a user is still known; one who is not was forgotten."""

_NOBODY: frozenset[str] = frozenset()

_BEHIND_THE_BOUNDARY: tuple[Reason, ...] = ("duplicate", "not_rescored", "single", "equal")
"""Reasons that are tried on what the boundary keeps."""


class Source(NamedTuple):
    """A log and what it is called."""

    name: str
    batches: AsyncIterator[list[Rollout]]


class _Terms(NamedTuple):
    """What was settled once the whole log was seen."""

    critic: str | None
    boundary: datetime | None


async def prepare(
    log: Source,
    out: Path | None,
    recipe: Recipe | None = None,
    *,
    excluded: Collection[str] = _NOBODY,
    knows: Knows | None = None,
    rescore: Rescore | None = None,
) -> Manifest:
    """Make a training set of a log and return its manifest.

    The folder appears when it is complete; after a failure there is nothing.

    Args:
        log: The rollouts, in the order of writing.
        out: Folder to write; absent for a dry run, which counts all the same.
        recipe: How; the defaults if absent.
        excluded: Users to leave out whatever the log says.
        knows: Tells forgotten users; without it nobody counts as forgotten.
        rescore: Grades drafts again that another critic graded.

    Raises:
        BadRowError: A row of the log is broken.
        CriticVersionError: Rewards come from another critic, or from several, and `rescore` is absent.
        EmptySplitError: Nothing is left to train on.
        InputError: `out` is there and not empty.
    """
    chosen = recipe or Recipe()
    maker = _Maker(chosen, rescore)
    folders: AbstractContextManager[str | Path] = new_folder(out) if out else tempfile.TemporaryDirectory()
    with folders as name:
        folder = Path(name)
        staged = folder / "log.sqlite"
        with Staging(staged, chosen.filters) as staging:
            async for batch in log.batches:
                staging.add(batch)
            users = await _bar_users(staging, chosen, frozenset(excluded), knows)
            terms = _terms(staging, chosen, rescore)
            maker.drop("repeated", staging.repeated)
            with closing(TableFiles(folder)) as tables:
                for user in staging.read():
                    await maker.take(user, terms, tables)
                files = tables.finish()
            manifest = Manifest(
                limner=__version__,
                log=LogSource(name=log.name, sha256=staging.digest),
                recipe=chosen,
                critic_version=terms.critic,
                boundary=terms.boundary,
                excluded_users=len(excluded),
                forgotten_checked=knows is not None,
                funnel=maker.funnel(staging.rollouts, users),
                notes=maker.notes(terms),
                files=files if out else (),
            )
        staged.unlink()
        if out:
            write_manifest(folder, manifest)
    return manifest


async def _bar_users(staging: Staging, recipe: Recipe, excluded: frozenset[str], knows: Knows | None) -> int:
    """Leave out users who must not be learned from; return how many users the log has."""
    count = 0
    for user_id in staging.users():
        count += 1
        if user_id in excluded:
            staging.bar(user_id, "excluded")
        elif staging.refused(user_id, silence=recipe.filters.require_consent):
            staging.bar(user_id, "no_consent")
        elif knows is not None and not await knows(user_id):
            staging.bar(user_id, "forgotten")
    return count


def _terms(staging: Staging, recipe: Recipe, rescore: Rescore | None) -> _Terms:
    """Settle critic and boundary, which take a look at the whole log."""
    found, wanted = staging.critics(), recipe.critic_version
    splitting = recipe.splitting
    boundary = splitting.boundary or staging.boundary(splitting.before)
    if rescore is not None:
        if wanted not in (None, rescore.critic_version):
            raise CriticVersionError(wanted, {rescore.critic_version: sum(found.values())})
        return _Terms(rescore.critic_version, boundary)
    if (wanted is None and len(found) > 1) or (wanted is not None and set(found) - {wanted}):
        raise CriticVersionError(wanted, found)
    return _Terms(wanted or next(iter(found), None), boundary)


class _Maker:
    """Takes one user after another and counts what becomes of the drafts."""

    def __init__(self, recipe: Recipe, rescore: Rescore | None) -> None:
        self._recipe, self._rescore = recipe, rescore
        self._dropped: Counter[Reason] = Counter()
        self._splits: dict[Split, Counter[str]] = {split: Counter() for split in SPLITS}
        self._rescored = 0

    def drop(self, reason: Reason, count: int) -> None:
        """Count drafts that were left out."""
        self._dropped[reason] += count

    async def take(self, user: UserDrafts, terms: _Terms, tables: TableFiles) -> None:
        """Write what one user's drafts teach."""
        self._dropped.update(user.faults)
        split = split_of(user.user_id, self._recipe.splitting)
        drafts: list[Rollout] = []
        for draft in user.drafts:
            reason = wrong_side(split, draft.as_of, terms.boundary, self._recipe.splitting)
            if reason:
                self.drop(reason, 1)
            else:
                drafts.append(draft)
        counts = self._splits[split]
        before = counts["groups"]
        for group in group_drafts(drafts, terms.critic or ""):
            await self._take_group(group, split, terms, tables)
        counts["users"] += counts["groups"] > before

    async def _take_group(self, group: DraftGroup, split: Split, terms: _Terms, tables: TableFiles) -> None:
        first = first_of_each(group.drafts)
        self.drop("duplicate", len(group.drafts) - len(first))
        unlike = DraftGroup(key=group.key, drafts=tuple(first))
        drafts, lost = await graded_by(unlike, terms.critic or "", self._rescore)
        self.drop("not_rescored", len(lost))
        if any(draft.critic_version != terms.critic for draft in first):
            self._rescored += len(drafts)
        if not drafts:
            return
        graded = DraftGroup(key=group.key, drafts=tuple(drafts))
        counts = self._splits[split]
        counts["prompts"] += 1
        tables.add(split, prompt_of(graded))
        reason = group_fault(graded.rewards, self._recipe.filters)
        if reason:
            return self.drop(reason, len(drafts))
        counts["groups"] += 1
        counts["drafts"] += len(drafts)
        rows = lessons_of(graded, self._recipe.weighting)
        pairs = [rows.preference] if rows.preference else []
        for row in (rows.prompt_completion, *pairs, *rows.unpaired_preference, *rows.advantage):
            tables.add(split, row)

    def funnel(self, rollouts: int, users: int) -> Funnel:
        """Return the counts.

        Raises:
            EmptySplitError: Train is empty.
        """
        dropped: dict[Reason, int] = {reason: self._dropped[reason] for reason in REASONS}
        splits: dict[Split, SplitCounts] = {
            split: SplitCounts(**counts) for split, counts in self._splits.items()
        }
        if not splits["train"].groups:
            raise EmptySplitError(rollouts, {str(reason): count for reason, count in dropped.items()})
        kept = sum(counts.drafts for counts in splits.values())
        return Funnel(
            rollouts=rollouts, users=users, dropped=dropped, kept=kept, rescored=self._rescored, splits=splits
        )

    def notes(self, terms: _Terms) -> tuple[str, ...]:
        """Return what the reader should know."""
        notes = [
            f"{split} is empty: too few users, or none on its side of the boundary"
            for split, counts in self._splits.items()
            if not counts["groups"] and getattr(self._recipe.splitting, split, 0.0) > 0
        ]
        if terms.boundary is None:
            notes.append(
                "all drafts are of one moment, or nearly all, so they are split by user alone; `--boundary` splits "
                "them by time too"
            )
        elif note := self._left_out(terms.boundary):
            notes.append(note)
        return tuple(notes)

    def _left_out(self, boundary: datetime) -> str | None:
        """Say so if the boundary costs half of the drafts or more."""
        late, early = self._dropped["after_boundary"], self._dropped["before_boundary"]
        others = sum(self._dropped[reason] for reason in _BEHIND_THE_BOUNDARY)
        kept = sum(counts["drafts"] for counts in self._splits.values())
        able = late + early + others + kept
        if 2 * (late + early) < able:
            return None
        return (
            f"the boundary {boundary.isoformat()} leaves out {late + early} of {able} drafts that could teach; give "
            "another `--boundary`, or one behind all drafts and `--keep-early`, which split by user alone"
        )
