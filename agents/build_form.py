"""Choose the form: an item in the state makes it a pair."""

from .case import Case
from .form import Form
from .pair_form import PairForm
from .profile_form import ProfileForm
from .state import Deps, State


def form_of(case: Case, state: State, deps: Deps) -> Form:
    """Return the form of this run's drafts."""
    if case.item_side:
        return PairForm(case, state["cues"], state["item_cues"], deps)
    return ProfileForm(case, state["cues"], deps)
