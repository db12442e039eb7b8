"""Pages with a form that changes something: shown first, and again with what is wrong with it."""

from fastapi.responses import Response

from .correct_view import CorrectView
from .entrance import Visit
from .forget_view import ForgetView, PartView
from .roles import FORGET_PART_ROLE, FORGET_USER_ROLE


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
    """Show what can be forgotten about a user."""
    return visit.page(
        "forget",
        status=422 if wrong else 200,
        view=view,
        head=view.head,
        tab="forget",
        heading="Forget",
        wrong=wrong,
        part_role=FORGET_PART_ROLE,
        user_role=FORGET_USER_ROLE,
    )


def forget_part_page(visit: Visit, view: PartView, *, wrong: str = "") -> Response:
    """Show one thing about to be forgotten."""
    return visit.page(
        "forget_part",
        status=422 if wrong else 200,
        view=view,
        head=view.head,
        tab="forget",
        heading="Forget",
        wrong=wrong,
        part_role=FORGET_PART_ROLE,
    )
