"""Set up drawing: what the graph may touch, put together from settings and open doors."""

from contextlib import AsyncExitStack

from .agents.audience import Audience
from .agents.drawing import Drawing
from .agents.lexicon import Lexicon
from .agents.state import Deps, Style
from .doors import Doors
from .settings import EMBEDDED, Settings
from .tools.budget import Budget
from .tools.clock import Clock
from .tools.completion_cache import CachedChat
from .tools.profilers import style_of
from .tools.space import open_space
from .tools.store import Store


def start_drawing(
    doors: Doors, settings: Settings, clock: Clock, stack: AsyncExitStack, *, own_chat: bool
) -> Drawing:
    """Build the graph around the doors.

    Args:
        doors: What was opened.
        settings: How portraits are drawn.
        clock: What time it is.
        stack: Keeps the completions that are still to be written when it closes.
        own_chat: Whether the chat door is the one that `settings.model` names.

    Raises:
        SpaceFileError: `critic.space` names no readable space.
        WrongSpaceError: That space was taught on another encoder.
    """
    drafting = settings.drafting
    embedded = own_chat and settings.model.startswith(EMBEDDED)
    deps = Deps(
        settings=settings,
        store=doors.store,
        catalogue=doors.catalogue,
        embedder=doors.embedder,
        chat=doors.chat,
        budget=Budget(settings.budget),
        clock=clock,
        lexicon=Lexicon(),
        audience=Audience(
            doors.store,
            doors.catalogue,
            size=settings.critic.audience,
            last=drafting.recent,
            seed=drafting.seed,
        ),
        logprobs=embedded if drafting.logprobs is None else drafting.logprobs,
        style=style_for(settings, own_chat=own_chat),
        screen=doors.screen,
        space=open_space(settings.critic.space, encoder=doors.embedder.name),
    )
    cached = CachedChat(doors.chat, doors.store) if doors.chat else None
    if cached:
        stack.push_async_callback(cached.flush)
    return Drawing(deps, cached, doors.saver, tenant=settings.tenant)


def style_for(settings: Settings, *, own_chat: bool) -> Style:
    """Return the style of drafts: the one that is set, else the one that suits the model.

    Args:
        settings: What is set.
        own_chat: Whether the chat door is the one that `settings.model` names.
    """
    if settings.drafting.style != "auto":
        return settings.drafting.style
    return model_style(settings, embedded=own_chat and settings.model.startswith(EMBEDDED))


def model_style(settings: Settings, *, embedded: bool) -> Style:
    """Return the style that suits a model: a profiler's own, else what its size can do."""
    if not embedded:
        return "free"
    return style_of(settings.model.removeprefix(EMBEDDED), settings.models_dir) or "lexicon"


async def learn_phrases(store: Store) -> Lexicon:
    """Count the phrases of the whole catalogue."""
    lexicon = Lexicon()
    async for batch in store.all_items():
        lexicon.learn(batch)
    return lexicon
