"""The numbers of the report: what rewards and usage say, as small tables of words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ..models import Profile, Rollout
from ..records import Usage
from .reward_plot import STAGE_NAMES, Plot, Stages, is_spoiled, name_draft, plot_stages, total_of

UNKNOWN = "—"
"""Stands where a number is missing."""

TERMS = {
    "rank": "ranks the held-back items",
    "emb": "tells them from others",
    "text": "picks the next item",
    "ground": "claims supported",
    "length": "over-length (penalty)",
    "boiler": "boilerplate (penalty)",
    "leak": "leak (spoils the draft)",
    "total": "total",
}
"""Reward terms in the order of the table, in words."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table: its head, its cells, and whether it is the one to look at."""

    head: str
    cells: tuple[str, ...]
    marked: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A small table of numbers."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The top of the page."""

    figures: tuple[tuple[str, str, str], ...]
    """Name, value, and a remark or nothing."""

    plot: Plot | None
    stages: Table | None
    verdict: str


def latest_run(drafts: Sequence[Rollout]) -> tuple[Rollout, ...]:
    """Keep the profile drafts of the last run: rewards of different runs do not compare."""
    own = [draft for draft in drafts if draft.item_id is None]
    if not own:
        return ()
    run_id = max(own, key=lambda draft: draft.at).run_id
    run = [draft for draft in own if draft.run_id == run_id]
    return tuple(sorted(run, key=lambda draft: (draft.round, draft.draft_ix)))


def stages_of(profile: Profile, drafts: Sequence[Rollout]) -> Stages | None:
    """Return the three totals; absent unless all of them are known."""
    floor = next((total_of(draft) for draft in drafts if draft.round < 0), None)
    first = [total for draft in drafts if draft.round == 0 and (total := total_of(draft)) is not None]
    published = published_total(profile, drafts)
    if floor is None or published is None or not first:
        return None
    return Stages(floor, fmean(first), published)


def published_total(profile: Profile, drafts: Sequence[Rollout]) -> float | None:
    """Return the reward of what was published; absent if nothing could be held back."""
    chosen = next((draft for draft in drafts if draft.selected), None)
    total = total_of(chosen) if chosen else None
    return profile.reward if total is None else total


def judge(profile: Profile, drafts: Sequence[Rollout], stages: Stages | None) -> str:
    """Say the rewards in one or two sentences."""
    chosen = next((draft for draft in drafts if draft.selected), None)
    if published_total(profile, drafts) is None:
        return "The history was too short to hold anything back, so this portrait has no reward."
    unscored = sum(total_of(draft) is None for draft in drafts)
    parts = [f"Published: {name_draft(chosen)}." if chosen else f"Reward {show_number(profile.reward)}."]
    if stages and chosen and chosen.round >= 0:
        parts.append(f"{stages.published - stages.floor:+.3f} over the extractive floor.")
    if spoiled := sum(is_spoiled(draft) for draft in drafts):
        parts.append(f"{spoiled} leaked or could not be read (crosses).")
    if unscored:
        parts.append(f"{unscored} of {len(drafts)} drafts could not be scored.")
    return " ".join(parts)


def term_table(profile: Profile, drafts: Sequence[Rollout]) -> Table | None:
    """Set the terms of the floor, the best first draft and the published draft side by side."""
    firsts = [draft for draft in drafts if draft.round == 0 and total_of(draft) is not None]
    best = max(firsts, key=lambda draft: total_of(draft) or 0.0, default=None)
    floor = next((draft for draft in drafts if draft.round < 0), None)
    chosen = next((draft for draft in drafts if draft.selected), None)
    alone = profile.reward_terms | ({} if profile.reward is None else {"total": profile.reward})
    rewards = [
        floor.rewards if floor else {},
        best.rewards if best else {},
        chosen.rewards if chosen and chosen.rewards else alone,
    ]
    known = {name for terms in rewards for name in terms}
    names = [name for name in TERMS if name in known and name != "total"]
    names += sorted(known - TERMS.keys()) + ["total"] * ("total" in known)
    rows = tuple(
        Row(
            head=TERMS.get(name, name),
            cells=tuple(show_number(terms.get(name)) for terms in rewards),
            marked=name == "total",
        )
        for name in names
    )
    return Table(columns=("floor", "best first", "published"), rows=rows) if rows else None


