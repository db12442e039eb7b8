"""The group a user belongs to, and what it adds."""

from dataclasses import dataclass

from ...communities import Group
from ...errors import EmptyHistoryError, InputError, NoGroupsError
from ...face import Limner
from .portrait_view import Head, head_of


@dataclass(frozen=True, kw_only=True)
class GroupView:
    """A group as one of its members sees it."""

    head: Head
    group: Group | None
    why_not: str
    """Why there is none; empty if there is one."""


async def group_view(limner: Limner, user_id: str) -> GroupView:
    """Return the group a user belongs to most, or why there is none.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    head = await head_of(limner, user_id)
    try:
        return GroupView(head=head, group=await limner.group(user_id), why_not="")
    except NoGroupsError as error:
        return GroupView(head=head, group=None, why_not=_no_groups(error))
    except EmptyHistoryError:
        return GroupView(
            head=head, group=None, why_not="Nothing of this user is on record up to this moment."
        )
    except InputError as error:
        return GroupView(head=head, group=None, why_not=str(error))


def _no_groups(error: NoGroupsError) -> str:
    """Say it without the moment, which on this page is always the present."""
    return f"{error.reason[0].upper()}{error.reason[1:]} yet. Run `limner refresh`."
