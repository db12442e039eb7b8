"""A process killed in the middle of a drawing: the next one finishes it, and pays for nothing twice."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from limner import Interaction, Item, Limner
from limner.agents.drawing import Drawing
from limner.settings import load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.scripted import Script, Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

ANSWERS: dict[str, dict[str, Any]] = {
    "extract_cues": {"cues": []},
    "draft_profile": {
        "likes": [{"evidence": ["e1"], "theme": "roses", "sentence": "Enjoys gardening with roses."}]
    },
    "revise_profile": {
        "likes": [{"evidence": ["e3"], "theme": "compost", "sentence": "Enjoys gardening with compost."}]
    },
}

# The child says what became durable, gets stuck where it is told to, and is killed there.
CHILD = """
import asyncio, json, sys
from datetime import datetime
from limner import Limner
from limner.records import Usage
from limner.settings import load_settings
from limner.tools.chat import ChatResult
from limner.tools.scripted import ScriptedChat
from limner.tools.sql.sql_store import SqlStore

settings, answers, stuck, finish, as_of = json.loads(sys.argv[1])
keep = SqlStore.cache_completions

async def tell_kept(self, entries, subject):
    await keep(self, entries, subject)
    for _ in entries:
        print("kept", flush=True)

SqlStore.cache_completions = tell_kept

class Stuck(ScriptedChat):
    async def complete(self, request, budget):
        if [request.purpose, request.seed] in stuck:
            print("stuck", flush=True)
            await asyncio.Event().wait()
        return await super().complete(request, budget)

def answer(request):
    text = json.dumps(answers[request.purpose])
    reason = finish if request.purpose == "draft_profile" else "stop"
    return ChatResult(text=text, finish_reason=reason, model="scripted", usage=Usage())

async def main():
    async with Limner(load_settings(**settings), chat=Stuck(answer)) as limner:
        put = limner.doors.saver.aput
        async def tell_put(config, checkpoint, metadata, versions):
            done = await put(config, checkpoint, metadata, versions)
            print("step", metadata["step"], flush=True)
            return done
        limner.doors.saver.aput = tell_put
        await limner.profile("ada", as_of=datetime.fromisoformat(as_of))

asyncio.run(main())
"""


def answer(request: ChatRequest) -> Scripted:
    return ANSWERS[request.purpose]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a new store of each kind."""
    url = request.getfixturevalue("database_url") if request.param == "postgresql" else None
    return {"store": str(tmp_path / "store"), "database_url": url, "embedder": "hashing"}


async def die(arguments: list[Any], *, until: Mapping[str, int]) -> None:
    """Start a drawing in another process and kill it once it has said this much."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, json.dumps(arguments), stdout=asyncio.subprocess.PIPE, env={**os.environ}
    )
    assert child.stdout is not None
    said = Counter[str]()
    while any(said[word] < times for word, times in until.items()):
        line = (await child.stdout.readline()).decode().strip()
        assert line, f"the child ended by itself after {said}"
        said[line] += 1
    child.kill()  # SIGKILL: nothing is tidied up
    await child.wait()


@asynccontextmanager
async def finished(
    settings: Mapping[str, Any], later: datetime
) -> AsyncGenerator[tuple[Limner, ScriptedChat]]:
    """Draw again in this process and check what must hold however far the killed one came."""
    chat = ScriptedChat(answer)
    async with Limner(load_settings(**settings), chat=chat) as limner:
        profile = await limner.profile("ada", as_of=later)

        assert (profile.version, profile.parent_version) == (1, None)
        assert await limner.doors.store.profile_versions("ada") == [profile]
        rollouts = [rollout async for rollout in limner.rollouts()]
        places = [(rollout.round, rollout.draft_ix) for rollout in rollouts]
        assert len(set(places)) == len(places)
        assert sum(rollout.selected for rollout in rollouts) == 1
        assert [kept async for kept in limner.doors.saver.alist(None)] == []
        yield limner, chat


async def fill(settings: Mapping[str, Any], items: list[Item], events: list[Interaction]) -> None:
    async with Limner(load_settings(**settings), chat=ScriptedChat()) as limner:
        await limner.add_items(items)
        await limner.doors.store.record(events)


async def test_killed_while_drafting_the_rest_is_drafted_and_nothing_is_asked_again(
    place: dict[str, Any], items: list[Item], events: list[Interaction], later: datetime
) -> None:
    settings = {**place, "drafting": {"rounds": 0}}
    await fill(settings, items, events)
    stuck = [["draft_profile", 2], ["draft_profile", 3]]

    # Two batches of notes and two drafts are in the cache; two drafts are under way.
    await die(
        [settings, ANSWERS, stuck, "stop", later.isoformat()], until={"kept": 4, "stuck": 2, "step 1": 1}
    )

    async with finished(settings, later) as (limner, chat):
        assert sorted((r.purpose, r.seed) for r in chat.requests) == [
            ("draft_profile", 2),
            ("draft_profile", 3),
        ]
        assert (await limner.counts()).rollouts == 5


async def test_killed_while_revising_the_drafts_come_from_the_checkpoint(
    place: dict[str, Any], items: list[Item], events: list[Interaction], later: datetime
) -> None:
    """Answers that were cut off are never cached, so only the checkpoint can know them."""
    settings = {**place, "drafting": {"rounds": 1, "accept": 2.0}}
    await fill(settings, items, events)
    stuck = [["revise_profile", 1000], ["revise_profile", 1001]]

    # Steps: input and start, then cues 1, drafts 2, critique 3.
    await die([settings, ANSWERS, stuck, "length", later.isoformat()], until={"stuck": 2, "step 3": 1})

    async with finished(settings, later) as (limner, chat):
        assert {request.purpose for request in chat.requests} == {"revise_profile"}
        rollouts = [rollout async for rollout in limner.rollouts()]
        assert Counter(rollout.round for rollout in rollouts) == {-1: 1, 0: 4, 1: 2}
        assert {r.finish_reason for r in rollouts if r.round == 0} == {"length"}
        usage = (await limner.doors.store.profile_versions("ada"))[0].usage
        assert usage.calls == 8  # what the killed process paid for is still counted


async def test_two_callers_of_one_portrait_draw_it_once(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)

    drawn = await asyncio.gather(
        *(drawing.profile("ada", as_of=later, budget=Budget()) for _ in range(4)),
        *(drawing.profile("bo", as_of=later, budget=Budget()) for _ in range(2)),
    )

    assert len({profile.model_dump_json() for profile in drawn}) == 2
    counts = await drawing.deps.store.counts()
    assert counts.profiles == 2
    asked = Counter((request.purpose, request.messages, request.seed) for request in chat.requests)
    assert set(asked.values()) == {1}


async def test_a_drawing_that_an_error_stopped_goes_on_where_it_was(
    open_drawing: Open, paint: Script, later: datetime
) -> None:
    broken = True

    def fragile(request: ChatRequest) -> Scripted | ChatResult:
        if broken and request.purpose == "revise_profile":
            return RuntimeError("a bug")
        return paint(request)

    chat = ScriptedChat(fragile)
    drawing = await open_drawing(chat, drafting={"accept": 2.0})
    with pytest.raises(RuntimeError, match="a bug"):
        await drawing.profile("ada", as_of=later, budget=Budget())
    chat.requests.clear()
    broken = False

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert {request.purpose for request in chat.requests} == {"revise_profile"}
    assert profile.version == 1
