"""Node: a model writes the next item in words, the catalogue grounds it, and every draft is a rollout.

Reads `wanted`, `history`, `profile`, `language`, `total`, `parts`; writes `drafts`, `draft_vectors`, `parts`, `total`,
`rollouts`, `spent`, `notes`. Some calls, and the drafts go to the log. What is known of the outcome grades drafts, and
no draft sees it.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from langgraph.runtime import Runtime

from ...models import Rollout
from ...records import Message, Usage, content_hash
from ...tools.chat import ChatResult
from ...tools.embedder import FloatArray
from ...tools.late_interaction import mid_ranks, score_items
from ...tools.prompt import load_prompt
from ..calling import Answer, ask, make_request, usage_of
from ..fingerprint import critic_version
from ..json_schema import object_schema
from ..lexicon import item_phrases
from ..phrasing import sentence_pattern
from ..state import Deps
from .recommend_state import RecommendDeps, RecommendState

PROMPT = load_prompt("next_item_words")

_LINES = 10
_OFFERED = 24
_TOKENS = 60
_LEAST = 8
_LETTERS_A_WORD = 12


class Update(TypedDict, total=False):
    """What this node writes."""

    drafts: list[str]
    draft_vectors: FloatArray
    parts: dict[str, FloatArray]
    total: FloatArray
    rollouts: list[Rollout]
    spent: Usage
    notes: list[str]


async def write_next_items(state: RecommendState, runtime: Runtime[RecommendDeps]) -> Update:
    """Let the model describe the next item a few times, and add what lies near to the scores.

    Raises:
        PriceUnknownError: The budget limits money and the model's price is unknown.
    """
    context, notes = runtime.context, state.get("notes", [])
    deps = context.deps
    if reason := _silent(state, deps):
        return {"notes": [*notes, reason]}
    messages = await _messages(state, deps)
    offered = await _offered(state, context) if deps.style != "free" else []
    seeds = [deps.settings.drafting.seed + number for number in range(deps.settings.recommend.drafts)]
    answers = await asyncio.gather(*(_ask(deps, messages, offered, seed) for seed in seeds))
    written = [(seed, answer.value) for seed, answer in zip(seeds, answers, strict=True) if answer.value]
    notes = [*notes, *dict.fromkeys(answer.note for answer in answers if answer.note)]
    drafts = [_read(result.text) for _, result in written]
    spent = state.get("spent", Usage()) + usage_of(answers)
    told = [draft for draft in drafts if draft]
    vectors = await deps.embedder.embed(told)
    rewards = _rewards(state, context, drafts, told, vectors)
    rollouts = [
        _rollout(state, deps, messages, number, seed, result, draft, reward)
        for number, ((seed, result), draft, reward) in enumerate(zip(written, drafts, rewards, strict=True))
    ]
    await deps.store.log(rollouts)
    if not told:
        return {"rollouts": rollouts, "notes": [*notes, "the model wrote no next item"], "spent": spent}
    near = _near(context, vectors)
    part = near * np.float32(deps.settings.recommend.generated * float(state["total"].std()))
    return {
        "drafts": told,
        "draft_vectors": vectors,
        "parts": {**state["parts"], "generated": part},
        "total": state["total"] + part,
        "rollouts": rollouts,
        "spent": spent,
        "notes": notes,
    }


def _silent(state: RecommendState, deps: Deps) -> str:
    """Say why the model is not asked; empty if it is."""
    if deps.chat is None:
        return "no model is configured, so nobody wrote the next item in words"
    if not state["history"] and state["profile"] is None:
        return "nothing is known from which the next item could be written"
    return ""


async def _messages(state: RecommendState, deps: Deps) -> tuple[Message, ...]:
    newest = [choice.item_id for choice in reversed(state["history"])][:_LINES]
    items = await deps.store.items(newest)
    lines = [items[item_id].describe(160) for item_id in newest if item_id in items]
    profile = state["profile"]
    return PROMPT.render(
        language=state["language"],
        lines=lines,
        most_words=deps.settings.recommend.words,
        portrait=profile.text if profile else "",
    )


async def _offered(state: RecommendState, context: RecommendDeps) -> list[str]:
    """Return phrases of the items that rank first, for models that write best by choosing."""
    first = np.argsort(-state["total"], kind="stable")[:_OFFERED].tolist()
    items = await context.deps.store.items([context.index.item_ids[number] for number in first])
    phrases = [phrase for item in items.values() for phrase in item_phrases(item, state["language"])]
    return list(dict.fromkeys(phrases))[:_OFFERED]


async def _ask(
    deps: Deps, messages: tuple[Message, ...], offered: Sequence[str], seed: int
) -> Answer[ChatResult]:
    drafting = deps.settings.drafting
    words: dict[str, Any] = {
        "type": "string",
        "minLength": _LEAST,
        "maxLength": deps.settings.recommend.words * _LETTERS_A_WORD,
    }
    if offered:  # without a language, phrases stand alone: no opening comes before them
        words = {"type": "string", "pattern": sentence_pattern(offered, "", "like", seed=seed)}
    request = make_request(
        PROMPT,
        messages,
        schema=object_schema({"item": words}),
        max_tokens=_TOKENS,
        seed=seed,
        temperature=drafting.temperature,
        top_p=drafting.top_p,
    )
    return await ask(deps, request)


def _read(text: str) -> str:
    """Return the description; empty if the answer is not what was asked for."""
    try:
        found = json.loads(text)["item"]
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(found.split()) if isinstance(found, str) else ""


def _near(context: RecommendDeps, vectors: FloatArray) -> FloatArray:
    """Return how near each item is to what was written, in deviations over the catalogue, shape `(N,)`."""
    words = context.index.signals.words
    assert words is not None, "an index of a store has texts"
    scores = score_items(vectors, words.had, temperature=context.index.facts.temperature)
    unit: FloatArray = (scores - scores.mean()) / max(float(scores.std()), 1e-9)
    return unit


def _rewards(
    state: RecommendState,
    context: RecommendDeps,
    drafts: Sequence[str],
    told: Sequence[str],
    vectors: FloatArray,
) -> list[dict[str, float]]:
    """Return each draft's NDCG over the whole catalogue, if the outcome is known; an unreadable one earns 0."""
    outcome, number = state["wanted"].outcome, context.index.number
    if outcome is None or outcome not in number:
        return [{} for _ in drafts]
    place, had = number[outcome], {event.item_id for event in state["history"]}
    rivals = [
        row for item_id, row in number.items() if row != place and (item_id == outcome or item_id not in had)
    ]
    found: list[dict[str, float]] = []
    by_text = dict(zip(told, vectors, strict=True))
    for draft in drafts:
        gain = 0.0
        if draft:
            near = _near(context, by_text[draft][None])
            gain = float(1 / np.log2(1 + mid_ranks(near[[place]], near[rivals])[0]))
        found.append({"rank": gain, "total": gain})
    return found


