"""Node: say what each recommended item rests on, and put everything together.

Reads everything; writes `found`. No model is asked: every sentence is a fixed one of the user's language, filled with
titles of the user's own history, with a sentence of the user's own portrait, or with one of the item's card.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ...cards import ItemCard
from ...models import Profile
from ...recommendations import Recommendation, RecommendationReason, Recommendations
from ...records import Item, Usage
from ...tools.embedder import FloatArray
from ...tools.grouping.stored_groups import Choice
from ...tools.recommender.recommender_index import RecommenderIndex
from ...tools.recommender.recommender_signals import GROUPS
from ..groups.past_choices import is_disliked
from .recommend_state import RecommendDeps, RecommendState

_LEAST_SHARE = 0.05
_TITLES = 2
_PART_OF = {name: part for part, names in GROUPS.items() for name in names}


class Update(TypedDict):
    """What this node writes."""

    found: Recommendations


class _Known(NamedTuple):
    """What reasons are made of."""

    state: RecommendState
    ranked_by: RecommenderIndex
    events: list[Choice]
    """What the user chose of the catalogue and did not dislike, oldest first."""

    numbers: list[int]
    """Of their items."""

    items: Mapping[str, Item]
    cards: Mapping[str, ItemCard]
    likes: FloatArray
    """Vectors of the portrait's sentences about what draws the user, shape `(L, D)`."""

    like_texts: Sequence[str]
    group: str
    """Name of the group the user belongs to; empty if nobody found groups."""

    @property
    def words(self) -> Mapping[str, str]:
        """The fixed sentences of the user's language."""
        return _sentences().get(self.state["language"], {})


async def explain_items(state: RecommendState, runtime: Runtime[RecommendDeps]) -> Update:
    """Return the recommendations, with reasons if they were asked for."""
    wanted, index, deps = state["wanted"], runtime.context.index, runtime.context.deps
    chosen = state["chosen"][: wanted.k]
    known = await _known(state, runtime.context, chosen)
    shares = [_shares(state, number) for number in chosen]
    reasons = [
        _reasons(known, number, share)[: deps.settings.recommend.reasons] if wanted.explain else []
        for number, share in zip(chosen, shares, strict=True)
    ]
    return Update(
        found=Recommendations(
            user_id=wanted.user_id,
            as_of=wanted.as_of,
            items=tuple(
                Recommendation(
                    item_id=index.item_ids[number],
                    title=known.items[index.item_ids[number]].title,
                    place=place,
                    score=float(state["total"][number]),
                    shares={name: round(value, 4) for name, value in share.items()},
                    because=said[0].text if said else "",
                    reasons=tuple(said),
                )
                for place, (number, share, said) in enumerate(
                    zip(chosen, shares, reasons, strict=True), start=1
                )
            ),
            language=state["language"],
            index=index.facts.name,
            calibrated=index.calibration.measured,
            drafts=tuple(state.get("drafts", ())),
            notes=tuple(state.get("notes", ())),
            usage=state.get("spent", Usage()),
        )
    )


async def _known(state: RecommendState, context: RecommendDeps, chosen: Sequence[int]) -> _Known:
    deps, index, wanted = context.deps, context.index, state["wanted"]
    scale = await deps.store.rating_scale(as_of=wanted.as_of)
    events = [
        event for event in state["history"] if event.item_id in index.number and not is_disliked(event, scale)
    ]
    chosen_ids = [index.item_ids[number] for number in chosen]
    profile = state["profile"] if wanted.explain else None
    likes = [facet.text for facet in profile.facets if facet.polarity != "dislike"] if profile else []
    return _Known(
        state=state,
        ranked_by=index,
        events=events,
        numbers=[index.number[event.item_id] for event in events],
        items=await deps.store.items([*chosen_ids, *(event.item_id for event in events)]),
        cards=await deps.store.item_cards(chosen_ids, as_of=wanted.as_of) if wanted.explain else {},
        likes=await deps.embedder.embed(likes),
        like_texts=likes,
        group=await _group(context, state) if wanted.explain else "",
    )


async def _group(context: RecommendDeps, state: RecommendState) -> str:
    """Return the name of the user's group, if groups were found before the moment and not again since."""
    store, wanted = context.deps.store, state["wanted"]
    grouping = await store.grouping(as_of=wanted.as_of)
    newest = await store.grouping(as_of=max(wanted.as_of, context.deps.clock.now()))
    if grouping is None or newest is None or newest.facts.as_of != grouping.facts.as_of:
        return ""
    names = {group.community.group_id: group.community.name for group in grouping.groups}
    return next((names.get(one.group_id, "") for one in await store.belongings(wanted.user_id)), "")


