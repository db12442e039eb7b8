"""What requests bring: bodies, and the parameters that many routes share."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from fastapi import Path, Query
from pydantic import ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor

from ...face import Limner
from ...pairings import RankMode
from ...recommendations import Filters
from ...records import FEWEST_TOKENS, LONGEST_ID, Interaction, Item, Kind, Moment, Record
from ...tools.budget import Budget

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps no text with this character."""

MOST_EVENTS = 10_000
MOST_ITEMS = 5_000

DrawToo = Annotated[
    bool,
    Query(description="Whether to queue a drawing of who did something new; jobs of kind `draw`."),
]


class _IdConvertor(Convertor[str]):
    """A segment of a percent-encoded path; the id in it may hold a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote_to_bytes(value.encode("latin-1", "replace")).decode("utf-8", "replace")

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())

Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL)]
Words = Annotated[str, Field(max_length=100_000, pattern=NO_NUL)]
Subjects = Annotated[tuple[Id, ...], Field(min_length=1, max_length=100_000)]
"""Users or items, by id."""

UserId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL, description="The user.", examples=["ada"])
]
ItemId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL, description="The item.", examples=["b1"])
]
EventId = Annotated[
    str,
    Path(
        min_length=1, max_length=LONGEST_ID, pattern=NO_NUL, description="The interaction.", examples=["e1"]
    ),
]
GroupId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL, description="The group.", examples=["g1"])
]
AsOf = Annotated[
    Moment | None,
    Query(description="Nothing at or after this moment is used; the present if absent. ISO 8601."),
]
Calls = Annotated[
    int | None,
    Query(ge=1, le=1_000_000, description="Most model calls; the server's own limits hold in any case."),
]


class Event(Record):
    """One thing that a user did."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_id": "b1", "kind": "purchase", "at": "2026-01-05T10:00:00Z"}]}
    )

    item_id: Id | None = None
    """The catalogue entry it concerns; absent for a chat message."""

    kind: Kind
    """What was done."""

    at: Moment
    """When."""

    rating: Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)] | None = None
    """On the source's own scale."""

    text: Words | None = None
    """The user's own words."""

    event_id: Id | None = None
    """Unique in the tenant: sent again it changes nothing. Left out, it is a hash of the rest."""

    def interaction(self, user_id: str) -> Interaction:
        """Return it as something that this user did."""
        return Interaction(user_id=user_id, **self.model_dump(exclude={"user_id"}, exclude_none=True))


class UserEvent(Event):
    """One thing that somebody did."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "ada",
                    "item_id": "b1",
                    "kind": "rating",
                    "rating": 4,
                    "at": "2026-01-05T10:00:00Z",
                }
            ]
        }
    )

    user_id: Id
    """Who did it."""


class Events(Record):
    """What one user did."""

    events: Annotated[tuple[Event, ...], Field(min_length=1, max_length=MOST_EVENTS)]
    """In any order."""


class UserEvents(Record):
    """What several users did."""

    events: Annotated[tuple[UserEvent, ...], Field(min_length=1, max_length=MOST_EVENTS)]
    """In any order."""


class NewItem(Record):
    """A catalogue entry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"item_id": "b1", "title": "The Quiet Sea", "tags": ["sailing", "solitude"]}]
        }
    )

    item_id: Id
    """Unique in the tenant."""

    title: Words = ""
    """Name, or whatever words identify the item."""

    brand: Words | None = None
    """Maker or seller."""

    categories: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    """Categories or genres, broad to narrow."""

    tags: Annotated[tuple[Words, ...], Field(max_length=500)] = ()
    """Free keywords."""

    description: Words | None = None
    """Longer publisher text."""

    def item(self) -> Item:
        """Return it as an item."""
        return Item.model_validate(self.model_dump())


class NewItems(Record):
    """Catalogue entries."""

    items: Annotated[tuple[NewItem, ...], Field(min_length=1, max_length=MOST_ITEMS)]
    """Inserted, or replaced if they are there."""


