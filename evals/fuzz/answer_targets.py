"""What reads the answers of models: JSON and its repair, cues, drafts of portraits and pairs, batches, cards."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...agents.build_case import build_case
from ...agents.cards.card_form import CardDrafts, batch_request, read_batch
from ...agents.cards.card_material import read_material
from ...agents.cue_drafts import CueList, cue_schema, read_cues
from ...agents.pairing.batch_form import BatchForm, Member, shared_case
from ...agents.pairing.batch_pass import noted_cues
from ...agents.pairing.pair_form import PairDraft, PairForm
from ...agents.plain_form import PlainDraft, PlainForm
from ...agents.profile_form import ProfileDraft, ProfileForm
from ...agents.state import Deps, Draft, State, Style
from ...face import Limner
from ...tools.schemas import is_object, schema_of
from ...tools.structured import read_as
from .odd import Odd
from .staged import staged
from .watched import Feed, Target

_TYPES: Sequence[Any] = (CueList, ProfileDraft, PlainDraft, PairDraft, CardDrafts, dict[str, Any])
_STYLES: Sequence[Style] = ("free", "lexicon", "plain")
_PAIRED = ("i000", "i001", "i002")
_USER = "user-1"


class _Reader(NamedTuple):
    """One thing that reads answers."""

    schema: Mapping[str, Any]
    """What it asks a model for."""

    read: Callable[[Mapping[str, Any]], object]
    """Raises `ValueError` at what is unusable."""


@asynccontextmanager
async def _json_read(folder: Path) -> AsyncGenerator[Feed]:
    """Read an answer as one of the types that are asked for, by repair if need be."""
    schemas = [schema_of(type_) for type_ in _TYPES]

    async def feed(odd: Odd) -> bool:
        place = odd.random.randrange(len(_TYPES))
        value = odd.spoilt(odd.filled(schemas[place]))
        text = odd.answer(odd.written(value)) if odd.chance(0.9) else odd.text()
        return not isinstance(read_as(text, _TYPES[place]), tuple)

    yield feed


@asynccontextmanager
async def _forms(folder: Path) -> AsyncGenerator[Feed]:
    """Fill drafts of portraits, pairs and batches of pairs, and read cues and cards, in each style."""
    async with staged(folder) as limner:
        deps = (await limner.prepare()).deps
        readers = [
            reader for style in _STYLES for reader in await _readers(limner, replace(deps, style=style))
        ]

        async def feed(odd: Odd) -> bool:
            reader = odd.random.choice(readers)
            answer = odd.spoilt(odd.filled(reader.schema))
            if not is_object(answer):
                return True
            try:
                reader.read(answer)
            except ValueError:  # pydantic's own error is one
                return True
            return False

        yield feed


async def _readers(limner: Limner, deps: Deps) -> list[_Reader]:
    now = limner.now()
    draft = Draft(round=0, draft_ix=0, facets=(), claims=(), at=now)
    case = await build_case(deps, State(user_id=_USER, item_id=None, as_of=now, run_id=""))
    cues = await noted_cues(deps, case)
    newest = case.visible[-4:]
    forms = [PlainForm(case, cues, deps) if deps.style == "plain" else ProfileForm(case, cues, deps)]
    cases = [
        await build_case(deps, State(user_id=_USER, item_id=item_id, as_of=now, run_id=""))
        for item_id in _PAIRED
    ]
    members = [Member(one, await noted_cues(deps, one.for_item())) for one in cases]
    shared = shared_case(cases)
    assert shared is not None, "their histories overlap"
    batch = BatchForm(shared, cues, members, deps)
    found = [_Reader(form.schema(seed=1, best=None), partial(form.fill, draft)) for form in forms]
    pair = PairForm(cases[0], cues, members[0].cues, deps)
    found += [
        _Reader(pair.schema(seed=1, best=None), partial(pair.fill, draft)),
        *(
            _Reader(batch.schema(seed=1), partial(_fill, batch, draft, place))
            for place in range(len(members))
        ),
        await _cards(limner, deps),
    ]
    if schema := cue_schema(case, newest, deps.lexicon, deps.style):
        found.append(_Reader(schema, lambda answer: read_cues(case, newest, CueList.model_validate(answer))))
    return found


def _fill(batch: BatchForm, draft: Draft, place: int, answer: Mapping[str, Any]) -> object:
    return batch.fill(draft, answer, place)


async def _cards(limner: Limner, deps: Deps) -> _Reader:
    items = (await deps.store.items(_PAIRED)).values()
    vectors = await deps.embedder.embed([item.describe() for item in items])
    scale = await deps.store.rating_scale(as_of=limner.now())
    materials = [
        await read_material(deps, item, vector, as_of=limner.now(), scale=scale)
        for item, vector in zip(items, vectors, strict=True)
    ]
    schema = batch_request(deps, materials).json_schema
    assert schema is not None, "cards are asked for with a schema"
    return _Reader(schema, partial(read_batch, materials))


TARGETS = (
    Target(name="answers as JSON", share=35, open=_json_read, refusals=()),
    Target(name="forms of answers", share=16, open=_forms, refusals=()),
)