def draft_table(drafts: Sequence[Rollout]) -> Table | None:
    """List every draft of the run with its total, temperature and tokens."""
    rows = tuple(
        Row(
            head=name_draft(draft),
            cells=(show_number(total_of(draft)), f"{draft.temperature:g}", f"{draft.usage.tokens:,}"),
            marked=draft.selected,
        )
        for draft in drafts
    )
    return Table(columns=("total", "temperature", "tokens"), rows=rows) if rows else None


def summarise(profiles: Sequence[Profile], drafts: Mapping[str, Sequence[Rollout]]) -> Summary:
    """Add up the profiles: who wrote them, what drafting gained, what all of it cost."""
    usage = Usage.total(profile.usage for profile in profiles)
    written = sum(profile.source == "model" for profile in profiles)
    share = f"{written / len(profiles):.0%}" if profiles else UNKNOWN
    found = [stages_of(profile, drafts[profile.user_id]) for profile in profiles]
    stages = [entry for entry in found if entry]
    cached = f"and {usage.cached_calls:,} from cache" if usage.cached_calls else ""
    return Summary(
        figures=(
            ("Portraits", f"{len(profiles):,}", ""),
            ("Written by a model", share, f"{written:,} of {len(profiles):,}"),
            ("Calls", f"{usage.calls:,}", cached),
            ("Tokens", f"{usage.tokens:,}", f"{usage.completion_tokens:,} written"),
            ("Model time", show_seconds(usage.seconds), "summed over calls"),
            ("Money", show_money(usage.cost), ""),
        ),
        plot=plot_stages(stages),
        stages=_stage_table(stages),
        verdict=_comparison(profiles, stages),
    )


def _stage_table(stages: Sequence[Stages]) -> Table | None:
    if not stages:
        return None
    rows = [
        Row(head=name, cells=(f"{fmean(values):.3f}", _interval(values), str(len(values))))
        for name, values in zip(STAGE_NAMES, zip(*stages, strict=True), strict=True)
    ]
    gains = [entry.published - entry.floor for entry in stages]
    cells = (f"{fmean(gains):+.3f}", _interval(gains), str(len(gains)))
    rows.append(Row(head="gain over the floor", cells=cells, marked=True))
    return Table(columns=("mean", "± 95 %", "users"), rows=tuple(rows))


def _interval(values: Sequence[float]) -> str:
    """Return the half-width of the mean's 95 % interval by the normal approximation."""
    return f"{1.96 * stdev(values) / math.sqrt(len(values)):.3f}" if len(values) > 1 else UNKNOWN


def _comparison(profiles: Sequence[Profile], stages: Sequence[Stages]) -> str:
    parts: list[str] = []
    if left_out := len(profiles) - len(stages):
        parts.append(
            f"{left_out:,} of {len(profiles):,} users lack one of the three rewards and are left out."
        )
    if len({profile.critic_version for profile in profiles}) > 1:
        parts.append("The portraits were graded by different critics: their rewards do not compare.")
    return " ".join(parts)


def show_number(value: float | None) -> str:
    """Write a reward, or that there is none."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.3f}"


def show_seconds(seconds: float) -> str:
    """Write a duration."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def show_money(cost: float) -> str:
    """Write US dollars; small sums keep the digits that matter."""
    return "$0" if cost == 0 else f"${cost:,.4f}" if cost < 1 else f"${cost:,.2f}"


def facts_of(profile: Profile) -> Iterator[tuple[str, str]]:
    """Say what a portrait was made from: names with their values."""
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
