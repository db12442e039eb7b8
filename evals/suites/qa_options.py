"""Options of the suite `qa`, whichever questions it asks."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from ...records import Record
from ...settings import Settings
from ..questions.windows import RESERVE, Window, open_window


class QaOptions(Record):
    """Options of the suite, as `--set` gives them."""

    rotations: Annotated[int, Field(ge=1, le=4)] = 1
    """Turns of the options that each question is asked in and averaged over."""

    form: Literal["persona", "choice", "explicit"] = "persona"
    """PrefEval: how the preference was let slip."""

    chats: Annotated[int, Field(ge=1, le=64)] = 1
    """PrefEval: conversations in each history, its own among others about other topics."""

    room: PositiveInt | None = None
    """Tokens of a raw history that are shown at most; absent for what the model's window holds."""

    near: Literal["users", "text"] = "users"
    """Next item: whether near options are found by users who had both, or by text."""

    def window(self, settings: Settings) -> Window:
        """Return the window of the model that answers, no larger than `room` allows."""
        window = open_window(settings)
        if self.room is None:
            return window
        size = self.room + RESERVE
        return window._replace(size=size if window.size is None else min(size, window.size))
