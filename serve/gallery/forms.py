"""Pages with a form that changes something: shown first, and again with what is wrong with it."""

from fastapi.responses import Response

from .correct_view import CorrectView
from .entrance import Visit
from .forget_view import ForgetView
from .roles import FORGET_ITEM_ROLE, FORGET_USER_ROLE


def correct_page(
    visit: Visit,
    view: CorrectView,
    *,
    wrong: str = "",
    how: str = "remove",
    words: str = "",
    reason: str = "",
) -> Response:
    """Show a claim about to be corrected, with what was typed so far."""
    return visit.page(
        "correct",
        status=422 if wrong else 200,
        view=view,
        head=view.head,
        tab="user",
        heading="Correct a claim",
        wrong=wrong,
        how=how,
        words=words,
        reason=reason,
    )


def forget_page(visit: Visit, view: ForgetView, *, wrong: str = "") -> Response:
    """Show what can be forgotten, or one item about to be."""
    return visit.page(
        "forget",
        status=422 if wrong else 200,
        view=view,
        head=view.head,
        tab="forget",
        heading="Forget",
        wrong=wrong,
        item_role=FORGET_ITEM_ROLE,
        user_role=FORGET_USER_ROLE,
    )
