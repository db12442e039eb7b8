"""The least that one pair costs, so that a budget below it is refused before a model is asked."""

from ...records import Message
from ..case import Case
from ..extract_cues import batches_to_read, known_cues
from ..state import Deps
from .pair_form import PairForm
from .pair_judge import asks_judge, blank_calls

_CHARACTERS_PER_TOKEN = 4


async def require_one_pass(deps: Deps, case: Case) -> None:
    """Refuse a pair that the budget cannot pay for: notes on what is new, one draft, one verdict.

    A calibrated verdict counts twice if blank profiles may have to be judged for it.

    Money is left to the chat door, which alone knows prices: it refuses the first call that does not fit.

    Raises:
        BudgetExceededError: Calls or tokens do not reach; nothing was sent.
    """
    if deps.chat is None:
        return
    noted = [await known_cues(deps, side) for side in (case, case.for_item())]
    notes = sum(len(batches_to_read(deps, known.new)) for known in noted)
    form = PairForm(case, noted[0].cues, noted[1].cues, deps)
    request = form.request(advice="", best=None)
    drafts = max(1, len(request.parts))
    deps.budget.require(
        calls=notes + drafts + asks_judge(deps) + await blank_calls(deps, case.scale),
        tokens=_tokens(request.messages) + drafts * form.max_tokens,
    )


def _tokens(messages: tuple[Message, ...]) -> int:
    return sum(len(message.content) for message in messages) // _CHARACTERS_PER_TOKEN
