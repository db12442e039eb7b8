"""Choose the form: an item in the state makes it a pair, the style says how a profile is written."""

from .case import Case
from .form import Form
from .pairing.pair_form import PairForm
from .plain_form import PlainForm
from .profile_form import ProfileForm
from .state import Deps, State


def form_of(case: Case, state: State, deps: Deps) -> Form:
    """Return the form of this run's drafts."""
    if case.item_side:
        return PairForm(case, state["cues"], state["item_cues"], deps)
    form = PlainForm if deps.style == "plain" else ProfileForm
    return form(case, state["cues"], deps)
