"""How portraits and pairs look in a terminal."""

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from ..models import Pair, Profile, Usage
from .common import out


def print_profile(profile: Profile) -> None:
    """Print a portrait with its evidence."""
    titles = {event.event_id: event.title for event in profile.recent}
    lines = [Text(profile.text, style="bold"), Text("")]
    for claim in profile.claims:
        lines.append(Text(f"• {claim.text}"))
        cited = [titles.get(event_id, event_id[:8]) for event_id in claim.evidence]
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
