"""The volatile part of a context: what must not be overlooked, what was said since, what matters now, the newest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ...models import Cue
from ...records import Interaction
from ...tools.tokens import TokenCounter
from ..corrections.correction import correction_of
from ..listening.gate import states_anything, telling
from ..stances import content_words, split_sentences, stances_of
from ..urgency import Urgency, urgency_of
from .frame import RECENT, Block, Words, framed, mark_of, tame
from .material import Material
from .room import Room
from .stable_part import Part

_MOST_SINCE, _MOST_RELATED, _MOST_LATELY = 4, 24, 5
_FIRST_RELATED, _FIRST_LATELY = 6, 2
_FIRST_URGENT = 3
_URGENT: Mapping[Urgency, int] = {"limit": 0, "wish": 1}
"""Blocks of what comes before all else."""

_SINCE, _RELATED, _LATELY = 2, 3, 4
"""The other blocks."""

_FITS_FROM = 0.15
"""Score from which something is told for a question."""

_BARE_FROM = 0.3
"""The same for a theme without a sentence."""

_QUOTE = 200
_ENDS = " .!…。！"  # noqa: RUF001  # what ends statements
_FIRST_YEAR = 1971
"""Moments before it count an order, not time."""


class Line(NamedTuple):
    """One line that may be told."""

    block: int
    """Which heading it stands under: see `_headings`."""

    text: str
    evidence: tuple[str, ...]
    bare: str = ""
    """Its words alone, to see whether another line says the same; empty for the whole line."""


class Scored(NamedTuple):
    """What the question asks for, and how much."""

    cues: Mapping[str, float]
    """Score of observations, by id."""

    events: Mapping[str, float]
    """Score of interactions, by id."""


def volatile_part(
    material: Material,
    scored: Scored | None,
    words: Words,
    counter: TokenCounter,
    *,
    stable: str,
    max_tokens: int,
) -> Part:
    """Tell what fits, whole lines only, so that both parts together stay within the room.

    Args:
        material: What is known.
        scored: What the question asks for; absent without one.
        words: Fixed words.
        counter: Counts tokens.
        stable: The stable part, which says already what it says.
        max_tokens: Room for both parts.
    """
    about = "" if stable else mark_of(words, counter, max_tokens=max_tokens)
    kept: list[Line] = []
    text = ""
    # Where not even one line fits, the line that says what this is goes.
    for mark in dict.fromkeys((about, "")):
        kept = _chosen(material, scored, words, counter, stable=stable, about=mark, max_tokens=max_tokens)
        text = _told(kept, words, mark)
        while kept and not _fits(stable, text, counter, max_tokens):
            kept.pop()
            text = _told(kept, words, mark)
        if kept:
            break
    evidence = dict.fromkeys(event for line in sorted(kept, key=_block) for event in line.evidence)
    return Part(text, counter.count(text) if text else 0, tuple(evidence))


def _chosen(
    material: Material,
    scored: Scored | None,
    words: Words,
    counter: TokenCounter,
    *,
    stable: str,
    about: str,
    max_tokens: int,
) -> list[Line]:
    """Choose what fits by the count of each line, the most important first."""
    room = Room(counter, max_tokens)
    headings = _headings(words)
    frame = framed(RECENT, [Block("", [""])], about=about)
    if not room.take(*([stable] if stable else []), *frame.splitlines()):
        return []
    kept: list[Line] = []
    for line in _candidates(material, scored, words, stable):
        fresh = _without_told(line, stable, kept)
        if fresh and not _said(fresh, stable, kept) and room.take_listed(fresh.text, headings[fresh.block]):
            kept.append(fresh)
    return kept


def _fits(stable: str, volatile: str, counter: TokenCounter, room: int) -> bool:
    """Whether both fit, together as one text and each as a message of its own."""
    apart = counter.count(stable) + counter.count(volatile)
    joined = "\n".join(part for part in (stable, volatile) if part)
    return max(apart, counter.count(joined)) <= room


def _candidates(material: Material, scored: Scored | None, words: Words, stable: str) -> Iterator[Line]:
    """Yield lines, the most important first: where something was asked, what answers it, not what came last.

    Limits and wishes that no portrait tells come before all else; beside a portrait, behind what fits the question best.
    """
    since = list(_since(material))
    urgent = _urgent(material, scored)
    newest = (event for event in reversed(material.events) if _speaks(event, material, lately=True))
    lately = [_lately(event, material, words) for event in islice(newest, _MOST_LATELY)]
    if scored is None:
        yield from (*urgent, *since, *lately)
        return
    told = content_words(stable, material.language)
    yield from (line for line in since if told & content_words(line.bare, material.language))
    related = _related(material, scored, words, since)[:_MOST_RELATED]
    yield from related[: 1 if stable else 0]
    yield from urgent[:_FIRST_URGENT]
    yield from related[:_FIRST_RELATED]
    yield from urgent[_FIRST_URGENT:]
    yield from since
    yield from lately[:_FIRST_LATELY]
    yield from related[_FIRST_RELATED:]


def _since(material: Material) -> Iterator[Line]:
    """Yield what the user said after the portrait was drawn, newest first."""
    profile = material.profile
    if profile is None:
        return
    left = _MOST_SINCE
    for event in reversed(material.events):
        if event.at < profile.as_of or left <= 0:
            return
        if correction_of(event):
            continue
        for stance in stances_of(event, material.language):
            left -= 1
            yield Line(_SINCE, f'"{tame(stance.quote)}"', (event.event_id,), tame(stance.quote))


def _related(material: Material, scored: Scored, words: Words, since: Sequence[Line]) -> list[Line]:
    """Return what fits the question, best first; of equal things what came since the portrait, then the later one."""
    cues = _merged(material.cues.standing)
    found = [
        (score, _observed(cue, material, words))
        for cue in cues
        if (cue.text != cue.facet or cue.polarity != "neutral")
        and (score := scored.cues.get(cue.cue_id, 0.0))
        >= (_BARE_FROM if cue.text == cue.facet else _FITS_FROM)
    ]
    found += [
        (score, _lately(event, material, words)._replace(block=_RELATED))
        for event in material.events
        if (score := scored.events[event.event_id]) >= _FITS_FROM and _speaks(event, material, lately=False)
    ]
    found += [
        (score, line)
        for line in reversed(since)
        if (score := max(_scores_of(line.evidence[0], cues, scored))) >= _FITS_FROM
    ]
    found.reverse()
    return [line for _, line in sorted(found, key=lambda entry: -entry[0])]


def _scores_of(event_id: str, cues: Sequence[Cue], scored: Scored) -> list[float]:
    """Return the scores of an interaction and of what was noted of it."""
    noted = [scored.cues.get(cue.cue_id, 0.0) for cue in cues if event_id in cue.evidence]
    return [scored.events[event_id], *noted]


def _speaks(event: Interaction, material: Material, *, lately: bool) -> bool:
    """Whether an interaction tells anything: a message must, of the user if nobody asked for it."""
    if event.kind != "message" or event.item_id in material.items:
        return True
    if correction_of(event) or event.event_id in material.taken_back:
        return False  # the portrait that was published with it has the one, a later word outdoes the other
    text = event.text or ""
    return bool(telling(text, material.language) if lately else states_anything(text))


def _merged(cues: Iterable[Cue]) -> list[Cue]:
    """Return observations, those that say the same once with all their evidence."""
    merged: dict[tuple[str, str], Cue] = {}
    for cue in cues:
        key = (cue.polarity, cue.text.casefold())
        known = merged.get(key)
        evidence = tuple(dict.fromkeys((*(known.evidence if known else ()), *cue.evidence)))
        merged[key] = cue.model_copy(update={"evidence": evidence})
    return list(merged.values())


def _urgent(material: Material, scored: Scored | None) -> list[Line]:
    """Return limits, then wishes, that the user stated: what fits the question before the rest, then the newest first."""
    cues = [cue for cue in reversed(_merged(material.cues.standing)) if _is_stated(cue, material)]
    if scored is not None:
        cues.sort(key=lambda cue: -scored.cues.get(cue.cue_id, 0.0))
    lines: list[Line] = []
    for urgency, block in _URGENT.items():
        for cue in cues:
            if urgency_of(cue.text, material.language) == urgency:
                text = tame(cue.text)
                shown = f'"{text}"' if _is_quoted(cue, material) else text
                lines.append(Line(block, shown, cue.evidence, text))
    return lines


def _is_stated(cue: Cue, material: Material) -> bool:
    """Whether an observation rests on what the user said alone, and not on what was chosen."""
    rests_on = material.evidence_of(cue)
    return bool(rests_on) and all(event.kind == "message" for event in rests_on)


def _is_quoted(cue: Cue, material: Material) -> bool:
    """Whether an observation is in the user's own words."""
    words = _plain(cue.text.strip("… "))
    return any(
        event.kind == "message" and words in _plain(event.text or "") for event in material.evidence_of(cue)
    )


