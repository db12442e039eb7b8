"""The form of a batched pass: one user's side once, then an item side for each of several items.

Every item's part is read as a pair draft of its own, so that critic, grounding and log treat it like a single pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from ...models import Cue
from ...records import Message
from ...tools.prompt import load_prompt
from ..case import Case, describe_event, mean_vector, one_line
from ..json_schema import object_schema
from ..state import LENGTHS, Deps, Draft, Style
from .pair_form import PairForm

PROMPT = load_prompt("draft_pairs")

_USER = "user_"
_EVENTS_SHOWN: dict[Style, int] = {"free": 10, "lexicon": 6, "plain": 6}
_ITEM_EVENTS: dict[Style, int] = {"free": 5, "lexicon": 2, "plain": 2}
_ITEM_CHARACTERS: dict[Style, int] = {"free": 400, "lexicon": 160, "plain": 160}


class ItemShown(NamedTuple):
    """An item as the prompt shows it."""

    ref: str
    text: str
    cues: str
    lines: list[str]


class Member(NamedTuple):
    """One item of a batch."""

    case: Case
    cues: Sequence[Cue]
    """About the item."""


class BatchForm:
    """Pairs of one user with several items.

    The user's side is written for all of them: it sees only what every member's draft may see, and leans towards what
    lies between the items rather than towards one of them.
    """

    def __init__(self, shared: Case, cues: Sequence[Cue], members: Sequence[Member], deps: Deps) -> None:
        self._shared, self._cues, self._members, self._deps = shared, cues, members, deps
        self.forms = [PairForm(member.case, cues, member.cues, deps) for member in members]
        self._user = PairForm(shared, cues, members[0].cues, deps)
        # The user's spans are half of a pair; each item adds another half.
        self.max_tokens = self._user.max_tokens * (len(members) + 1) // 2

    def messages(self) -> tuple[Message, ...]:
        """Render the prompt."""
        style, shown = self._deps.style, _EVENTS_SHOWN[self._deps.style]
        return PROMPT.render(
            user_events=self._shared.lines(self._shared.visible[-shown:], LENGTHS[style]),
            user_cues="; ".join(dict.fromkeys(cue.text for cue in self._cues[-shown:])),
            items=[self._shown(ref, member) for ref, member in zip(self._refs, self._members, strict=True)],
            language=self._shared.language,
            cue=self._deps.settings.pairing.cue,
            instruction=self._deps.settings.pairing.instruction,
        )

    def schema(self, *, seed: int) -> dict[str, Any]:
        """Return the schema: the user's spans, then an object for each item."""
        spans = _spans(self._user.schema(seed=seed, best=None), of_user=True)
        items = {
            ref: object_schema(_spans(form.schema(seed=seed, best=None), of_user=False))
            for ref, form in zip(self._refs, self.forms, strict=True)
        }
        return object_schema(spans | items)

    def fill(self, draft: Draft, answer: Mapping[str, Any], place: int) -> Draft:
        """Read one item's part as a pair draft.

        Raises:
            ValueError: The item is missing, or one of its spans is missing or empty.
        """
        part = TypeAdapter(dict[str, Any]).validate_python(answer.get(self._refs[place]))
        whole = {name: span for name, span in answer.items() if name.startswith(_USER)} | part
        filled = self.forms[place].fill(draft, whole)
        # What the user's sentences are for or against is told by the phrases they were written from.
        return filled.model_copy(update={"facets": self._user.fill(draft, whole).facets})

    @property
    def _refs(self) -> list[str]:
        return [f"item_{number}" for number in range(1, len(self._members) + 1)]

    def _shown(self, ref: str, member: Member) -> ItemShown:
        style = self._deps.style
        item_case = member.case.for_item()
        item = next(iter(item_case.items.values()))
        newest = item_case.visible[-_ITEM_EVENTS[style] :]
        lines = [
            describe_event(event, item_case.items, item_case.polarity(event), LENGTHS[style])
            for event in newest
        ]
        cues = dict.fromkeys(cue.text for cue in member.cues[-_ITEM_EVENTS[style] :])
        return ItemShown(ref, one_line(item.describe(_ITEM_CHARACTERS[style])), "; ".join(cues), lines)


def shared_case(cases: Sequence[Case]) -> Case | None:
    """Return the user's side of several pairs: what all of their drafts may see; `None` if that is nothing."""
    seen = set.intersection(*({event.event_id for event in case.visible} for case in cases))
    first = cases[0]
    visible = tuple(event for event in first.visible if event.event_id in seen)
    sides = [case.item_side for case in cases if case.item_side]
    if not visible or not sides:
        return None
    between = mean_vector(np.stack([side.vector for side in sides]))
    return replace(first, visible=visible, item_side=replace(sides[0], vector=between))


def _spans(schema: Mapping[str, Any], *, of_user: bool) -> dict[str, Any]:
    """Return the user's spans of a pair's schema, or the item's."""
    properties: Mapping[str, Any] = schema["properties"]
    return {name: span for name, span in properties.items() if name.startswith(_USER) == of_user}
