"""The versions of a portrait, and what changed between two of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ...face import Limner
from ...models import Profile
from ..report_numbers import show_number
from .portrait_view import Head, head_of
from .word_diff import Piece, count_words, diff_words


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version in the list."""

    version: int
    drawn: str
    """Minute in UTC."""

    as_of: str
    source: str
    reward: str
    after: str
    """The version it followed; empty for the first."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed from one version to another."""

    old: int
    new: int
    pieces: tuple[Piece, ...]
    language: str
    added: int
    """Words that came."""

    removed: int
    """Words that went."""

    gained: tuple[str, ...]
    """Sentences about likes and dislikes that only the new version has."""

    lost: tuple[str, ...]
    """Sentences that only the old version has."""


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """The history of one portrait."""

    head: Head
    versions: tuple[VersionLine, ...]
    """Newest first."""

    difference: Difference | None
    """Absent with fewer than two versions."""


async def version_view(
    limner: Limner, user_id: str, *, old: int | None = None, new: int | None = None
) -> VersionView:
    """Return all versions and what changed from `old` to `new`; the last two if they are not named.

    Raises:
        UnknownUserError: The user was never recorded.
        InputError: There is no such version.
    """
    head = await head_of(limner, user_id)
    profiles = await limner.doors.store.profile_versions(user_id)
    return VersionView(
        head=head,
        versions=tuple(_line(profile) for profile in reversed(profiles)),
        difference=_difference(profiles, old, new),
    )


def _line(profile: Profile) -> VersionLine:
    return VersionLine(
        version=profile.version,
        drawn=f"{profile.created_at:%Y-%m-%d %H:%M}",
        as_of=f"{profile.as_of:%Y-%m-%d %H:%M}",
        source="model" if profile.source == "model" else "extractive",
        reward=show_number(profile.reward),
        after="" if profile.parent_version is None else str(profile.parent_version),
    )


def _difference(profiles: Sequence[Profile], old: int | None, new: int | None) -> Difference | None:
    by_number = {profile.version: profile for profile in profiles}
    for number in (old, new):
        if number is not None and number not in by_number:
            raise InputError(f"There is no version {number} of this portrait; choose one from the list")
    if len(profiles) < 2:
        return None
    after = by_number[new if new is not None else profiles[-1].version]
    parent = after.parent_version if after.parent_version in by_number else None
    others = [number for number in by_number if number != after.version]
    before = by_number[old if old is not None else parent if parent is not None else others[-1]]
    pieces = diff_words(before.text, after.text)
    had, has = (dict.fromkeys((*one.likes, *one.dislikes)) for one in (before, after))
    return Difference(
        old=before.version,
        new=after.version,
        pieces=pieces,
        language=after.language,
        added=count_words(pieces, "added"),
        removed=count_words(pieces, "removed"),
        gained=tuple(text for text in has if text not in had),
        lost=tuple(text for text in had if text not in has),
    )
