from collections.abc import Awaitable, Callable
from datetime import datetime
from limner.agents.drawing import Drawing
from limner.tools.budget import Budget
from limner.tools.scripted import Script, ScriptedChat

async def test_probe(open_drawing: Callable[..., Awaitable[Drawing]], paint: Script, later: datetime) -> None:
    chat = ScriptedChat(paint)
    drawing = await open_drawing(chat)
    p = await drawing.profile("ada", as_of=later, budget=Budget())
    print(p.notes, p.source)
    async for b in drawing.deps.store.rollouts():
        for r in b: print(r.round, r.draft_ix, r.rewards, r.selected, r.profile_text, r.completion, r.claims)
