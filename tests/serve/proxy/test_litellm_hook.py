"""What the hook does when something is slow, broken or switched off, called as LiteLLM calls it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limner import Limner
from limner.errors import ModelUnavailableError
from limner.serve.http.rooms import Rooms
from limner.settings import load_settings
from limner.tools.chroma.chroma_catalogue import open_catalogue
from limner.tools.scripted import ScriptedChat

Json = dict[str, Any]
KEY = SimpleNamespace()


@pytest.fixture(scope="module")
def hook_type() -> Any:
    """The hook's class; LiteLLM takes seconds to load."""
    from limner.serve.litellm_hook import LimnerHook

    return LimnerHook


@pytest.fixture
def hook(hook_type: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that makes a hook with these settings."""
    made: list[Any] = []

    def make(store: Path = tmp_path / "store", **proxy: Any) -> Any:
        settings = load_settings(
            store=store, embedder="hashing", model="none", proxy={"timeout": 30, **proxy}
        )
        made.append(hook_type(settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def request(call_id: str = "c1", text: str = "I love roses.") -> Json:
    return {"user": "ada", "litellm_call_id": call_id, "messages": [{"role": "user", "content": text}]}


async def ask(hook: Any, data: Json | None = None) -> Json | None:
    found: Json | None = await hook.async_pre_call_hook(KEY, None, data or request(), "acompletion")
    return found


async def answered(hook: Any, call_id: str = "c1") -> None:
    await hook.async_log_success_event({"litellm_call_id": call_id}, None, start_time=None, end_time=None)


async def test_a_context_is_placed_and_the_answered_turn_recorded_once(hook: Any) -> None:
    one = hook()

    placed = await ask(one)
    await answered(one)
    await answered(one)
    one.close()

    assert placed is not None
    assert [message["role"] for message in placed["messages"]] == ["system", "user"]
    assert dict(one.outcomes.counts) == {"told": 1, "recorded": 1}


async def test_a_lookup_that_blocks_its_thread_holds_nothing_up(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, gate = hook(timeout=0.05), threading.Event()

    async def stuck(*_args: object, **_options: object) -> None:
        gate.wait()

    monkeypatch.setattr(Limner, "context", stuck)
    try:
        assert await ask(one) is None
        assert one.outcomes.counts == {"late": 1}
    finally:
        gate.set()


async def test_many_late_lookups_are_not_joined_by_more(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one, gate, begun = hook(timeout=0.01), asyncio.Event(), 0

    async def hang(*_args: object, **_options: object) -> None:
        nonlocal begun
        begun += 1
        await gate.wait()

    async with Limner(one._settings):  # so that opening is quick
        monkeypatch.setattr(Limner, "context", hang)
        assert await asyncio.gather(*(ask(one) for _ in range(100))) == [None] * 100

    assert begun <= 64
    assert one.outcomes.counts["late"] == 100


async def test_a_store_that_cannot_be_opened_is_not_tried_at_every_request(
    hook: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    one = hook(store=tmp_path / "file")

    for number in range(4):
        assert await ask(one, request(f"c{number}")) is None
        await answered(one, f"c{number}")

    one.close()
    assert one.outcomes.counts == {"failed": 4, "unrecorded": 4}
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("limner")]
    told = [line for line in lines if "so far" not in line]
    assert sorted(set(lines) - set(told)) == sorted(
        f"limner: {outcome}, {count} so far; error: {code}"
        for outcome in ("failed", "unrecorded")
        for count, code in ((1, "store" if outcome == "failed" else "closed"), (2, "closed"), (4, "closed"))
    )
    assert len(told) == 1  # once, not for each request
    assert "is not recorded until this is mended: store: store " in told[0] and "`store`" in told[0]


async def test_beside_a_process_that_has_the_index_the_log_says_so_and_what_to_do_once(
    hook: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(open_catalogue, "__kwdefaults__", {"rebuild": False, "lock_wait": 0.1})
    one = hook(timeout=0.01)  # every answer is late: the reason has to be said all the same
    (tmp_path / "store").mkdir()
    with FileLock(tmp_path / "store" / "chroma.lock"):
        for number in range(3):
            await ask(one, request(f"c{number}"))
            await answered(one, f"c{number}")
        deadline = asyncio.get_running_loop().time() + 30
        while one.outcomes.counts["unrecorded"] < 3 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        one.close()

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("limner")]
    [told] = [line for line in lines if "so far" not in line]
    assert "another process has it open" in told and "`chroma_url`" in told


async def test_whatever_keeps_it_from_opening_is_told_with_its_reason(
    hook: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object) -> None:
        raise ImportError("cannot import name 'define' from 'attrs'")

    monkeypatch.setattr(Rooms, "__aenter__", broken)
    one = hook()
    await ask(one)
    await ask(one)
    one.close()

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("limner")]
    [told] = [line for line in lines if "so far" not in line]
    assert "ImportError: cannot import name 'define' from 'attrs'" in told and "`limner doctor`" in told


async def test_a_model_that_refuses_its_key_is_told_of_once(
    hook_type: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = ModelUnavailableError("openai/some", 1, "the key was refused (401): words of a user")
    settings = load_settings(store=tmp_path / "store", embedder="hashing", proxy={"timeout": 30})
    one = hook_type(settings, chat=ScriptedChat([refused, refused]))

    for number in range(2):
        await ask(one, request(f"c{number}", f"I play the cello in room {number}."))
        await answered(one, f"c{number}")
    one.close()

    assert one.outcomes.counts == {"told": 2, "recorded": 2, "unread": 2}
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("limner")]
    [told] = [line for line in lines if "so far" not in line]
    assert "model_unavailable" in told and "`limner doctor`" in told
    assert not any("words of a user" in line for line in lines)


async def test_nothing_is_recorded_with_recording_switched_off(hook: Any) -> None:
    one = hook(record=False)

    assert await ask(one) is not None
    await answered(one)

    assert one.outcomes.counts == {"told": 1}


async def test_a_failed_call_is_not_recorded(hook: Any) -> None:
    one = hook()
    await ask(one)

    await one.async_post_call_failure_hook(request(), RuntimeError(), KEY)
    await answered(one)

    assert one.outcomes.counts == {"told": 1}


async def test_nonsense_goes_through_as_it_came(hook: Any) -> None:
    one = hook()

    for data in (
        {"messages": None},
        {"user": "ada", "messages": [None, 3]},
        {"user": "ada", "messages": "x"},
    ):
        assert await ask(one, data) is None
    assert await one.async_pre_call_hook(KEY, None, request(), "aembedding") is None

    assert one.outcomes.counts == {"no_user": 1, "no_question": 2}


async def test_outcomes_are_shown_to_prometheus(hook: Any) -> None:
    from prometheus_client import REGISTRY

    def told() -> float:
        return REGISTRY.get_sample_value("limner_proxy_requests_total", {"outcome": "told"}) or 0.0

    before = told()
    await ask(hook())

    assert told() == before + 1
