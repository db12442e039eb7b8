"""Routes for assistants: context, messages with context in place, and listening."""

from typing import Annotated

from fastapi import APIRouter, Query

from ...contexts import Context, Heard
from ...records import FEWEST_TOKENS
from .answers import PersonalisedMessages
from .asked import AsOf, Personalised, Talk, UserId, Words
from .lending import Reading, Writing

router = APIRouter(prefix="/v1", tags=["assistants"])


@router.get("/users/{user_id:id}/context")
async def context(
    user_id: UserId,
    limner: Reading,
    query: Annotated[Words | None, Query(description="What the user is about to be answered.")] = None,
    max_tokens: Annotated[int, Query(ge=FEWEST_TOKENS, le=32_000, description="Tokens at most.")] = 400,
    as_of: AsOf = None,
) -> Context:
    """Return what an assistant should know about a user: a part that stays the same, and one for the query.

    Nothing is drawn and no model is asked. An unknown user is no error: `known` is false, and the words say so.
    """
    return await limner.context(user_id, query, max_tokens=max_tokens, as_of=as_of)


@router.post("/personalise")
async def personalise(body: Personalised, limner: Reading) -> PersonalisedMessages:
    """Return messages in OpenAI's form with what is known about a user in place."""
    placed = await limner.personalise(body.turns(), user_id=body.user, max_tokens=body.max_tokens)
    return PersonalisedMessages(messages=placed)


@router.post("/users/{user_id:id}/messages")
async def listen(user_id: UserId, body: Talk, limner: Writing) -> Heard:
    """Record turns of a chat, and note what the user's own say about the user. Turns sent again change nothing."""
    return await limner.listen(user_id, body.turns(), conversation_id=body.conversation_id, at=body.at)
