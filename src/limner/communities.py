"""Groups as data: people who share interests, and what that adds for one of them."""

from .records import Identifier, Record


class Group(Record):
    """People who share interests, and what that adds for one of them."""

    group_id: Identifier
    """Content hash of the members."""

    members: tuple[str, ...]
    """User ids; never shown to another user."""

    shared: tuple[str, ...]
    """Interests the members have in common."""

    news: tuple[str, ...] = ()
    """Shared interests that this user's own history does not show."""
