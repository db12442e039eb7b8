"""Which language somebody speaks in a chat, where a few words are all there is."""

from collections.abc import Sequence

from ..records import Interaction
from ..tools.language import detect_language, language_of_words
from .listening.chat_words import chat_words
from .phrase_tables import fold
from .quotations import own_words, unveiled
from .stance_tables import tables
from .stances import stances_of

_LISTENED = 20
"""Newest messages that are listened to."""


def spoken_language(events: Sequence[Interaction], usual: str | None) -> str:
    """Return the language of what somebody says, be it a few words.

    Few words cannot be told by their letters. If in the likeliest language they state nothing, but in exactly one other
    they take a side, wish for a treatment or ask to forget something, it is that one.

    Args:
        events: What is said, oldest first; only messages are listened to.
        usual: The speaker's language as far as it is known.
    """
    likely = language_of_words([unveiled(own_words(event.text)) for event in events if event.text], usual)
    newest = [event for event in events if event.kind == "message" and event.text][-_LISTENED:]
    if not newest or any(_states(event, likely) for event in newest):
        return likely
    others = [code for code in tables() if code != likely and any(_states(event, code) for event in newest)]
    return others[0] if len(others) == 1 else likely


def language_of_history(events: Sequence[Interaction], described: Sequence[str]) -> str:
    """Return the language of a user's words; that of what was chosen, as it is described, where there are too few.

    Args:
        events: The user's interactions, oldest first.
        described: Texts of their items.
    """
    found = detect_language([event.text for event in events if event.text], described)
    said = [event for event in events if event.kind == "message"]
    return spoken_language(said, found) if said else found


def _states(event: Interaction, language: str) -> bool:
    words = chat_words().get(language)
    opening = fold(own_words(event.text or "")).strip()
    asks = words is not None and (words.forget.match(opening) or words.forget_all.match(opening))
    return bool(asks or stances_of(event, language))
