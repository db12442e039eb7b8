"""Taking a past apart: nobody who is examined is learned from."""

import numpy as np

from limner.distill.space.questions import NOTHING, plan_course
from limner.distill.space.ranks import ranks_of, recent_vectors
from limner.tools.lessons import Lessons, PastPortrait

EYE = np.eye(40, dtype=np.float32)


def test_who_is_held_back_teaches_nothing_and_portraits_see_no_answer() -> None:
    # User u alone has the item u, so that an item names its user.
    sequences = [np.array([user, user, user]) for user in range(40)]
    portraits = [PastPortrait(user, 2, EYE[user : user + 1]) for user in range(10)]
    lessons = Lessons(encoder="e", items=EYE, sequences=sequences, portraits=portraits)

    course = plan_course(lessons, window=2, held=4, rng=np.random.default_rng(0))

    asked = set(course.exam.moments.answer.tolist())
    assert len(asked) == 4
    assert asked.isdisjoint(course.moments.answer.tolist())
    assert asked.isdisjoint(course.spoken.moments.answer.tolist())
    assert len(course.moments) == 2 * 36  # two answers of each of the others
    assert len(course.exam.spoken) == 2  # a fifth of ten
    assert len(course.spoken) == 8
    assert [len(history) for history in course.exam.histories] == [2] * 4


def test_moments_show_the_newest_first_and_nothing_of_the_answer() -> None:
    sequences = [np.array([1, 2, 3, 4])] + [np.array([9])] * 3 + [np.array([7, 8])] * 30
    lessons = Lessons(encoder="e", items=EYE, sequences=sequences)

    course = plan_course(lessons, window=2, held=0, rng=np.random.default_rng(0))

    first = course.moments.newest[:3].tolist(), course.moments.answer[:3].tolist()
    assert first == ([[1, NOTHING], [2, 1], [3, 2]], [2, 3, 4])


def test_a_history_is_its_decayed_mean_at_unit_length() -> None:
    found = recent_vectors(np.array([[0, 1], [2, NOTHING]]), EYE[:, :3], 0.75)

    assert np.allclose(found, [[0.8, 0.6, 0.0], [0.0, 0.0, 1.0]], atol=1e-6)


def test_ties_share_their_places_and_the_history_takes_none() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]], dtype=np.float32)

    # Item 0 is in the history; of the three equal ones two tie with the answer: 1 + 2 / 2.
    assert ranks_of(scores, np.array([1]), [np.array([0])]).tolist() == [2.0]
