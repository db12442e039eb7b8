"""Running suites: plans, result files, resuming, probes, processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import SettingsError, SystemFailedError, UnknownFormatError
from limner.evals.result_files import load_per_query, load_result
from limner.evals.results import Result
from limner.evals.runner import Run, execute, load_suite, plan
from limner.evals.suite import Task
from limner.evals.workspace import Workspace
from limner.sections import BudgetSettings
from limner.settings import load_settings

RAISING = """
import numpy as np

class Nonsense:
    name = "nonsense"

    def fit(self, past):
        pass

    def score(self, queries):
        return np.full((len(queries), 10), np.nan, dtype=np.float32)
"""

DYING = """
import os
from pathlib import Path

from limner.evals.systems.popularity import Popularity

class Dies(Popularity):
    name = "dies"

    def score(self, queries):
        if not Path("spared").exists():
            os._exit(9)
        return super().score(queries)
"""


FALTERING = """
from pathlib import Path

from limner.evals.systems.popularity import Popularity

class Falters(Popularity):
    name = "falters"

    @property
    def complete(self):
        return not Path("down").exists()
"""

SLOW = """
import os
import time
from pathlib import Path

from limner.evals.systems.popularity import Popularity

class Slow(Popularity):
    name = "slow"

    def fit(self, past):
        Path(f"{os.getpid()}.worker").touch()
        time.sleep(600)
"""

BOOM = """
from limner.evals.systems.popularity import Popularity

class Boom(Popularity):
    name = "boom"

    def __init__(self, step="fit"):
        self.step = step
        if step == "__init__":
            self.no_such_thing

    def fit(self, past):
        if self.step == "fit":
            past.no_such_thing
        super().fit(past)

    def tune(self, queries, answers):
        if self.step == "tune":
            queries.no_such_thing

    def texts_seen(self, queries):
        if self.step == "texts_seen":
            queries.no_such_thing
        return [""] * len(queries)

    def score(self, queries):
        if self.step == "score":
            queries.no_such_thing
        return super().score(queries).tolist() if self.step == "list" else super().score(queries)
