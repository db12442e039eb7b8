"""How a space is taught on frozen vectors."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ...records import Record


class TeachSettings(Record):
    """Size and course of the training."""

    steps: PositiveInt = 600
    """Steps of AdamW at most."""

    batch: PositiveInt = 1024
    """Moments of histories a step; the answers of all are negatives of each."""

    portraits: PositiveInt = 64
    """Portraits a step, where there are any."""

    portrait_weight: NonNegativeFloat = 0.05
    """Weight of the losses of portraits, and of both together, beside that of histories; there are fewer of them."""

    negatives: NonNegativeInt = 2048
    """Items drawn evenly from the catalogue a step, shared by the batch."""

    hard: NonNegativeInt = 0
    """Items a step that are near to an answer in the frozen space, shared by the batch."""

    window: PositiveInt = 10
    """Newest items of a history that speak for its user."""

    rate: PositiveFloat = 1e-3
    """Learning rate of the maps; the few scalars take five times as much."""

    weight_decay: NonNegativeFloat = 0.01
    """Pull of AdamW on the distance of the maps from the frozen space."""

    decay: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.7
    """Weight of an item of a history relative to the next newer one, to begin with."""

    temperature: PositiveFloat = 0.05
    """Of the soft maximum over a portrait's sentences, and of the loss, to begin with; in cosine units."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of a portrait where the newest items score beside it, to begin with."""

    popularity: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """How far scores are corrected for how often an item comes up as a negative; 0 for not at all."""

    held: PositiveInt = 1000
    """Users at most, and a tenth of all at most, that nothing is learned from: they tell when to stop."""

    look: PositiveInt = 150
    """Steps between two looks at the held-back users."""

    patience: PositiveInt = 3
    """Looks without gain after which training stops."""

    threads: PositiveInt = 1
    """Threads of PyTorch meanwhile."""
