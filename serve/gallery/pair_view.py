"""A user and an item described for each other: both profiles, how well they fit and why, with the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...agents.pairing.pass_price import fewest_calls
from ...errors import UnknownItemError
from ...face import Limner
from ...pairings import Pair
from ...records import Interaction, Item
from ...settings import EMBEDDED
from ..statements import Quote, day_of, quote_of
from .deeds import deeds_by_id, items_of, last_with_items
from .portrait_view import Head, head_of

FOUND = 12
"""Items that a search shows."""

_HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An item that can be chosen."""

    item_id: str
    title: str
    labels: str
    """Its categories; empty if it has none."""


@dataclass(frozen=True, kw_only=True)
class ReasonView:
    """Why the two fit or not, with the evidence on both sides."""

    text: str
    mine: tuple[Quote, ...]
    """The user's own interactions."""

    theirs: tuple[str, ...]
    """What others did with the item, without who they are and what they said."""


@dataclass(frozen=True, kw_only=True)
class PairView:
    """What is known of a user with an item."""

    head: Head
    query: str
    choices: tuple[Choice, ...]
    item: Choice | None
    """The chosen item; absent while none is."""

    description: str
    pair: Pair | None
    """The stored pair; absent if it was never drawn."""

    reasons: tuple[ReasonView, ...]
    cost: str
    """What drawing the pair would cost; empty if it is up to date or cannot be drawn."""

    @property
    def fits(self) -> bool:
        """Whether the pair says that the two fit."""
        return self.pair is not None and self.pair.fit >= _HALF


async def pair_view(limner: Limner, user_id: str, *, item_id: str = "", query: str = "") -> PairView:
    """Return items to choose from, or the stored pair with the chosen one; no model but the encoder is asked.

    Raises:
        UnknownUserError: The user was never recorded.
        UnknownItemError: The item is not in the catalogue.
    """
    head = await head_of(limner, user_id)
    if not item_id:
        choices = await (_search(limner, query) if query.strip() else _had(limner, user_id))
        return PairView(
            head=head, query=query, choices=choices, item=None, description="", pair=None, reasons=(), cost=""
        )
    items = await limner.items([item_id])
    if item_id not in items:
        raise UnknownItemError(item_id)
    pair = await limner.doors.store.pair(user_id, item_id)
    return PairView(
        head=head,
        query=query,
        choices=(),
        item=_choice(items[item_id]),
        description=items[item_id].description or "",
        pair=pair,
        reasons=await _reasons(limner, pair) if pair else (),
        cost=await pair_cost(limner, user_id, item_id),
    )


async def pair_cost(limner: Limner, user_id: str, item_id: str) -> str:
    """Say what drawing a pair costs, nothing where no model would be asked; nothing is sent."""
    drawing = await limner.prepare()
    calls = await fewest_calls(drawing.deps, user_id, item_id, as_of=drawing.deps.clock.now())
    model = limner.settings.model
    if drawing.deps.chat is None:
        return "No language model is set: the pair is assembled from what is noted, at no cost."
    if not calls:
        return ""
    asked = "once" if calls == 1 else f"about {calls} times"
    money = ", free of charge" if model.startswith(EMBEDDED) else ""
    return f"Drawing asks {model} {asked}, more often if drafts are revised{money}.{_bound(limner)}"


def _bound(limner: Limner) -> str:
    """Say what the settings allow at most; nothing where they set no limit."""
    limits = limner.settings.budget
    most = [
        *([f"{limits.calls:,} calls"] if limits.calls else []),
        *([f"{limits.tokens:,} tokens"] if limits.tokens else []),
        *([f"${limits.money:,.2f}"] if limits.money else []),
    ]
    return f" Never more than {', '.join(most)}." if most else ""


async def _search(limner: Limner, query: str) -> tuple[Choice, ...]:
    vectors = await limner.doors.embedder.embed([query])
    (hits,) = await limner.doors.catalogue.search(vectors, FOUND)
    items = await limner.items([hit.id for hit in hits])
    return tuple(_choice(items[hit.id]) for hit in hits if hit.id in items)


async def _had(limner: Limner, user_id: str) -> tuple[Choice, ...]:
    """Offer the user's latest items while nothing was searched for."""
    latest = list(await last_with_items(limner, user_id))[:FOUND]
    items = await limner.items(latest)
    return tuple(_choice(items[item_id]) for item_id in latest if item_id in items)


def _choice(item: Item) -> Choice:
    return Choice(
        item_id=item.item_id,
        title=item.title or item.describe(60) or "Item without a title",
        labels=", ".join(item.categories),
    )


async def _reasons(limner: Limner, pair: Pair) -> tuple[ReasonView, ...]:
    cited = {event_id for reason in pair.reasons for event_id in reason.user_evidence}
    mine = await deeds_by_id(limner, pair.user_id, cited)
    items = await items_of(limner, list(mine.values()))
    others = await limner.doors.store.item_history(pair.item_id, as_of=pair.as_of, exclude_user=pair.user_id)
    deeds = {event.event_id: _anonymous(event) for event in others}
    return tuple(
        ReasonView(
            text=reason.text,
            mine=tuple(quote_of(event_id, mine, items) for event_id in reason.user_evidence),
            theirs=_known(deeds, reason.item_evidence),
        )
        for reason in pair.reasons
    )


def _anonymous(event: Interaction) -> str:
    rated = "" if event.rating is None else f", rated {event.rating:g}"
    return f"a {event.kind} by somebody else{rated}, {day_of(event.at)}"


def _known(deeds: Mapping[str, str], event_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(deeds[event_id] for event_id in event_ids if event_id in deeds)