"""


@pytest.fixture
def run(tmp_path: Path, ring: Path) -> Run:
    """Two quick systems on the ring."""
    settings = load_settings(store=tmp_path / "store")
    said: list[str] = []
    workspace = Workspace(folder=tmp_path / "work", seed=0, settings=settings, notice=said.append)
    return Run(
        suite="sequential",
        data=(ring,),
        systems=("popularity", "bigram"),
        out=tmp_path / "results",
        task=Task(system="", data=(), seed=0, workspace=workspace),
        command="limner eval sequential",
    )


def results(run: Run) -> list[Result]:
    """Run, and return the documents."""
    done = list(execute(run))
    assert [each.error for each in done] == [None] * len(done)
    return [each.result for each in done if each.result]


def values(done: Result, system: str) -> dict[str, tuple[float, int]]:
    return {row.metric: (row.value, row.n) for row in done.rows if row.system == system}


def test_a_result_says_everything_needed_to_repeat_it(run: Run, ring: Path) -> None:
    popularity, bigram = results(run)

    assert bigram.command == "limner eval sequential"
    assert bigram.settings["system"] == "bigram"
    assert bigram.settings["seed"] == 0
    assert {"limner", "python", "numpy", "code"} <= set(bigram.versions)
    [data] = bigram.data
    assert set(data.files) == {path.name for path in ring.iterdir()}
    assert (data.card.users, data.card.items, data.card.events) == (20, 10, 100)
    assert {probe.name for probe in bigram.probes} >= {"id-order", "future", "canary"}
    assert (popularity.valid, bigram.valid) == (True, True)
    assert {row.seed for row in bigram.rows} == {0}
    # Everybody steps on to the next item, so the bigram is always right.
    assert values(bigram, "bigram")["ndcg@10"] == (1.0, 20)


def test_values_of_users_lie_beside_the_document(run: Run) -> None:
    results(run)

    paths = sorted(run.out.glob("*bigram*.json"))
    [saved] = load_per_query(paths[0])
    assert sorted(saved.users.tolist()) == sorted(f"u{user}" for user in range(20))
    assert saved.values["recall@10"].tolist() == [1.0] * 20


def test_what_is_finished_is_skipped(run: Run) -> None:
    first = results(run)
    again = list(execute(run))

    assert [each.skipped for each in again] == [True, True]
    assert [each.result for each in again] == first


@pytest.mark.parametrize("change", ["seed", "users", "option", "data", "own system", "fresh"])
def test_whatever_decides_a_result_makes_a_new_one(run: Run, ring: Path, tmp_path: Path, change: str) -> None:
    (tmp_path / "mine.py").write_text(DYING)
    (tmp_path / "spared").touch()
    run = replace(run, systems=("mine.py::Dies",))
    results(run)
    if change == "data":
        (ring / "items.jsonl").write_text(
            (ring / "items.jsonl").read_text().replace("Thing 3", "Thing three")
        )
    elif change == "own system":
        (tmp_path / "mine.py").write_text(DYING + "\n# another line\n")
    elif change == "fresh":
        run = replace(run, fresh=True)
    else:
        changed: dict[str, dict[str, Any]] = {
            "seed": {"seed": 1},
            "users": {"users": 5},
            "option": {"options": {"catalogue": "chosen"}},
        }
        run = replace(run, task=replace(run.task, **changed[change]))

    assert [each.skipped for each in execute(run)] == [False]


def test_a_lost_or_broken_half_of_a_result_is_made_again(run: Run) -> None:
    results(run)
    paths = sorted(run.out.glob("*.json"))
    paths[0].with_suffix(".npz").unlink()
    paths[1].write_text("{")

    assert [each.skipped for each in execute(run)] == [False, False]
    assert all(each.skipped for each in execute(run))


def test_what_a_model_or_a_budget_left_undone_is_made_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FALTERING)
    (tmp_path / "down").touch()
    run = replace(run, systems=("mine.py::Falters + bigram", "bigram"))
    degraded, whole = execute(run)
    (tmp_path / "down").unlink()
    again, skipped = sorted(execute(run), key=lambda done: done.skipped)

    assert degraded.result and whole.result and again.result
    assert (degraded.result.complete, whole.result.complete, again.result.complete) == (False, True, True)
    assert degraded.result.notes[0].startswith("INCOMPLETE: falters + bigram: a model or the budget failed")
    assert not any("INCOMPLETE" in note for note in again.result.notes)
    assert (again.skipped, skipped.skipped) == (False, True)
    assert [each.skipped for each in execute(run)] == [True, True]


def test_a_budget_is_not_shared_by_processes(run: Run) -> None:
    workspace = run.task.workspace
    limited = workspace.settings.model_copy(update={"budget": BudgetSettings(calls=5)})
    task = replace(run.task, workspace=replace(workspace, settings=limited))

    with pytest.raises(
        SettingsError, match=r"2 processes cannot share one budget; use one process, or unset `budget.calls`"
    ):
        plan(replace(run, task=task, jobs=2))
    # A larger budget replaces what a smaller one left undone.
    assert [each.path for each in plan(replace(run, task=task))] == [each.path for each in plan(run)]


def test_the_same_run_elsewhere_gives_the_same_numbers(run: Run, tmp_path: Path) -> None:
    here, there = results(run), results(replace(run, out=tmp_path / "other"))

    assert [each.rows for each in here] == [each.rows for each in there]
    assert [each.key for each in here] == [each.key for each in there]
    for path in run.out.glob("*.json"):
        [one], [other] = load_per_query(path), load_per_query(tmp_path / "other" / path.name)
        for metric, column in one.values.items():
            np.testing.assert_array_equal(column, other.values[metric])


def test_processes_give_the_same_numbers_and_keep_the_plan(run: Run, tmp_path: Path) -> None:
    alone = {each.key: each.rows for each in results(run)}

    together = results(replace(run, out=tmp_path / "other", jobs=2))

    assert {each.key: each.rows for each in together} == alone


def test_a_system_that_fails_stops_no_other(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(RAISING)

    failed, bigram = execute(replace(run, systems=("bad.py::Nonsense", "bigram")))

    assert failed.result is None
    assert "NaN" in str(failed.error)
    assert bigram.result is not None
    assert [path.name for path in run.out.glob("*Nonsense*")] == []


def test_a_killed_run_goes_on_where_it_stopped(ring: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DYING)
    line = "from limner.cli import main; main()"
    words = ["eval", "sequential", "--data", str(ring), "--out", "results"]
    words += ["--system", "bigram", "--system", "mine.py::Dies"]

    def start() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", line, *words], env=os.environ, capture_output=True, text=True, check=False
        )

    killed = start()
    left = {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    (tmp_path / "spared").touch()
    done = start()

    assert killed.returncode == 9
    assert sorted(name.rpartition(".")[2] for name in left) == ["json", "npz"]  # the finished one, whole
    assert done.returncode == 0, done.stderr
    assert "bigram on ring: finished before, skipped" in done.stderr
    now = {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    assert len(now) == 4
    assert {name: now[name] for name in left} == left


def test_a_failed_probe_marks_the_result_invalid(run: Run, ring: Path) -> None:
    # Every target is the very same words as something in its history.
    items = [{"item_id": f"i{number}", "title": "The same old thing"} for number in range(10)]
    (ring / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))

    done = results(run)

    assert [each.valid for each in done] == [False, False]
    assert [load_result(path).valid for path in run.out.glob("*.json")] == [False, False]
    assert "near-duplicate-target" in {probe.name for probe in done[0].probes if not probe.passed}


def test_a_plan_names_a_file_for_each_system_and_data_set(run: Run, ring: Path) -> None:
    planned = plan(run)

    assert [each.task.system for each in planned] == ["popularity", "bigram"]
    assert len({each.path for each in planned}) == 2
    assert all(each.path.name.startswith("sequential--ring--leave-one-out--") for each in planned)
    assert not run.out.exists()
    assert [each.task.system for each in plan(replace(run, systems=()))] == [
        "popularity",
        "bigram",
        "seqknn",
        "history",
        "id-order",
    ]


def test_what_cannot_be_run_is_said_before_anything_runs(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="suites are sequential, transfer"):
        plan(replace(run, suite="sequentail"))
    with pytest.raises(SettingsError, match="one or more folders"):
        plan(replace(run, data=()))
    with pytest.raises(SettingsError, match="the first is fitted on"):
        plan(replace(run, suite="transfer"))
    with pytest.raises(UnknownFormatError, match="does not exist"):
        plan(replace(run, data=(tmp_path / "nowhere",)))


@pytest.mark.parametrize("name", ["sequential", "transfer", "rating", "qa", "profile", "cost"])
def test_each_suite_is_found_by_its_name(name: str) -> None:
    suite = load_suite(name)

    assert suite.name == name
    assert suite.default_systems
    assert suite.together == (name == "transfer")


def test_an_unknown_option_is_refused_with_the_known_ones(run: Run) -> None:
    with pytest.raises(SettingsError, match="did you mean `catalogue`"):
        plan(replace(run, task=replace(run.task, options={"catalog": "all"})))
    with pytest.raises(SettingsError, match="catalogue"):
        plan(replace(run, task=replace(run.task, options={"catalogue": "some"})))


def test_a_misspelt_last_system_is_said_before_the_first_is_run(run: Run) -> None:
    with pytest.raises(SettingsError, match="did you mean `seqknn`"):
        list(execute(replace(run, systems=("bigram", "seqkn"))))

    assert not run.out.exists()


@pytest.mark.parametrize("spec", ["bigram + mine.py::Dies", "mymodule::Dies"])
def test_a_changed_system_of_ones_own_is_a_new_run_wherever_it_stands_in_the_spec(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType]
    for name in ("mine.py", "mymodule.py"):
        (tmp_path / name).write_text(DYING)
    [before] = plan(replace(run, systems=(spec,)))
    for name in ("mine.py", "mymodule.py"):
        (tmp_path / name).write_text(DYING + "\n# another line\n")
    [after] = plan(replace(run, systems=(spec,)))

    assert before.key != after.key


@pytest.mark.parametrize("columns", [9, 11])
def test_scores_of_another_shape_are_refused(run: Run, tmp_path: Path, columns: int) -> None:
    zeros = RAISING.replace("np.full((len(queries), 10), np.nan", f"np.full((len(queries), {columns}), 0.0")
    fewer = RAISING.replace("np.full((len(queries), 10), np.nan", "np.full((len(queries) - 1, 10), 0.0")
    (tmp_path / "bad.py").write_text(zeros)
    (tmp_path / "few.py").write_text(fewer)

    wide, few = execute(replace(run, systems=("bad.py::Nonsense", "few.py::Nonsense")))

    assert f"shape (20, {columns}), wanted (20, 10)" in str(wide.error)
    assert "shape (19, 10), wanted (20, 10)" in str(few.error)


def within(seconds: float, what: Callable[[], bool]) -> bool:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while not what() and time.monotonic() < ends:
        time.sleep(0.05)
    return what()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_a_run_of_several_processes_and_its_workers(ring: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text(SLOW)
    # Ctrl-C is ignored by what a shell without job control starts behind itself, as it may have started the tests.
    line = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    line += "from limner.cli import main; main()"
    words = ["eval", "sequential", "--data", str(ring), "--out", "results", "--jobs", "2"]
    words += [word for name in ("one", "two", "three") for word in ("--system", f"{name}.py::Slow")]

    with subprocess.Popen(
        [sys.executable, "-c", line, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            started = within(90, lambda: len(list(tmp_path.glob("*.worker"))) == 2)
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the command and its workers
            _, said = running.communicate(timeout=20)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)

    assert started, said
    assert running.returncode == 130
    assert "Interrupted; everything finished so far is saved." in said
    assert "Traceback" not in said
    assert [path.stem for path in tmp_path.glob("*.worker") if alive(int(path.stem))] == []


@pytest.mark.parametrize("step", ["fit", "tune", "score", "texts_seen"])
def test_an_exception_of_a_system_is_told_by_step_and_line_and_stops_no_other(
    run: Run, tmp_path: Path, step: str
) -> None:
    (tmp_path / "mine.py").write_text(BOOM)
    before, _, _ = BOOM.partition(f'if self.step == "{step}":')
    line = before.count("\n") + 2  # the one below the condition

    failed, bigram = execute(replace(run, systems=(f"mine.py::Boom:step={step}", "bigram")))

    error = failed.error
    assert isinstance(error, SystemFailedError)
    assert (error.system, error.step, error.kind) == ("boom", step, "AttributeError")
    assert "no_such_thing" in error.text
    assert error.where == f"{tmp_path / 'mine.py'}:{line}"
    assert isinstance(error.__cause__, AttributeError)
    assert bigram.result is not None


def test_a_constructor_that_raises_is_told_before_anything_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BOOM)
    (tmp_path / "late.py").write_text("nothing.here")

    with pytest.raises(
        SystemFailedError, match=r"'mine.py::Boom' failed in `__init__` at .*mine\.py:10: Attrib"
    ):
        plan(replace(run, systems=("bigram", "mine.py::Boom:step=__init__")))
    with pytest.raises(SystemFailedError, match=r"'late.py' failed in `import` at .*late\.py:1: NameError"):
        plan(replace(run, systems=("late.py::Boom",)))


def test_scores_that_are_no_array_are_told_as_the_systems_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BOOM)

    [failed] = execute(replace(run, systems=("mine.py::Boom:step=list",)))

    assert isinstance(failed.error, SystemFailedError)
    assert "'list' object has no attribute 'shape'" in str(failed.error)


def test_an_exception_in_another_process_arrives_typed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BOOM)

    done = list(execute(replace(run, systems=("mine.py::Boom", "bigram"), jobs=2)))

    assert [type(each.error) for each in done if each.error] == [SystemFailedError]
    assert [each.planned.task.system for each in done if each.result] == ["bigram"]
