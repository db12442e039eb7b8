"""Readings made by hand, so that rewards can be worked out on paper."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from limner.agents.case import Case
from limner.agents.critic import Read
from limner.agents.state import Draft
from limner.distill.log.training_rows import PromptOnly
from limner.distill.rewards.exercise import Exercise
from limner.distill.rewards.reading import Reading
from limner.models import Claim, Facet
from limner.tools.embedder import FloatArray
from limner.tools.reward import Exam

Vectors = Sequence[Sequence[float]]
MakeReading = Callable[..., Reading]


def rows(vectors: Vectors) -> FloatArray:
    return np.array(vectors, dtype=np.float32).reshape(len(vectors), 2)


@pytest.fixture
def reading() -> MakeReading:
    """Make the reading of a text of one liked sentence from a case and vectors of two dimensions.

    The exam has the positives and negatives given, and the vectors of other users' histories.
    """

    def make(
        row: PromptOnly,
        case: Case,
        text: str | None = "Likes roses.",
        *,
        liked: Vectors = ((1.0, 0.0),),
        positives: Vectors = ((1.0, 0.0),),
        negatives: Vectors = ((0.0, 1.0),),
        others: Sequence[Vectors] = (),
    ) -> Reading:
        exam = Exam(
            positives=rows(positives),
            negatives=rows(negatives),
            own=rows([(1.0, 0.0)]),
            others=tuple(rows(each) for each in others),
            targets=(),
            known="",
        )
        draft = text and Draft(
            round=0,
            draft_ix=0,
            facets=(Facet(name="roses", text=text),),
            claims=(Claim(text=text, evidence=(), confidence=0.0),),
            at=row.as_of,
        )
        vectors = Read(rows(liked), rows(liked), rows(()), rows(liked)) if draft else None
        return Reading(
            exercise=Exercise.of(row), case=replace(case, exam=exam), draft=draft or None, vectors=vectors
        )

    return make