def _observed(cue: Cue, material: Material, words: Words) -> Line:
    side = {"like": words.like, "dislike": words.dislike}.get(cue.polarity, "")
    text = tame(cue.text)
    if cue.text != cue.facet and _is_quoted(cue, material):
        return Line(_RELATED, f'{words.did["message"]}: "{text}"', cue.evidence, text)
    return Line(_RELATED, f"{side}: {text}" if side else text, cue.evidence, text)


def _lately(event: Interaction, material: Material, words: Words) -> Line:
    """Tell one interaction: when, what, and the user's words."""
    item = material.items.get(event.item_id or "")
    title = tame(item.title if item else event.item_id or "")
    quote = _cut(tame(event.text or ""))
    rating = "" if event.rating is None else f" ({event.rating:g})"
    day = f"{event.at:%Y-%m-%d} " if event.at.year >= _FIRST_YEAR else ""
    said = [part for part in (f"{title}{rating}".strip(), f'"{quote}"' if quote else "") if part]
    return Line(
        _LATELY,
        f"{day}{words.did[event.kind]}: {'; '.join(said)}",
        (event.event_id,),
        quote if not title else "",
    )


def _cut(text: str) -> str:
    """Cut a long text at a word."""
    return text if len(text) <= _QUOTE else f"{text[:_QUOTE].rsplit(' ', 1)[0]}…"


