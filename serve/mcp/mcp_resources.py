"""Portraits as resources of the MCP server: `limner://users/USER/portrait`."""

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ...errors import InputError
from ..stored import stored_portrait

if TYPE_CHECKING:
    from mcp.types import ListResourcesResult, ReadResourceResult, ResourceTemplate

    from ...face import Limner
    from ...models import Profile

TEMPLATE = "limner://users/{user_id}/portrait"
PAGE = 50
"""Portraits in one page of the list."""

_MIME = "text/plain"
_BEFORE, _BEHIND = TEMPLATE.split("{user_id}")


class UnknownResourceError(InputError):
    """Nothing has this URI."""

    code = "unknown_resource"

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(uri)

    def __str__(self) -> str:
        return f"{self.uri!r} is no resource; portraits are at {TEMPLATE}, with the user id percent-encoded"


def uri_of(user_id: str) -> str:
    """Return the URI of a user's portrait.

    Examples:
        >>> uri_of("ada/b@x")
        'limner://users/ada%2Fb%40x/portrait'
    """
    return f"{_BEFORE}{quote(user_id, safe='')}{_BEHIND}"


def user_of(uri: str) -> str:
    """Return whose portrait a URI names.

    Raises:
        UnknownResourceError: It names none.

    Examples:
        >>> user_of("limner://users/ada%2Fb%40x/portrait")
        'ada/b@x'
    """
    middle = uri.removeprefix(_BEFORE).removesuffix(_BEHIND)
    if uri != f"{_BEFORE}{middle}{_BEHIND}" or not middle or "/" in middle:
        raise UnknownResourceError(uri)
    return unquote(middle)


def template() -> "ResourceTemplate":
    """Return the form of all URIs."""
    from mcp.types import ResourceTemplate

    return ResourceTemplate(
        uri_template=TEMPLATE,
        name="portrait",
        title="Portrait of a user",
        description="The newest stored portrait of a user, in words.",
        mime_type=_MIME,
    )


async def list_portraits(limner: "Limner", cursor: str | None) -> "ListResourcesResult":
    """Return the next page of stored portraits, in the order of user ids; the cursor is the last id."""
    from mcp.types import ListResourcesResult, Resource

    page: list[Profile] = await anext(limner.doors.store.profiles(PAGE + 1, after=cursor), [])
    resources = [
        Resource(
            uri=uri_of(profile.user_id),
            name=profile.user_id,
            title=f"Portrait of {profile.user_id}",
            mime_type=_MIME,
        )
        for profile in page[:PAGE]
    ]
    following = page[PAGE - 1].user_id if len(page) > PAGE else None
    return ListResourcesResult(resources=resources, next_cursor=following)


async def read_portrait(limner: "Limner", uri: str) -> "ReadResourceResult":
    """Return the words of a portrait.

    Raises:
        UnknownResourceError: The URI names no portrait.
        UnknownUserError: The user was never recorded.
        NoPortraitError: No portrait was drawn yet.
    """
    from mcp.types import ReadResourceResult, TextResourceContents

    profile = await stored_portrait(limner, user_of(uri))
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=_MIME, text=profile.text)])
