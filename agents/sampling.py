"""Sample several drafts of one request at once."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict

from ..records import Message, Usage
from ..tools.chat import ChatResult
from ..tools.structured import read_as
from .calling import Answer, ask, make_request, usage_of
from .form import DraftRequest, Form, Part
from .json_schema import object_schema
from .state import Deps, Draft

_SEEDS_PER_ROUND = 1000


class Drafted(TypedDict):
    """The keys that a node which samples drafts may change."""

    drafts: list[Draft]
    prompts: dict[int, tuple[Message, ...]]
    round: int
    spent: Usage
    notes: list[str]
    exhausted: bool


class Sampled(NamedTuple):
    """What one round of sampling gave."""

    drafts: list[Draft]
    usage: Usage
    notes: list[str]
    exhausted: bool


async def sample_drafts(deps: Deps, form: Form, request: DraftRequest, *, count: int, round_: int) -> Sampled:
    """Ask for `count` drafts that differ in their seed; those that fail become notes."""
    first = deps.settings.drafting.seed + _SEEDS_PER_ROUND * round_
    seeds = range(first, first + count)
    answers = await asyncio.gather(*(_ask_draft(deps, form, request, seed=seed) for seed in seeds))
    drafts = [
        read_answer(deps, form, request, answer.value, round_=round_, draft_ix=number, seed=seed)
        for number, (seed, answer) in enumerate(zip(seeds, answers, strict=True))
        if answer.value
    ]
    notes = sorted({answer.note for answer in answers if answer.note})
    return Sampled(drafts, usage_of(answers), notes, any(answer.exhausted for answer in answers))


async def _ask_draft(deps: Deps, form: Form, request: DraftRequest, *, seed: int) -> Answer[ChatResult]:
    """Ask for one draft; its parts, if it has any, at once."""
    schema = form.schema(seed=seed, best=request.best)
    whole = Part(request.messages, tuple(schema.get("properties", ())))
    answers = await asyncio.gather(
        *(
            ask(
                deps,
                make_request(
                    request.prompt,
                    part.messages,
                    schema=schema if part is whole else part_of_schema(schema, part.names),
                    max_tokens=form.max_tokens,
                    seed=seed,
                    temperature=deps.settings.drafting.temperature,
                    top_p=deps.settings.drafting.top_p,
                    top_logprobs=int(deps.logprobs),
                ),
            )
            for part in request.parts or (whole,)
        )
    )
    return answers[0] if len(answers) == 1 else _joined(answers)


def part_of_schema(schema: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the schema of an object with some of the properties.

    Examples:
        >>> part_of_schema({"properties": {"a": {"type": "string"}, "b": {}}}, ["a"])["properties"]
        {'a': {'type': 'string'}}
    """
    return object_schema({name: schema["properties"][name] for name in names})


def _joined(answers: Sequence[Answer[ChatResult]]) -> Answer[ChatResult]:
    """Join the answers for the parts of a draft into one object; there is none if one part is missing."""
    usage, exhausted = usage_of(answers), any(answer.exhausted for answer in answers)
    note = next((answer.note for answer in answers if answer.note), None)
    results = [answer.value for answer in answers if answer.value]
    if len(results) < len(answers):
        return Answer(None, usage, note, exhausted)
    read = [read_as(result.text, dict[str, Any]) for result in results]
    objects = [found[0] for found in read if isinstance(found, tuple)]
    whole = len(objects) == len(results)
    joined = replace(
        results[0],
        text=json.dumps({key: value for found in objects for key, value in found.items()}, ensure_ascii=False)
        if whole
        else "\n".join(result.text for result in results),
        finish_reason=next((one.finish_reason for one in results if one.finish_reason != "stop"), "stop"),
        usage=usage,
        token_ids=None,
        token_logprobs=None,
    )
    return Answer(joined, usage, note, exhausted)


def read_answer(
    deps: Deps,
    form: Form,
    request: DraftRequest,
    result: ChatResult,
    *,
    round_: int,
    draft_ix: int,
    seed: int,
) -> Draft:
    """Turn an answer into a draft; one that cannot be read keeps its completion and has no sentences."""
    draft = unread_draft(deps, request, result, round_=round_, draft_ix=draft_ix, seed=seed)
    read = read_as(result.text, dict[str, Any])
    if not isinstance(read, tuple):
        return draft
    try:
        return form.fill(draft, read[0])
    except ValueError:  # pydantic's ValidationError is one
        return draft


def unread_draft(
    deps: Deps, request: DraftRequest, result: ChatResult, *, round_: int, draft_ix: int, seed: int
) -> Draft:
    """Keep an answer as a draft without sentences."""
    return Draft(
        round=round_,
        draft_ix=draft_ix,
        facets=(),
        claims=(),
        completion=result.text,
        finish_reason=result.finish_reason,
        model=result.model,
        model_rev=result.model_rev,
        seed=seed,
        token_logprobs=result.token_logprobs,
        token_ids=result.token_ids,
        prompt_id=request.prompt.id,
        prompt_version=request.prompt.version,
        usage=result.usage,
        at=deps.clock.now(),
    )
