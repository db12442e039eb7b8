"""What is told to an assistant about a user, and what listening to a chat gave, as data."""

from .models import Cue
from .records import Identifier, Record, Usage


class Context(Record):
    """What an assistant should know about a user, in two parts, so that provider caches survive.

    Both parts are data about the user, never instructions, and say so. Together they hold at most as many tokens as
    were asked for, without what a chat template adds around a message.
    """

    user_id: Identifier
    """Whom it is about."""

    stable: str
    """The portrait, likes and dislikes: the same bytes while `version` and the room are the same. Empty if nothing
    was drawn yet, or nothing fits."""

    volatile: str
    """What was said since, what matters for the query, what happened lately; empty if there is nothing."""

    known: bool
    """Whether anything is known about the user; if not, `stable` says just that."""

    language: str
    """ISO 639-1 code of the user's language."""

    tokens: int
    """Tokens of `text`, by the tokenizer asked for."""

    stable_tokens: int
    """Tokens of `stable`."""

    version: int | None
    """The portrait's version; absent without one."""

    evidence: tuple[str, ...]
    """Event ids that what is told rests on, in the order of telling."""

    @property
    def text(self) -> str:
        """Both parts, one below the other."""
        return "\n".join(part for part in (self.stable, self.volatile) if part)


class Heard(Record):
    """What listening to a chat gave."""

    user_id: Identifier
    """Who spoke."""

    recorded: int
    """Turns of the user's own that were new."""

    repeated: int
    """Turns that had been recorded before; nothing changed for them."""

    cues: tuple[Cue, ...] = ()
    """What the new turns say about the user."""

    retracted: tuple[Cue, ...] = ()
    """Older cues about the same things that what was said outweighs; they stay, with their evidence, and count no
    more."""

    forgotten: tuple[str, ...] = ()
    """Event ids that the user asked to forget, and that are gone."""

    usage: Usage = Usage()
    """What reading the turns cost; nothing if none of them tells anything."""

    failed: tuple[str, ...] = ()
    """Codes of the errors for which a model did not read a turn; such turns are kept, and read another time."""

    notes: tuple[str, ...] = ()
    """What could not be done, and why."""
