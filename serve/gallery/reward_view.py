"""How reward rose over drafts and revisions, read from the rollout log."""

from dataclasses import dataclass

from ...face import Limner
from ...models import Rollout
from ..report_numbers import Table, draft_table, judge, latest_run, stages_of, term_table
from ..reward_plot import Plot, plot_drafts
from .portrait_view import Head, head_of

_BEHIND = "Version {} was not drafted: it is a correction. These are the drafts of the last version that was."


@dataclass(frozen=True, kw_only=True)
class RewardView:
    """The drafts of the run that drew the newest portrait."""

    head: Head
    drafts: int
    plot: Plot | None
    note: str
    """What to know if these drafts are not those of the newest version; empty if they are."""

    verdict: str
    terms: Table | None
    table: Table | None


async def reward_view(limner: Limner, user_id: str) -> RewardView:
    """Return the drafts of a user's last drawing.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    head = await head_of(limner, user_id)
    profile = head.profile
    drafts: tuple[Rollout, ...] = latest_run(await limner.doors.store.user_rollouts(user_id, pairs=False))
    if profile is None:
        return RewardView(head=head, drafts=0, plot=None, note="", verdict="", terms=None, table=None)
    chosen = next((draft for draft in drafts if draft.selected), None)
    behind = chosen is not None and chosen.profile_text != profile.text
    return RewardView(
        head=head,
        drafts=len(drafts),
        plot=plot_drafts(drafts),
        note=_BEHIND.format(profile.version) if behind else "",
        verdict=judge(profile, drafts, stages_of(profile, drafts)),
        terms=term_table(profile, drafts),
        table=draft_table(drafts),
    )
