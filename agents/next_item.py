"""The text reward: can a model that reads only the profile pick the next item?"""

import math
import random
from typing import NamedTuple

from ..tools.chat import ChatResult
from ..tools.prompt import load_prompt
from .calling import Answer, ask, make_request
from .case import Case, one_line
from .state import Deps

PROMPT = load_prompt("choose_next")

_LETTERS = "ABCD"
_OPTION_CHARACTERS = 100


class Option(NamedTuple):
    """One answer to choose from."""

    letter: str
    text: str


async def next_item_reward(deps: Deps, case: Case, profile: str) -> Answer[float]:
    """Ask for the first held-back item among three negatives.

    Returns:
        The probability of the right letter among the four, if the backend gives log-probabilities; else 1 or 0.

    Source:
        BLUE's text reward (four options, next item). Differs: graded by probability where that is known.
    """
    chosen = [case.positives[0], *case.negatives[: len(_LETTERS) - 1]]
    if len(chosen) < len(_LETTERS):
        return Answer()
    order = random.Random(case.neg_seed).sample(chosen, len(chosen))
    items = await deps.store.items(order)
    options = [
        Option(letter, one_line(items[item_id].describe(_OPTION_CHARACTERS)))
        for letter, item_id in zip(_LETTERS, order, strict=True)
    ]
    request = make_request(
        PROMPT,
        PROMPT.render(profile=profile, options=options),
        schema=None,
        max_tokens=2,
        seed=deps.settings.drafting.seed,
        temperature=0.0,
        top_p=1.0,
        top_logprobs=20,
    )
    answer = await ask(deps, request)
    if answer.value is None:
        return Answer(None, answer.usage, answer.note, answer.exhausted)
    right = _LETTERS[order.index(case.positives[0])]
    return Answer(probability_of(answer.value, right), answer.usage)


def probability_of(result: ChatResult, letter: str) -> float:
    """Return the share of a letter in the probability mass of all four, or whether it was answered.

    Examples:
        >>> from ..models import Usage
        >>> said = ChatResult(text=" B.", finish_reason="stop", model="m", usage=Usage())
        >>> probability_of(said, "B"), probability_of(said, "A")
        (1.0, 0.0)
    """
    mass = dict.fromkeys(_LETTERS, 0.0)
    for token, log_probability in result.first_token.items():
        if token.strip() in mass:
            mass[token.strip()] += math.exp(log_probability)
    total = sum(mass.values())
    if total > 0:
        return mass[letter] / total
    return float(result.text.strip()[:1] == letter)
