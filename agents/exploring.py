"""Drafts dealt at random among grounded phrases, graded and logged: cheap experience to learn from.

A language model writes few drafts of a user, and a small one writes nearly alike ones. Phrases and titles drawn
at random cover what can be said at the price of embedding it, without one model call, and the critic tells which
of it foretells what comes next. Rewards of such drafts teach a profiler what is worth saying.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..models import Facet, Rollout
from ..records import content_hash
from .build_case import build_case
from .case import Case
from .critic import criticise
from .cue_drafts import extractive_cues
from .fingerprint import critic_version
from .phrasing import compose
from .plain_form import PLAIN, PlainDraft, PlainForm, completion_of
from .profile_form import themes_of
from .rollouts import rollouts_of
from .state import Deps, Draft, State
from .themes import Theme

WRITER = "limner/dealt"
"""Backend of these drafts in the log."""

_REVISION = "1"
_SKIP = 0.15
_PLAIN_ENDING = 0.2
_FADE = 0.7
_MOST_PHRASES = 3
_TITLE_CHARACTERS = 60


async def explore(deps: Deps, user_id: str, *, as_of: datetime, drafts: int, seed: int) -> list[Rollout]:
    """Deal drafts of one user in the plain style, grade and return them; nothing is published.

    Args:
        deps: What the graph may touch; no model is asked.
        user_id: Whose drafts.
        as_of: Exclusive bound.
        drafts: How many, >= 1; those that come out alike are dropped.
        seed: With the user's id, decides everything.

    Returns:
        Rollouts of one group, in the order of dealing; none where nothing can be held back to grade them with.
        The same arguments over the same history give the same rollout ids.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        NoTextError: Nothing in the history has any text.
    """
    deps = replace(deps, style="plain", chat=None)
    state = State(user_id=user_id, item_id=None, as_of=as_of, run_id="")
    case = await build_case(deps, state)
    cues = extractive_cues(case, case.visible, deps.lexicon)
    themes = themes_of(case, cues, deps)
    if not case.has_exam or not themes:
        return []
    form = PlainForm(case, cues, deps)
    messages = form.request(advice="", best=None).messages
    rng = random.Random(f"{seed}:{user_id}")
    dealt = {completion_of(deal_facets(themes, case, rng)): None for _ in range(drafts)}
    written = [
        form.fill(_blank(deps, ix, text), PlainDraft.model_validate_json(text).model_dump())
        for ix, text in enumerate(dealt)
    ]
    graded = (await criticise(deps, case, written)).drafts
    seen = [event.event_id for event in (*case.visible, *case.held)]
    run_id = content_hash("explore", user_id, seen, seed, PLAIN.version, critic_version(deps), list(dealt))
    best = max(graded, key=lambda draft: draft.total or 0.0)
    state |= State(run_id=run_id, drafts=graded, prompts={0: messages}, best=best)
    return rollouts_of(deps, case, state)


def deal_facets(themes: Sequence[Theme], case: Case, rng: random.Random) -> list[Facet]:
    """Draw sentences: which themes, which of their phrases, which title, how they open."""
    kept = [theme for theme in themes if rng.random() > _SKIP] or [rng.choice(themes)]
    facets: list[Facet] = []
    for theme in kept:
        phrases = _draw(theme.phrases, rng, count=rng.randint(1, _MOST_PHRASES))
        titles = _titles(theme, case)
        examples = [] if rng.random() < _PLAIN_ENDING else _draw(titles, rng, count=1)
        text = compose(phrases, case.language, theme.opening, place=rng.randrange(10), examples=examples)
        facets.append(Facet(name=phrases[0], text=text, polarity=theme.polarity))
    return facets


def _titles(theme: Theme, case: Case) -> list[str]:
    """Return the titles of a theme that a sentence can quote, newest first."""
    titles = (
        " ".join(case.items[event.item_id].title.split())
        for event in reversed(theme.events)
        if event.item_id and event.item_id in case.items
    )
    return list(dict.fromkeys(title for title in titles if 0 < len(title) <= _TITLE_CHARACTERS))


def _draw(options: Sequence[str], rng: random.Random, *, count: int) -> list[str]:
    """Draw without repeats; each option is less likely than the one before it."""
    left, drawn = list(options), list[str]()
    while left and len(drawn) < count:
        place = rng.choices(range(len(left)), weights=[_FADE**rank for rank in range(len(left))])[0]
        drawn.append(left.pop(place))
    return drawn


def _blank(deps: Deps, draft_ix: int, completion: str) -> Draft:
    return Draft(
        round=0,
        draft_ix=draft_ix,
        facets=(),
        claims=(),
        completion=completion,
        finish_reason="stop",
        model=WRITER,
        model_rev=_REVISION,
        prompt_id=PLAIN.id,
        prompt_version=PLAIN.version,
        at=deps.clock.now(),
    )
