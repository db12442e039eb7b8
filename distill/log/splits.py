"""Train, validation and test: users apart, and train before a boundary moment.

The moment of a rollout is its `as_of`, the bound of everything that shaped it and its reward; when it was
written says nothing about a drawing of the past.
"""

from datetime import datetime
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from ...records import Moment, Record, content_hash
from .filters import Reason

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class Splitting(Record):
    """How users and moments are told apart."""

    validation: Share = 0.1
    """Share of users whose rollouts measure training while it runs."""

    test: Share = 0.1
    """Share of users whose rollouts measure what came of it."""

    seed: int = 0
    """A user's split depends on it and on the user's id alone, so it stays when the log grows."""

    boundary: Moment | None = None
    """No rollout of train is at or after it, and none of the others before it; absent: `before` decides."""

    before: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    """Share of the rollouts that lie before the boundary, if none is given; rollouts of one moment stay together,
    so it is about that share. A log of less than a day, or of which nearly all is of one moment, has no boundary
    and is split by user alone."""

    keep_early: bool = False
    """Whether validation and test keep what lies before the boundary."""

    @model_validator(mode="after")
    def _leaves_some_for_train(self) -> Self:
        if self.validation + self.test >= 1.0:
            raise ValueError(
                f"`validation` {self.validation:g} and `test` {self.test:g} leave no user for train"
            )
        return self


def split_of(user_id: str, splitting: Splitting) -> Split:
    """Return the one split that all rollouts of a user belong to."""
    place = int(content_hash("split", splitting.seed, user_id)[:13], 16) / 16**13
    if place < splitting.test:
        return "test"
    return "validation" if place < splitting.test + splitting.validation else "train"


def wrong_side(
    split: Split, as_of: datetime, boundary: datetime | None, splitting: Splitting
) -> Reason | None:
    """Return why a rollout of this moment may not be in this split.

    Args:
        split: The split of its user.
        as_of: Its moment.
        boundary: The boundary in force; `None` where users alone are split.
        splitting: Whether early rollouts are kept.
    """
    if boundary is None:
        return None
    if split == "train":
        return "after_boundary" if as_of >= boundary else None
    return "before_boundary" if as_of < boundary and not splitting.keep_early else None
