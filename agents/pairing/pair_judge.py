"""The judge of a pair: which rating does a model expect that reads nothing but the two profiles?"""

import asyncio
from collections.abc import Sequence

import numpy as np

from ...pairings import Judgement, PairSide
from ...tools.answer_shares import ALTERNATIVES, Shares, shares_of
from ...tools.chat import ChatRequest, ChatResult
from ...tools.completion_cache import completion_key
from ...tools.prompt import load_prompt
from ...tools.rating_levels import FALLBACK_LEVELS, ShownScale, shown_scale, tilted
from ...tools.store import RatingScale
from ..calling import Answer, ask, make_request
from ..state import Deps

PROMPT = load_prompt("judge_pair")

MOST_TOKENS = 2
"""Length of a verdict: one digit, and room for a blank before it."""

Sides = tuple[PairSide, PairSide]

_UNRATED = ShownScale(0.0, 1.0, FALLBACK_LEVELS)
_NOBODY = PairSide(cue="", instruction="", profile="")
_MIDDLE = 0.5
_TAILS = (0.1, 0.9)
_ROUNDING = 1e-9


def asks_judge(deps: Deps) -> bool:
    """Whether pairs are judged at all."""
    return deps.chat is not None and deps.settings.reward.rating > 0


async def blank_calls(deps: Deps, scale: RatingScale | None) -> int:
    """Return the calls that a verdict may take beside itself: one for blank profiles, if they were not judged before.

    Whether the backend gives the log-probabilities that they are judged for, only a verdict tells.
    """
    if deps.chat is None or not asks_judge(deps) or not deps.settings.pairing.calibrated:
        return 0
    request = judge_request(
        (_NOBODY, _NOBODY), shown_scale(scale) or _UNRATED, seed=deps.settings.drafting.seed
    )
    key = completion_key(deps.chat.identity, request)
    return int(key not in await deps.store.cached_completions([key]))


async def judge_pairs_of(
    deps: Deps, scale: RatingScale | None, usual: float | None, asked: Sequence[Sides]
) -> list[Answer[Judgement]]:
    """Ask for the rating of each two profiles; an answer has no value if no rating could be read.

    Small models name some ratings more readily than others whatever they read. So, where the backend gives
    log-probabilities, the distribution is divided by the one for two blank profiles (contextual calibration) and
    starts from what is usual: `p(r) ~ usual(r) * judge(r | profiles) / judge(r | blank)`. With
    `pairing.calibrated` off, or without log-probabilities, the judge's bare word counts.

    Args:
        deps: The chat door, the budget and the settings.
        scale: The store's ratings; where nothing was rated the judge is asked from 1 to 5, and only `fit` is told.
        usual: The damped mean of user and item, on the source's scale; `None` where nothing was rated.
        asked: User side and item side of each pair; only their profiles are read.

    Source:
        DUET's frozen judge. Differs: by default the model that also writes; a distribution on the store's scale
        instead of one number from 1 to 5; corrected as in Zhao et al. 2021, https://arxiv.org/abs/2102.09690.
    """
    shown = shown_scale(scale)
    on, seed = shown or _UNRATED, deps.settings.drafting.seed
    answers = await asyncio.gather(*(ask(deps, judge_request(sides, on, seed=seed)) for sides in asked))
    read = [shares_of(answer.value, on.labels()) if answer.value else None for answer in answers]
    blank, against = Answer[ChatResult](), None
    if deps.settings.pairing.calibrated and any(told and told[1] for told in read):
        blank = await ask(deps, judge_request((_NOBODY, _NOBODY), on, seed=seed))
        against = shares_of(blank.value, on.labels()) if blank.value else None
    share = None if usual is None or shown is None else (usual - on.low) / (on.high - on.low)
    start = tilted(on.levels, _MIDDLE if share is None else share)
    judged: list[Answer[Judgement]] = []
    for answer, told in zip(answers, read, strict=True):
        cost = answer.usage if judged else answer.usage + blank.usage  # the first pays for the blank pair
        if told is None or blank.note:
            note = answer.note or blank.note
            judged.append(Answer(None, cost, note, answer.exhausted or blank.exhausted))
            continue
        bare, graded = told
        corrected = corrected_shares(bare, against[0], start) if graded and against and against[1] else bare
        judged.append(Answer(judgement_of(corrected, bare, shown, graded=graded), cost))
    return judged


def judge_request(sides: Sides, shown: ShownScale, *, seed: int) -> ChatRequest:
    """Build the request for one pair's rating."""
    user, item = sides
    return make_request(
        PROMPT,
        PROMPT.render(user_profile=user.profile, item_profile=item.profile, lowest=1, highest=shown.levels),
        schema=None,
        max_tokens=MOST_TOKENS,
        seed=seed,
        temperature=0.0,
        top_p=1.0,
        top_logprobs=ALTERNATIVES,
    )


def corrected_shares(judged: Shares, blank: Shares, usual: Shares) -> Shares:
    """Return `usual * judged / blank` as a distribution; all of shape `(L,)`.

    Examples:
        >>> even, sour = np.array([0.5, 0.5]), np.array([0.8, 0.2])  # a judge that says 1 four times in five
        >>> corrected_shares(sour, sour, np.array([0.25, 0.75])).round(6).tolist()  # and has no more to say here
        [0.25, 0.75]
        >>> corrected_shares(even, sour, even).round(6).tolist()  # 0.5 / 0.8 against 0.5 / 0.2
        [0.2, 0.8]
    """
    weights = usual * judged / blank
    shares: Shares = weights / weights.sum()
    return shares


def judgement_of(shares: Shares, bare: Shares, shown: ShownScale | None, *, graded: bool) -> Judgement:
    """Sum a distribution over the levels up.

    Args:
        shares: Probability of each level, lowest first, shape `(L,)`.
        bare: The same as the judge said it.
        shown: The scale; `None` where nothing was rated.
        graded: Whether log-probabilities gave the shares, so that their spread means something.

    Examples:
        >>> said = np.array([0.05, 0.05, 0.1, 0.5, 0.3])
        >>> told = judgement_of(said, said, ShownScale(1.0, 5.0, 5), graded=True)
        >>> round(told.expected, 2), told.said, told.interval, round(told.fit, 4)
        (3.95, 4.0, (2.0, 5.0), 0.7375)
    """
    fit = float(np.clip(shares @ np.linspace(0.0, 1.0, len(shares)), 0.0, 1.0))
    listed, heard = (tuple(round(share, 6) for share in told.tolist()) for told in (shares, bare))
    if shown is None:
        return Judgement(fit=fit, expected=None, said=None, interval=None, shares=listed, bare=heard)
    values = shown.values()
    return Judgement(
        fit=fit,
        expected=shown.low + fit * (shown.high - shown.low),
        said=values[int(np.argmax(shares))],
        interval=_interval(shares, values) if graded else None,
        shares=listed,
        bare=heard,
    )


def _interval(shares: Shares, values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest levels at which 10 % and 90 % of the distribution are reached."""
    reached = np.cumsum(shares) + _ROUNDING
    low, high = (values[int(np.searchsorted(reached, tail))] for tail in _TAILS)
    return low, high
