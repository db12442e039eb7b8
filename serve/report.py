"""The report: portraits, their evidence, their rewards and their cost as one self-contained HTML page.

The page loads nothing and runs nothing. Whatever users or models wrote reaches it as escaped text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..models import Profile, Rollout
from ..records import Interaction, Item
from ..tools.whole_files import write_whole
from .report_numbers import (
    Table,
    draft_table,
    facts_of,
    judge,
    latest_run,
    published_total,
    show_number,
    stages_of,
    summarise,
    term_table,
)
from .reward_plot import Plot, plot_drafts
from .statements import Quote, Section, recent_quote, sections_of
from .templates import encode_page, open_templates


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """Everything the page shows of one user."""

    anchor: str
    user_id: str
    badge: str
    source: Literal["model", "extractive"]
    text: str
    language: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    recent: tuple[Quote, ...]
    plot: Plot | None
    verdict: str
    """The rewards in one sentence."""

    terms: Table | None
    drafts: Table | None
    facts: tuple[tuple[str, str], ...]
    reward: str


def write_report(
    path: Path,
    *,
    profiles: Sequence[Profile],
    rollouts: Mapping[str, Sequence[Rollout]],
    interactions: Mapping[str, Interaction],
    items: Mapping[str, Item],
    title: str,
    notes: Sequence[str],
) -> None:
    """Write the page, replacing an older one at once or not at all.

    Args:
        path: The file; missing folders are made.
        profiles: In the order in which they are shown; none gives a page that says so.
        rollouts: By user id, the drafts behind each portrait. Of several runs the latest is shown; drafts
            of pairs are left out.
        interactions: By event id; evidence that is missing here is named by its id.
        items: By item id.
        title: Heading of the page.
        notes: What a reader should know about all of it, one paragraph each.

    Raises:
        OSError: The file cannot be written; what stood there before is untouched.
    """
    drafts = {profile.user_id: latest_run(rollouts.get(profile.user_id, ())) for profile in profiles}
    page = (
        open_templates()
        .get_template("report.html.jinja")
        .render(
            title=title,
            notes=tuple(notes),
            summary=summarise(profiles, drafts),
            portraits=[
                _portrait(number, profile, drafts[profile.user_id], interactions, items)
                for number, profile in enumerate(profiles, start=1)
            ],
        )
    )
    write_whole(path, encode_page(page))


def _portrait(
    number: int,
    profile: Profile,
    drafts: Sequence[Rollout],
    interactions: Mapping[str, Interaction],
    items: Mapping[str, Item],
) -> Portrait:
    stages = stages_of(profile, drafts)
    return Portrait(
        anchor=f"user-{number}",
        user_id=profile.user_id,
        badge="written by a model" if profile.source == "model" else "extractive",
        source=profile.source,
        text=profile.text,
        language=profile.language,
        notes=profile.notes,
        sections=sections_of(profile, interactions, items),
        recent=tuple(recent_quote(event) for event in profile.recent),
        plot=plot_drafts(drafts),
        verdict=judge(profile, drafts, stages),
        terms=term_table(profile, drafts),
        drafts=draft_table(drafts),
        facts=tuple(facts_of(profile)),
        reward=show_number(published_total(profile, drafts)),
    )
