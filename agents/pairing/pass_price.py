"""What a single pair costs at least, counted before a model is asked."""

from datetime import datetime

from ...errors import InputError
from ..build_case import build_case
from ..case import Case
from ..extract_cues import batches_to_read, known_cues
from ..fingerprint import fingerprint_of
from ..state import Deps, State
from .pair_judge import asks_judge


async def fewest_calls(deps: Deps, user_id: str, item_id: str, *, as_of: datetime) -> int:
    """Return the calls of a full drawing without revisions; 0 for a pair that is up to date or cannot be written."""
    try:
        case = await build_case(deps, State(user_id=user_id, item_id=item_id, as_of=as_of, run_id=""))
    except InputError:  # drawing says why
        return 0
    newest = await deps.store.pair(user_id, item_id)
    current = newest and newest.fingerprint == fingerprint_of(deps, case) and newest.as_of <= as_of
    if deps.chat is None or current:
        return 0
    drafts = deps.settings.drafting.drafts if case.has_exam else 1
    prompts = 1 if deps.settings.pairing.paired else len(("user", "item"))
    noted = await _cue_calls(deps, case) + await _cue_calls(deps, case.for_item())
    return noted + drafts * prompts + asks_judge(deps)


async def _cue_calls(deps: Deps, case: Case) -> int:
    return len(batches_to_read(deps, (await known_cues(deps, case)).new))
