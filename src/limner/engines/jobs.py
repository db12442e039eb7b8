"""What a batch does for each user."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from ..agents.colophon import INCOMPLETE
from ..recommendations import Filters
from ..records import Identifier, Moment, Record, Usage

if TYPE_CHECKING:
    from ..face import Limner
    from ..tools.budget import Budget


class Row(NamedTuple):
    """What a batch leaves of one user: a document, or an error."""

    user_id: str
    document: str | None
    """The portrait or the recommendations, as JSON; absent for an error."""

    complete: bool
    """Whether nothing is missing from it that the same call could still bring."""

    usage: Usage
    """What it cost."""

    error: str | None = None
    """Stable code of the error, or `unexpected`."""

    error_type: str | None = None
    """Its class."""

    message: str | None = None
    """What it says."""


class DrawJob(Record):
    """Draw a portrait."""

    kind: Literal["profile"] = "profile"
    as_of: Moment
    """Nothing at or after this moment is used."""

    async def row(self, limner: "Limner", user_id: str, budget: "Budget") -> Row:
        """Do it."""
        drawn = await limner.profile(user_id, as_of=self.as_of, budget=budget)
        whole = not drawn.fingerprint.startswith(INCOMPLETE)
        return Row(user_id, drawn.model_dump_json(), whole, drawn.usage)


class RecommendJob(Record):
    """Recommend what may be chosen next; fields as of `Limner.recommend`."""

    kind: Literal["recommend"] = "recommend"
    as_of: Moment
    k: int = 10
    had: bool = True
    """Whether what the user had is left out."""

    unavailable: tuple[Identifier, ...] = ()
    categories: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    diversity: float = 0.0
    explain: bool = False
    rerank: int | None = None
    generate: bool = False

    async def row(self, limner: "Limner", user_id: str, budget: "Budget") -> Row:
        """Do it."""
        found = await limner.recommend(user_id, **self.asked(), budget=budget)
        return Row(user_id, found.model_dump_json(), True, found.usage)

    def asked(self) -> Mapping[str, Any]:
        """Return the words of `Limner.recommend`."""
        filters = Filters(
            had=self.had,
            unavailable=frozenset(self.unavailable),
            categories=frozenset(self.categories),
            without=frozenset(self.without),
        )
        names = ("as_of", "k", "diversity", "explain", "rerank", "generate")
        return {"filters": filters, **{name: getattr(self, name) for name in names}}


Job = Annotated[DrawJob | RecommendJob, Field(discriminator="kind")]
