"""A space that is taught in the suite `transfer`."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limner.evals.suites.transfer import Transfer
from limner.tools.lessons import Lessons
from limner.tools.space import Side, Space


def test_a_space_is_taught_on_the_first_set_alone_and_asked_on_the_other(
    shop: Path, tmp_path: Path, make_task: Callable[..., Any]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(shop, other)
    seen: list[Lessons] = []

    def teach(lessons: Lessons, *, seed: int, notice: Callable[[str], None]) -> Space:
        seen.append(lessons)
        other_way = Side.of(np.random.default_rng(0).normal(size=(64, 64)))
        return Space(encoder=lessons.encoder, user=other_way, item=Side.of(np.eye(64)))

    task = make_task(shop, "history:form=decayed,space=fit")
    task = replace(task, data=(shop, other), workspace=replace(task.workspace, teach=teach))
    [taught] = Transfer().measure(task)
    [frozen] = Transfer().measure(replace(task, system="history:form=decayed"))

    [lessons] = seen
    assert lessons.source == "shop" and taught.dataset == "shop -> other"
    # Eight users of six events each, of which the last two are asked for.
    assert [len(items) for items in lessons.sequences] == [4] * 8
    assert not np.allclose(taught.per_query["rank"], frozen.per_query["rank"])
    assert any("space" in note for note in taught.notes)
