"""How portraits and pairs look in a terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from ..models import Profile
from ..pairings import Pair
from ..records import Usage
from .common import out

if TYPE_CHECKING:
    from ..tools.store import Store

_WORDS = 60


async def evidence_titles(store: "Store", profile: Profile) -> dict[str, str]:
    """Return what a portrait's evidence is called, by event id."""
    cited = {event_id for claim in profile.claims for event_id in claim.evidence}
    events = [
        event
        for event in await store.history(profile.user_id, as_of=profile.as_of)
        if event.event_id in cited
    ]
    items = await store.items([event.item_id for event in events if event.item_id])
    return {
        event.event_id: items[event.item_id].title
        if event.item_id in items
        else (event.text or event.kind)[:_WORDS]
        for event in events
    }


def print_profile(profile: Profile, titles: Mapping[str, str]) -> None:
    """Print a portrait with its evidence, called by `titles`."""
    lines = [Text(profile.text, style="bold"), Text("")]
    for claim in profile.claims:
        lines.append(Text(f"• {claim.text}"))
        cited = [titles.get(event_id, event_id) for event_id in claim.evidence]
        lines.append(Text(f"  {claim.confidence:.2f}  {', '.join(cited)}", style="dim"))
    recent = ", ".join(event.title for event in profile.recent[:3])
    lines.append(Text(f"\nlately: {recent}", style="dim"))
    lines += [Text(f"note: {note}", style="yellow") for note in profile.notes]
    reward = "no reward" if profile.reward is None else f"reward {profile.reward:.3f}"
    subtitle = f"version {profile.version} · {profile.source} · {reward} · {_spent(profile.usage)}"
    out.print(
        Panel(Group(*lines), title=escape(profile.user_id), subtitle=escape(subtitle), title_align="left")
    )


def print_pair(pair: Pair) -> None:
    """Print both sides of a pair with the reasons."""
    lines = [
        Text(pair.user.profile, style="bold"),
        Text(f"cue: {pair.user.cue} · plan: {pair.user.instruction}", style="dim"),
        Text(""),
        Text(pair.item.profile, style="bold"),
        Text(f"cue: {pair.item.cue} · plan: {pair.item.instruction}", style="dim"),
        Text(""),
    ]
    for reason in pair.reasons:
        lines.append(Text(f"• {reason.text}"))
        counts = f"{len(reason.user_evidence)} of the user's events, {len(reason.item_evidence)} of others'"
        lines.append(Text(f"  {counts}", style="dim"))
    lines += [Text(f"note: {note}", style="yellow") for note in pair.notes]
    rating = "" if pair.expected_rating is None else f" · expected rating {pair.expected_rating:.2f}"
    subtitle = f"{pair.source} · affinity {pair.affinity:.2f}{rating} · {_spent(pair.usage)}"
    title = f"{pair.user_id} and {pair.item_id}"
    out.print(Panel(Group(*lines), title=escape(title), subtitle=escape(subtitle), title_align="left"))


def _spent(usage: Usage) -> str:
    cost = f" · ${usage.cost:.4f}" if usage.cost else ""
    return f"{usage.calls} calls · {usage.tokens:,} tokens · {usage.seconds:.1f} s{cost}"
