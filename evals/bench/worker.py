"""One measurement in a process of its own: `python -m limner.evals.bench.worker STEP '{"…": …}'`.

A step prints one JSON object. Nothing that another step loaded or left behind can help or hurt it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ...face import Limner
from ...sections import ChatSettings, DraftingSettings
from ...settings import Settings
from .memory import peak_mb
from .world import invent_histories, invent_items, user_ids

Step = Callable[[Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]

KEY = "none"
_WARM_UP = 4
_BATCH = 250
_NOT_THE_MODELS = {"timeout", "shared_session", "num_retries", "max_retries", "drop_params"}


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings of a step: the defaults, with a loopback server or no model, and the encoder's double."""
    chat = ChatSettings()
    if "url" in given:
        chat = ChatSettings(api_base=given["url"], concurrency=given["calls_at_once"])
    return Settings(
        store=Path(given["folder"]),
        model="openai/loopback" if "url" in given else "none",
        embedder="hashing",
        chat=chat,
        drafting=DraftingSettings(style="free", seed=given["seed"]),
    )


async def fill(given: Mapping[str, Any]) -> dict[str, Any]:
    """Record invented users in a new store."""
    histories = invent_histories(given["users"] + _WARM_UP, given["seed"])
    async with Limner(settings_of(given)) as limner:
        await limner.add_items(invent_items(given["seed"]))
        while batch := list(islice(histories, _BATCH)):
            await asyncio.gather(*(limner.record(events[0].user_id, events) for events in batch))
        await limner.prepare()
        return {"events": (await limner.counts()).interactions}


async def draw(given: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the users of a store; `requests` names a file that takes what was asked of the model."""
    asked: list[dict[str, Any]] = []
    if given.get("requests"):
        _listen(asked)
    async with Limner(settings_of(given)) as limner:
        everybody = user_ids(given["users"] + _WARM_UP)
        await _draw(limner, everybody[:_WARM_UP], given["users_at_once"])
        asked.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        drawn = await _draw(limner, everybody[_WARM_UP:], given["users_at_once"])
        took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if given.get("requests"):
        lines = (json.dumps(request, ensure_ascii=False) for request in asked)
        Path(given["requests"]).write_text("\n".join(lines), encoding="utf-8")
    return {**drawn, **took, "peak_mb": peak_mb()}


async def _draw(limner: Limner, users: list[str], at_once: int) -> dict[str, int]:
    profiles = calls = 0
    async for outcome in limner.profiles(users, at_once=at_once):
        if outcome.profile is None:
            raise outcome.error or RuntimeError(f"no portrait of {outcome.user_id}")
        profiles += 1
        calls += outcome.profile.usage.calls
    return {"profiles": profiles, "calls": calls}


def _listen(asked: list[dict[str, Any]]) -> None:
    """Note every request on its way to LiteLLM, in the words of `litellm.acompletion`."""
    from ...tools.backends import load_litellm

    litellm = load_litellm()
    from litellm.integrations.custom_logger import CustomLogger

    litellm.callbacks.append(CustomLogger())  # calls that somebody watches all go through LiteLLM
    send = litellm.acompletion

    async def noting(**arguments: Any) -> Any:
        asked.append({name: value for name, value in arguments.items() if name not in _NOT_THE_MODELS})
        return await send(**arguments)

    litellm.acompletion = noting


async def replay(given: Mapping[str, Any]) -> dict[str, Any]:
    """Send the requests of a file with bare LiteLLM, so many at once."""
    import litellm

    lines = Path(given["requests"]).read_text(encoding="utf-8").splitlines()
    requests = [
        _as_documented(json.loads(line)) | {"api_base": given["url"], "api_key": KEY} for line in lines
    ]
    slots = asyncio.Semaphore(given["calls_at_once"])

    async def send(request: dict[str, Any]) -> None:
        async with slots:
            await litellm.acompletion(**request)

    await asyncio.gather(*(send(request) for request in requests[: 8 * _WARM_UP]))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send(request) for request in requests))
    return {
        "calls": len(requests),
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }


def _as_documented(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request as LiteLLM's documentation writes it; Limner puts the schema into the body itself."""
    body: dict[str, Any] = request.pop("extra_body", {})
    return request | body


STEPS: dict[str, Step] = {"fill": fill, "draw": draw, "replay": replay}


def main() -> None:
    """Run the step named by the first argument with the JSON object of the second."""
    step, given = sys.argv[1:]
    print(json.dumps(asyncio.run(STEPS[step](json.loads(given)))), flush=True)


if __name__ == "__main__":
    main()