class RankingWanted(Record):
    """Candidates to rank."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": ["b1", "b2", "b3"], "top": 2}]})

    items: Annotated[tuple[Id, ...], Field(min_length=1, max_length=1_000)]
    """Candidates by id, in any order."""

    top: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """How many places matter; 10 if absent."""

    mode: RankMode = "factored"
    """`factored` pairs only what can change the top; `joint` pairs every candidate, as far as the budget goes."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most model calls."""


class FiltersWanted(Record):
    """What is not to be recommended."""

    had: bool = True
    """Leave out what the user had."""

    unavailable: Annotated[tuple[Id, ...], Field(max_length=10_000)] = ()
    """Item ids to leave out."""

    categories: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    """Only items with one of these categories; empty for all."""

    without: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    """No item with one of these categories."""

    def filters(self) -> Filters:
        """Return them as the library takes them."""
        return Filters(**{name: getattr(self, name) for name in FiltersWanted.model_fields})


class RecommendationsWanted(Record):
    """What to recommend, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"k": 5, "filters": {"without": ["horror"]}, "diversity": 0.3}]}
    )

    k: Annotated[int, Field(ge=1, le=1_000)] = 10
    """How many items."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""

    filters: FiltersWanted = FiltersWanted()
    """What is left out."""

    diversity: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """From 0, best first, to 1, each as unlike those before it as possible."""

    explain: bool = True
    """Whether to say why."""

    rerank: Annotated[int, Field(ge=1, le=100)] | None = None
    """First items to rank again by pairs, which asks the model."""

    generate: bool = False
    """Whether the model writes the next item in words first."""

    calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most model calls."""


class ManyRecommendationsWanted(RecommendationsWanted):
    """What to recommend to many users, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["ada", "bo"], "k": 5}]})

    user_ids: Subjects | None = None
    """Users; everybody if absent."""

    explain: bool = False
    """Whether to say why."""

    calls: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Most model calls of all of them together."""


class ChatTurn(Record):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    """Who speaks."""

    content: Words | list[dict[str, Any]] | None = None
    """What is said: text, or parts in OpenAI's form."""

    name: Words | None = None
    """The speaker's name."""

    tool_calls: list[dict[str, Any]] | None = None
    """In OpenAI's form; passed through."""

    tool_call_id: Words | None = None
    """Which call a tool answers; passed through."""


class Talk(Record):
    """A conversation, or its last turns."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"role": "user", "content": "No more thrillers, please."}]}]
        }
    )

    messages: Annotated[tuple[ChatTurn, ...], Field(min_length=1, max_length=2_000)]
    """In order."""

    conversation_id: Id | None = None
    """Names the conversation, so that turns which are sent again are recognised."""

    at: Moment | None = None
    """When the last turn was said; the present if absent."""

    def turns(self) -> list[dict[str, Any]]:
        """Return the turns as they came."""
        return [turn.model_dump(exclude_unset=True) for turn in self.messages]


class Personalised(Record):
    """Messages to be sent to a model on behalf of a user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user": "ada", "messages": [{"role": "user", "content": "What shall I read?"}]}]
        }
    )

    user: Id
    """For whom."""

    messages: Annotated[tuple[ChatTurn, ...], Field(min_length=1, max_length=2_000)]
    """In OpenAI's form."""

    max_tokens: Annotated[int, Field(ge=FEWEST_TOKENS, le=32_000)] = 400
    """Tokens of context at most."""

    def turns(self) -> list[dict[str, Any]]:
        """Return the messages as they came."""
        return [turn.model_dump(exclude_unset=True) for turn in self.messages]


class Correction(Record):
    """What is wrong with a portrait."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"claim": 0, "remove": True}]})

    claim: Words | Annotated[int, Field(ge=0, le=10_000)]
    """The claim, by its text or its place in `claims`, from 0."""

    remove: bool = False
    """Whether it is to go."""

    replace: Words | None = None
    """What is right instead."""

    reason: Words = ""
    """Why."""


def budget_for(limner: Limner, calls: int | None) -> Budget:
    """Return a budget of so many calls that is no larger than the server's own."""
    limits = limner.settings.budget
    allowed = [count for count in (calls, limits.calls) if count is not None]
    return Budget(limits.model_copy(update={"calls": min(allowed, default=None)}))
