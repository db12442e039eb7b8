"""Options of the suite `qa`, whichever questions it asks."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from ...records import Record


class QaOptions(Record):
    """Options of the suite, as `--set` gives them."""

    rotations: Annotated[int, Field(ge=1, le=4)] = 1
    """Turns of the options that each question is asked in and averaged over."""

    form: Literal["persona", "choice", "explicit"] = "persona"
    """PrefEval: how the preference was let slip."""

    room: PositiveInt = 2800
    """LoCoMo: tokens of the raw conversation that are shown."""

    near: Literal["users", "text"] = "users"
    """Next item: whether near options are found by users who had both, or by text."""
