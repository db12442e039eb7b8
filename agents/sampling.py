"""Sample several drafts of one request at once."""

import asyncio
from typing import Any, NamedTuple, TypedDict

from ..records import Message, Usage
from ..tools.chat import ChatResult
from ..tools.structured import read_as
from .calling import ask, make_request, usage_of
from .form import DraftRequest, Form
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
    answers = await asyncio.gather(
        *(
            ask(
                deps,
                make_request(
                    request.prompt,
                    request.messages,
                    schema=form.schema(seed=seed, best=request.best),
                    max_tokens=form.max_tokens,
                    seed=seed,
                    temperature=deps.settings.drafting.temperature,
                    top_p=deps.settings.drafting.top_p,
                    top_logprobs=int(deps.logprobs),
                ),
            )
            for seed in seeds
        )
    )
    drafts = [
        read_answer(deps, form, request, answer.value, round_=round_, draft_ix=number, seed=seed)
        for number, (seed, answer) in enumerate(zip(seeds, answers, strict=True))
        if answer.value
    ]
    notes = sorted({answer.note for answer in answers if answer.note})
    return Sampled(drafts, usage_of(answers), notes, any(answer.exhausted for answer in answers))


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
    draft = Draft(
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
    read = read_as(result.text, dict[str, Any])
    if not isinstance(read, tuple):
        return draft
    try:
        return form.fill(draft, read[0])
    except ValueError:  # pydantic's ValidationError is one
        return draft