def _rollout(
    state: RecommendState,
    deps: Deps,
    messages: tuple[Message, ...],
    number: int,
    seed: int,
    result: ChatResult,
    draft: str,
    rewards: dict[str, float],
) -> Rollout:
    wanted, version, now = state["wanted"], critic_version(deps), deps.clock.now()
    prompt = json.dumps([message.model_dump() for message in messages])
    run_id = content_hash(
        wanted.user_id, wanted.as_of.isoformat(), prompt, version, wanted.outcome, now.isoformat()
    )
    drafting = deps.settings.drafting
    return Rollout(
        rollout_id=content_hash(run_id, number),
        run_id=run_id,
        user_id=wanted.user_id,
        round=0,
        draft_ix=number,
        group_key=content_hash(wanted.user_id, prompt, version, wanted.outcome),
        messages=messages,
        completion=result.text,
        profile_text=draft,
        finish_reason=result.finish_reason,
        backend=result.model,
        model_rev=result.model_rev,
        temperature=drafting.temperature,
        top_p=drafting.top_p,
        seed=seed,
        token_ids=result.token_ids,
        token_logprobs=result.token_logprobs,
        selected=bool(draft),
        selection_propensity=1.0,
        rewards=rewards,
        critic_version=version,
        as_of=wanted.as_of,
        held=(),
        neg_seed=drafting.seed,
        prompt_id=PROMPT.id,
        prompt_version=PROMPT.version,
        usage=result.usage,
        at=now,
    )