def _shares(state: RecommendState, number: int) -> dict[str, float]:
    """Return what spoke for an item beyond what speaks for the middle one, as shares, most first."""
    gains: dict[str, float] = {}
    for name, part in state["parts"].items():
        gain = max(float(part[number] - np.median(part)), 0.0)
        gains[_PART_OF.get(name, name)] = gains.get(_PART_OF.get(name, name), 0.0) + gain
    whole = sum(gains.values())
    ranked = sorted(gains.items(), key=lambda entry: (-entry[1], entry[0]))
    return {name: gain / whole for name, gain in ranked if gain > 0}


def _reasons(known: _Known, number: int, shares: Mapping[str, float]) -> list[RecommendationReason]:
    """Return a reason for each signal that counted, most telling first."""
    found = [_reason(known, number, signal) for signal, share in shares.items() if share >= _LEAST_SHARE]
    return [reason for reason in found if reason is not None]


def _reason(known: _Known, number: int, signal: str) -> RecommendationReason | None:
    if signal in ("sequence", "text", "attributes"):
        return _by_history(known, number, signal)
    if signal == "profile":
        return _by_portrait(known, number)
    if signal == "card":
        card = known.cards.get(known.ranked_by.item_ids[number])
        return _filled(known, signal, words=card.liked_by) if card else None
    if signal == "generated":
        words = known.ranked_by.signals.words
        near = known.state["draft_vectors"] @ words.had[number] if words is not None else np.zeros(1)
        return _filled(known, signal, words=known.state["drafts"][int(np.argmax(near))])
    if signal == "group" and known.group:
        return _filled(known, signal, words=known.group, form="named_group")
    return _filled(known, signal)


def _by_history(known: _Known, number: int, signal: str) -> RecommendationReason | None:
    """Name the user's choices that speak most for an item."""
    if not known.events:
        return None
    voices = _voices(known, number, signal)
    best = [place for place in np.argsort(-voices, kind="stable").tolist() if voices[place] > 0]
    told: dict[str, str] = {}
    for place in best:
        event = known.events[place]
        title = known.items[event.item_id].title
        if title and title not in told.values():
            told[event.event_id] = title
        if len(told) == _TITLES:
            break
    return _filled(known, signal, titles=list(told.values()), evidence=tuple(told)) if told else None


def _voices(known: _Known, number: int, signal: str) -> FloatArray:
    """Return what each choice of the user says for an item, newer ones louder, shape `(H,)`."""
    signals, rows = known.ranked_by.signals, known.numbers
    age = np.arange(len(rows))[::-1]
    decay = (signals.options.decay**age).astype(np.float32)
    if signal == "sequence":
        said = signals.pairs[rows][:, [number]].toarray()[:, 0]
    elif signal == "attributes" and signals.attributes is not None:
        said = (signals.attributes[rows] @ signals.attributes[[number]].T).toarray()[:, 0]
    else:
        assert signals.words is not None, "an index of a store has texts"
        said = signals.words.space.users(signals.words.had[rows]) @ signals.words.ranked[number]
    voices: FloatArray = said * decay
    return voices


def _by_portrait(known: _Known, number: int) -> RecommendationReason | None:
    """Name the sentence of the portrait that lies nearest, with what it rests on."""
    words, profile = known.ranked_by.signals.words, known.state["profile"]
    if words is None or profile is None or not len(known.likes):
        return None
    near = words.space.users(known.likes) @ words.ranked[number]
    sentence = known.like_texts[int(np.argmax(near))]
    return _filled(known, "profile", words=sentence, evidence=_evidence(profile, sentence))


def _evidence(profile: Profile, sentence: str) -> tuple[str, ...]:
    return next((claim.evidence for claim in profile.claims if claim.text == sentence), ())


def _filled(
    known: _Known,
    signal: str,
    *,
    titles: Sequence[str] = (),
    words: str = "",
    evidence: tuple[str, ...] = (),
    form: str = "",
) -> RecommendationReason | None:
    """Fill a fixed sentence; titles or words alone in a language without a table."""
    table = known.words
    joiner = f" {table['and']} " if table else ", "
    sentence = table.get(form or signal, "{titles}{words}")
    quoted = (f"“{title}”" for title in titles)  # titles may hold the joining word themselves
    text = sentence.format(titles=joiner.join(quoted), words=words).strip()
    return RecommendationReason(signal=signal, text=text, evidence=evidence) if text else None


@cache
def _sentences() -> dict[str, dict[str, str]]:
    path = files("limner") / "prompts" / "recommend_because.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
