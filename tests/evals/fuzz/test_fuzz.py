"""The fuzz: its inputs are the seed's alone, it sees what goes wrong, and a short one finds nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limner.evals.fuzz.odd import Odd

# It forks, which a process with threads of its own, such as this one, must not do.
WATCH = """
import json, os, signal, sys, time
from contextlib import asynccontextmanager
from pathlib import Path
from limner.errors import InputError
from limner.evals.fuzz.watched import ServerFaultError, Target, Watched

@asynccontextmanager
async def opened(folder):
    async def feed(odd):
        number = next(numbers)
        if number == 2:
            raise KeyError("two")
        if number == 4:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 6:
            while True: pass
        if number == 8:
            raise ServerFaultError("status 500")
        if number == 9:
            raise InputError("nine")
        return number == 10
    numbers = iter(range(int(folder.name.removeprefix("from")), 99))
    yield feed

target = Target(name="t", share=1, open=opened)
watched = Watched(target, Path(sys.argv[1]) / "t", seed=1, hang=1.0, log=Path(sys.argv[1]) / "log")
tally = watched.run(0, 12, lambda done: None)
told = [[failure.number, failure.kind] for failure in tally.failures]
print(json.dumps({"told": told, "inputs": tally.inputs, "refused": tally.refused}))
"""


def _run(*command: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_crashes_deaths_hangs_and_faults_are_seen_and_the_rest_is_fed(tmp_path: Path) -> None:
    told = _run(WATCH, str(tmp_path))

    assert told["told"] == [[2, "crash"], [4, "crash"], [6, "hang"], [8, "server error"]]
    assert (told["inputs"], told["refused"]) == (12, 2)


def test_a_short_fuzz_of_everything_finds_nothing() -> None:
    told = _run("from limner.cli import main; main()", "fuzz", "--inputs", "150", "--seed", "5", "--json")

    assert (told["crashes"], told["server_errors"], told["hangs"]) == (0, 0, 0)
    assert told["inputs"] >= 150
    assert len(told["targets"]) == 14
    assert all(target["inputs"] > 0 for target in told["targets"])


def test_a_target_that_does_not_exist_is_named() -> None:
    command = "from limner.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "fuzz", "--target", "nothing"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "'nothing' is none of: answers as JSON, " in done.stderr


@pytest.mark.parametrize("draw", ["text", "value", "moment", "deep"])
def test_inputs_are_decided_by_seed_target_and_number(draw: str) -> None:
    def drawn(seed: int, target: str, number: int) -> str:
        return repr([getattr(Odd(seed, target, number + place), draw)() for place in range(20)])

    assert drawn(1, "t", 0) == drawn(1, "t", 0)
    assert len({drawn(1, "t", 0), drawn(2, "t", 0), drawn(1, "u", 0), drawn(1, "t", 100)}) == 4


def test_a_schema_is_filled_as_it_asks() -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a"]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 2},
        },
        "required": ["kind", "parts"],
    }
    filled = Odd(1, "t", 0).filled(schema, {"n": {"type": "integer", "minimum": 3, "maximum": 3}})

    assert filled["kind"] == "a"
    assert set(filled["parts"]) == {3}
    assert len(filled["parts"]) >= 2