def _without_told(line: Line, stable: str, kept: Sequence[Line]) -> Line | None:
    """Return a line without the sentences that were told already; nothing if none is left."""
    sentences = list(split_sentences(line.bare))
    told = (_plain(stable), *(_plain(other.text) for other in kept))
    fresh = [one for one in sentences if not any(_holds(text, _plain(one).strip(_ENDS)) for text in told)]
    if len(fresh) == len(sentences):
        return line
    left = " ".join(fresh)
    return line._replace(text=line.text.replace(line.bare, left, 1), bare=left) if left else None


def _plain(text: str) -> str:
    """Return a text with one kind of quotation mark, as portraits quote."""
    return text.replace('"', "'")


def _said(line: Line, stable: str, kept: Sequence[Line]) -> bool:
    """Whether the stable part or another line says this already."""
    bare = line.bare or line.text
    return _holds(stable, bare) or any(
        _holds(other.text, bare) or (other.bare and _holds(bare, other.bare)) for other in kept
    )


def _holds(text: str, words: str) -> bool:
    """Whether a text holds these words, not as parts of others."""
    folded, wanted = text.casefold(), words.casefold()
    place = folded.find(wanted) if wanted else -1
    while place >= 0:
        end = place + len(wanted)
        if not _goes_on(folded[max(0, place - 1) : place]) and not _goes_on(folded[end : end + 1]):
            return True
        place = folded.find(wanted, place + 1)
    return False


def _goes_on(character: str) -> bool:
    """Whether a word goes on in this character; there may be none."""
    return character.isalnum() or character == "_"


def _told(lines: Sequence[Line], words: Words, about: str) -> str:
    headings = _headings(words)
    blocks = [
        Block(heading, [line.text for line in lines if line.block == number])
        for number, heading in enumerate(headings)
    ]
    return framed(RECENT, blocks, about=about)


def _headings(words: Words) -> tuple[str, ...]:
    return words.limits, words.wishes, words.since, words.related, words.lately


def _block(line: Line) -> int:
    return line.block
