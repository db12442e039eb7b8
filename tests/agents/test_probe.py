from collections.abc import Awaitable, Callable
from datetime import datetime
import time
from limner.agents.drawing import Drawing
from limner.tools.budget import Budget
from limner.tools.scripted import Script, ScriptedChat


async def test_probe(open_drawing: Callable[..., Awaitable[Drawing]], paint: Script, later: datetime) -> None:
    chat = ScriptedChat(paint)
    t = time.perf_counter()
    drawing = await open_drawing(chat)
    print("open", time.perf_counter() - t)
    t = time.perf_counter()
    p = await drawing.profile("ada", as_of=later, budget=Budget())
    print("draw", time.perf_counter() - t)
    print(p.model_dump_json(indent=1))
    for r in chat.requests:
        print(r.purpose, r.seed, [m.content for m in r.messages][-1])
    async for b in drawing.deps.store.rollouts():
        for r in b:
            print(r.round, r.draft_ix, r.rewards, r.selected, r.profile_text)
    t = time.perf_counter()
    pair = await drawing.pair("ada", "plain-0", as_of=later, budget=Budget())
    print("pair", time.perf_counter() - t)
    print(pair.model_dump_json(indent=1))
