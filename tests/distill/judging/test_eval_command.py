"""`limner distill eval`, and the watch of `distill train`, gone through over a real store."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner, Result

from limner.cli import app
from limner.commands.distill_watch import hacking_watch
from limner.distill.judging.alarm import AlarmRule
from limner.distill.judging.evaluation import read_evaluation
from limner.distill.log.training_rows import Messages
from limner.distill.log.training_set import TrainingSet
from limner.errors import InputError
from limner.evals.bench.loopback_server import Json, LoopbackServer
from limner.settings import load_settings

LABELS = re.compile(r"\(([^)\n]*)\)")


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def done(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """A server whose model `good` repeats what the prompt shows, and any other the same sentence for everybody."""
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    def answer(request: Json) -> str:
        shown = "\n".join(message["content"] for message in request["messages"])
        labels = LABELS.findall(shown)
        good = request["model"] == "good"
        return json.dumps({"likes": [f"Likes {labels[0]}."] if good and labels else ["Likes many things."]})

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(LoopbackServer(answer)) as running,
    ):
        monkeypatch.setenv("LIMNER_CHAT__API_BASE", running.url)
        monkeypatch.setenv("LIMNER_CHAT__API_KEY", "k")
        yield running


def evaluate(stocked: Path, *more: str | Path) -> Result:
    models = ("--candidate", "openai/good", "--baseline", "openai/other")
    place = ("--data", stocked / "set", "--store", stocked / "store", "--out", "result")
    return limner("distill", "eval", *models, *place, *more)


def test_a_comparison_from_the_store_to_the_table(stocked: Path, server: LoopbackServer) -> None:
    users = {row.user_id for row in TrainingSet.open(stocked / "set").prompts("test")}

    planned = done(evaluate(stocked, "--dry-run", "--json"))
    assert server.count == 0
    result = done(evaluate(stocked, "--json"))
    again = evaluate(stocked)

    assert planned["calls"] == {"openai/good": len(users), "openai/other": len(users)}
    assert server.count == 2 * len(users)
    assert result["users"] == len(users) > 5
    assert result["plan"]["primary"] == "judge/bm25"
    figures = {each["metric"]: each for each in result["figures"]}
    assert result["figures"][0]["metric"] == "judge/bm25"
    assert figures["meaning/malformed"]["candidate"] == figures["meaning/malformed"]["baseline"] == 0.0
    assert {
        "critic/total",
        "critic/rank",
        "critic/ground",
        "critic/boiler",
        "meaning/history",
    } <= figures.keys()
    assert result["together"]["meaning/all_distinct_2"][1] < result["together"]["meaning/all_distinct_2"][0]
    assert again.exit_code == 0, again.stderr
    assert "**judge/bm25** ↑" in again.stdout
    assert read_evaluation(Path("result")).plan.data_sha256 == result["plan"]["data_sha256"]


def test_both_are_held_to_the_schema_of_the_prompts_form(stocked: Path, server: LoopbackServer) -> None:
    done(evaluate(stocked, "--users", "3", "--json"))
    guided = [request.get("response_format") for request in server.requests]
    server.requests.clear()
    free = evaluate(stocked, "--users", "3", "--free", "--out", "free", "--json")

    assert len(guided) == 6 and all(guided)
    assert free.exit_code == 0, free.stderr
    assert [request.get("response_format") for request in server.requests] == [None] * 6


def test_fewer_users_are_some_of_the_same(stocked: Path, server: LoopbackServer) -> None:
    done(evaluate(stocked, "--users", "3", "--json"))
    few = json.loads(Path("result/users.json").read_text())["users"]
    done(evaluate(stocked, "--users", "5", "--out", "more", "--json"))
    more = json.loads(Path("more/users.json").read_text())["users"]

    assert more[:3] == few


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--held-out", "hashing"), "input", "'hashing-v1' is the critic's own"),
        (("--candidate", "./nowhere"), "input", "./nowhere: there is no such folder"),
        (("--data", "nowhere"), "unknown_format", "is no manifest"),
        (("--primary", "ndcg"), "input", "the primary endpoint 'ndcg' is not measured"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    stocked: Path, server: LoopbackServer, options: tuple[str, str], code: str, words: str
) -> None:
    failed = evaluate(stocked, "--users", "2", "--json", *options)

    assert failed.exit_code == 1
    error = json.loads(failed.stdout)["error"]
    assert error["code"] == code
    assert words in error["message"]


def test_a_folder_that_is_no_run_is_told(stocked: Path, server: LoopbackServer) -> None:
    Path("run").mkdir()

    failed = evaluate(stocked, "--candidate", "run")

    assert failed.exit_code == 1
    assert "is no finished run" in failed.stderr


def test_the_watch_judges_what_a_trainer_writes(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    settings = load_settings(store=stocked / "store")

    def write(prompts: Sequence[Messages]) -> list[str]:
        return ['{"likes": ["Likes many things."]}'] * (len(prompts) - 1) + ["no sentence at all {"]

    rule = AlarmRule(fewest=2)
    with hacking_watch(
        settings, stocked / "set", tmp_path / "looks", held_out=None, users=6, rule=rule
    ) as watch:
        look = watch.look(0, write)

    assert look.stop is None
    assert look.metrics["meaning/malformed"] == pytest.approx(1 / 6)
    assert {
        "critic/total",
        "judge/bm25",
        "meaning/history",
        "critic/ground",
        "critic/boiler",
    } <= look.metrics.keys()
    assert (tmp_path / "looks" / "look-000000.json").is_file()


def test_a_watch_with_the_critics_own_encoder_is_refused(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    with (
        pytest.raises(InputError, match="is the critic's own"),
        hacking_watch(load_settings(store=stocked / "store"), stocked / "set", tmp_path, held_out="hashing"),
    ):
        pass
