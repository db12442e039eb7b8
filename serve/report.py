"""The report: portraits, their evidence, their rewards and their cost as one self-contained HTML page.

The page loads nothing and runs nothing. Whatever users or models wrote reaches it as escaped text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..models import Claim, Profile, RecentEvent, Rollout
from ..records import Interaction, Item, Polarity
from ..tools.whole_files import write_whole
from .report_numbers import (
    Table,
    draft_table,
    judge,
    published_total,
    show_money,
    show_number,
    show_seconds,
    stages_of,
    summarise,
    term_table,
)
from .reward_plot import Plot, plot_drafts

_UNPRINTABLE = {code: None for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n\r"}


@dataclass(frozen=True, kw_only=True)
class Quote:
    """One interaction that supports a claim, as it is shown."""

    title: str
    date: str
    """Day, ISO 8601."""

    deed: str
    """What was done, with the rating if there is one."""

    words: str
    """The user's own words; empty if there are none."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One sentence of a portrait with everything it rests on."""

    text: str
    theme: str
    """Its facet; empty if it has none."""

    support: str
    """Measured support; empty for a sentence that is not a claim."""

    quotes: tuple[Quote, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Statements that point the same way."""

    heading: str
    polarity: Polarity
    statements: tuple[Statement, ...]


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
    drafts = {profile.user_id: _latest_run(rollouts.get(profile.user_id, ())) for profile in profiles}
    page = _template().render(
        title=title,
        notes=tuple(notes),
        summary=summarise(profiles, drafts),
        portraits=[
            _portrait(number, profile, drafts[profile.user_id], interactions, items)
            for number, profile in enumerate(profiles, start=1)
        ],
    )
    write_whole(path, page.translate(_UNPRINTABLE).encode("utf-8", "replace"))


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _latest_run(drafts: Sequence[Rollout]) -> tuple[Rollout, ...]:
    """Keep the profile drafts of the last run: rewards of different runs do not compare."""
    own = [draft for draft in drafts if draft.item_id is None]
    if not own:
        return ()
    run_id = max(own, key=lambda draft: draft.at).run_id
    run = [draft for draft in own if draft.run_id == run_id]
    return tuple(sorted(run, key=lambda draft: (draft.round, draft.draft_ix)))


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
        sections=_sections(profile, interactions, items),
        recent=tuple(_recent(event) for event in profile.recent),
        plot=plot_drafts(drafts),
        verdict=judge(profile, drafts, stages),
        terms=term_table(profile, drafts),
        drafts=draft_table(drafts),
        facts=tuple(_facts(profile)),
        reward=show_number(published_total(profile, drafts)),
    )


def _sections(
    profile: Profile, interactions: Mapping[str, Interaction], items: Mapping[str, Item]
) -> tuple[Section, ...]:
    """Arrange every sentence once, under the way it points, with its theme and its evidence."""
    claims: dict[str, list[Claim]] = {}
    for claim in profile.claims:
        claims.setdefault(claim.text, []).append(claim)
    themes = {facet.text: facet.name for facet in profile.facets}
    pointing: dict[str, Polarity] = {facet.text: facet.polarity for facet in profile.facets}
    pointing |= dict.fromkeys(profile.likes, "like")
    pointing |= dict.fromkeys(profile.dislikes, "dislike")
    order = dict.fromkeys((*profile.likes, *profile.dislikes, *themes, *claims))

    def show(text: str) -> Statement:
        return _statement(text, themes.get(text, ""), claims.get(text, ()), interactions, items)

    headings: dict[Polarity, str] = {"like": "Drawn to", "dislike": "Put off by", "neutral": "Also"}
    sections = [
        Section(
            heading=heading,
            polarity=polarity,
            statements=tuple(show(text) for text in order if pointing.get(text, "neutral") == polarity),
        )
        for polarity, heading in headings.items()
    ]
    return tuple(section for section in sections if section.statements)


def _statement(
    text: str,
    theme: str,
    claims: Sequence[Claim],
    interactions: Mapping[str, Interaction],
    items: Mapping[str, Item],
) -> Statement:
    evidence = dict.fromkeys(event_id for claim in claims for event_id in claim.evidence)
    support = max((claim.confidence for claim in claims), default=None)
    return Statement(
        text=text,
        theme=theme,
        support="" if support is None else f"{support:.2f}",
        quotes=tuple(_quote(event_id, interactions, items) for event_id in evidence),
    )


def _quote(event_id: str, interactions: Mapping[str, Interaction], items: Mapping[str, Item]) -> Quote:
    event = interactions.get(event_id)
    if event is None:
        return Quote(title=f"Event {event_id}", date="", deed="not part of this report", words="")
    item = items.get(event.item_id) if event.item_id else None
    title = (item.title or item.describe(80)) if item else ""
    return Quote(
        title=title or ("Message" if event.item_id is None else "Item without a title"),
        date=_day(event.at),
        deed=_deed(event.kind, event.rating),
        words=(event.text or "").strip(),
    )


def _recent(event: RecentEvent) -> Quote:
    return Quote(
        title=event.title or "Item without a title",
        date=_day(event.at),
        deed=_deed(event.kind, event.rating),
        words="",
    )


def _deed(kind: str, rating: float | None) -> str:
    if rating is None:
        return {"view": "viewed", "click": "clicked", "purchase": "bought", "message": "said"}.get(kind, kind)
    return f"rated {rating:g}" if kind in ("rating", "review") else f"{kind}, rated {rating:g}"


def _facts(profile: Profile) -> Iterable[tuple[str, str]]:
    parent = f", after {profile.parent_version}" if profile.parent_version is not None else ""
    usage = profile.usage
    yield "Version", f"{profile.version}{parent}"
    yield "As of", f"{profile.as_of:%Y-%m-%d %H:%M} UTC, nothing later used"
    yield "Drawn", f"{profile.created_at:%Y-%m-%d %H:%M} UTC"
    yield "Model", profile.model or "none"
    prompts = ", ".join(f"{name} v{version}" for name, version in sorted(profile.prompt_versions.items()))
    yield "Prompts", prompts or "none"
    yield "Critic", profile.critic_version
    cached = f" and {usage.cached_calls:,} from cache" if usage.cached_calls else ""
    yield "Calls", f"{usage.calls:,}{cached}"
    yield "Tokens", f"{usage.prompt_tokens:,} read, {usage.completion_tokens:,} written"
    yield "Model time", show_seconds(usage.seconds)
    yield "Money", show_money(usage.cost)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
