"""How portraits, pairs and cards look in a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from ..cards import ItemCard
from ..models import Profile
from ..pairings import Pair, PairSide
from ..records import Usage
from .common import out

if TYPE_CHECKING:
    from ..tools.store import Store

_WORDS = 60
_HALF = 0.5


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


async def pair_titles(store: "Store", pair: Pair) -> dict[str, str]:
    """Return what a pair's evidence is called, by event id.

    The user's is called by its items. Of others' it is told what they did, and neither who they are nor their words.
    """
    history = await store.history(pair.user_id, as_of=pair.as_of)
    others = await store.item_history(pair.item_id, as_of=pair.as_of, exclude_user=pair.user_id)
    items = await store.items([event.item_id for event in history if event.item_id])
    mine = {
        event.event_id: items[event.item_id].title if event.item_id in items else (event.text or "")[:_WORDS]
        for event in history
    }
    return mine | {event.event_id: f"a {event.kind} by somebody else" for event in others}


def print_pair(pair: Pair, titles: Mapping[str, str]) -> None:
    """Print both sides of a pair, how well they fit and why, with the evidence, called by `titles`."""
    lines = [*_side("The person", pair.user), Text(""), *_side("The item", pair.item), Text("")]
    lines.append(Text(_verdict(pair), style="bold green" if pair.fit >= _HALF else "bold yellow"))
    if pair.because:
        lines.append(Text(pair.because, style="italic"))
    lines.append(Text(""))
    for reason in pair.reasons:
        lines.append(Text(f"• {reason.text}"))
        lines.append(Text(f"  the person: {_named(reason.user_evidence, titles)}", style="dim"))
        theirs = _named(reason.item_evidence, titles) or "what its publisher says"
        lines.append(Text(f"  the item: {theirs}", style="dim"))
    lines += [Text(f"note: {note}", style="yellow") for note in pair.notes]
    subtitle = f"{pair.source} · {_spent(pair.usage)}"
    title = f"{pair.user_id} and {pair.item_id}"
    out.print(Panel(Group(*lines), title=escape(title), subtitle=escape(subtitle), title_align="left"))


def _side(name: str, side: PairSide) -> list[Text]:
    """Return a profile with what it started from, as far as that was asked for."""
    parts = [f"cue: {side.cue}" if side.cue else "", f"plan: {side.instruction}" if side.instruction else ""]
    told = " · ".join(part for part in parts if part)
    return [
        Text(name, style="dim"),
        Text(side.profile, style="bold"),
        *([Text(told, style="dim")] if told else []),
    ]


def _verdict(pair: Pair) -> str:
    """Return the numbers of a pair in words."""
    words = [f"fit {pair.fit:.0%}" if pair.judged else f"likeness {pair.fit:.0%}"]
    if pair.expected_rating is not None:
        interval = pair.rating_interval
        between = f" ({interval[0]:g} to {interval[1]:g} in 8 of 10 cases)" if interval else ""
        words.append(f"expected rating {pair.expected_rating:.2f}{between}")
    words.append("by a judge of the two profiles" if pair.judged else "by means, no judge was asked")
    return f"{' · '.join(words)} · affinity {pair.affinity:.2f}"


def _named(event_ids: Sequence[str], titles: Mapping[str, str]) -> str:
    """Return what events are called; those called alike once, with their number."""
    counts = Counter(titles.get(event_id, event_id) for event_id in event_ids)
    return ", ".join(f"{title} (x{count})" if count > 1 else title for title, count in counts.items())


def print_card(card: ItemCard) -> None:
    """Print a card and what its sentences rest on."""
    lines = [
        Text(card.feature, style="bold"),
        Text(f"liked by: {card.liked_by}"),
        Text(f"not by: {card.disliked_by}"),
        Text(f"because: {card.reasoning}", style="dim"),
    ]
    lines += [Text(f"note: {note}", style="yellow") for note in card.notes]
    shared = f" · the card of {card.shared_with}" if card.shared_with else ""
    rests = f"{len(card.evidence)} reviews" if card.evidence else "publisher text"
    subtitle = f"{card.source} · {rests} · grounding {card.grounding:.2f}{shared} · {_spent(card.usage)}"
    out.print(Panel(Group(*lines), title=escape(card.item_id), subtitle=escape(subtitle), title_align="left"))


def _spent(usage: Usage) -> str:
    cost = f" · ${usage.cost:.4f}" if usage.cost else ""
    return f"{usage.calls} calls · {usage.tokens:,} tokens · {usage.seconds:.1f} s{cost}"
