"""Who writes the portraits that are compared: any chat model, or a run's adapter through transformers."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...errors import InputError
from ...records import content_hash
from ...sections import ChatSettings
from ...settings import EMBEDDED, Settings
from ...tools.budget import Budget
from ...tools.chat import ChatModel, ChatRequest, JsonSchema
from ..log.training_rows import PromptOnly

_WEIGHTS = "adapter_model.safetensors"


class Sitting(NamedTuple):
    """One portrait to be written."""

    row: PromptOnly
    """Of whom, and what is asked."""

    seed: int
    """Seed of the draw; the same for both profilers."""

    schema: JsonSchema | None
    """What the answer must fit; absent to let the model write freely."""

    max_tokens: int
    """Where it is cut."""


class Profiler(Protocol):
    """Writes portraits."""

    @property
    def name(self) -> str:
        """As it was typed."""
        ...

    @property
    def identity(self) -> str:
        """Name and revision of the weights; kept completions belong to it."""
        ...

    @property
    def guided(self) -> bool:
        """Whether it can be held to a schema while it writes."""
        ...

    async def draw(self, sittings: Sequence[Sitting]) -> list[str]:
        """Write one portrait for each.

        Raises:
            ModelUnavailableError: The model kept failing.
            BudgetExceededError: The next call could pass a limit.
        """
        ...

    async def aclose(self) -> None:
        """Release what is held."""
        ...


class ChatProfiler:
    """A model behind the chat door.

    Args:
        chat: The model.
        budget: Limits.
        temperature: Of sampling.
        top_p: Nucleus mass.
    """

    guided = True

    def __init__(self, chat: ChatModel, budget: Budget, *, temperature: float, top_p: float) -> None:
        self._chat, self._budget = chat, budget
        self._temperature, self._top_p = temperature, top_p

    @property
    def name(self) -> str:
        """Model string."""
        return self._chat.name

    @property
    def identity(self) -> str:
        """Model, address and weights."""
        return self._chat.identity

    async def draw(self, sittings: Sequence[Sitting]) -> list[str]:
        """Ask for all at once; the door limits how many calls are under way."""
        return list(await asyncio.gather(*(self._draw(each) for each in sittings)))

    async def aclose(self) -> None:
        """Close the door."""
        await self._chat.aclose()

    async def _draw(self, sitting: Sitting) -> str:
        request = ChatRequest(
            messages=sitting.row.prompt,
            purpose=sitting.row.prompt_id,
            max_tokens=sitting.max_tokens,
            temperature=self._temperature,
            top_p=self._top_p,
            seed=sitting.seed,
            json_schema=sitting.schema,
        )
        return (await self._chat.complete(request, self._budget)).text


class AdapterProfiler:
    """A run's adapter on its base, written with transformers; free of any schema.

    Draws of one call share their random numbers, so a portrait depends on who is drawn beside it.

    Args:
        folder: A run of `limner distill train`.
        models_dir: Folder that weights lie in.
        temperature: Of sampling.
        notice: Told what takes time.

    Raises:
        UnknownFormatError: The folder holds no finished run.
    """

    guided = False

    def __init__(
        self,
        folder: Path,
        models_dir: Path,
        *,
        temperature: float,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        from ...tools.checksums import revision_of
        from ..training.run_folder import ADAPTER, read_run

        self._folder, self._models_dir = folder, models_dir
        self._temperature, self._notice = temperature, notice
        run = read_run(folder)
        self._base = run.identity.settings.base
        self.name = str(folder)
        revision = revision_of(folder / ADAPTER / _WEIGHTS)
        self.identity = f"adapter {revision} on {run.identity.base_revision}"
        self._opened: Any = None

    async def draw(self, sittings: Sequence[Sitting]) -> list[str]:
        """Write all in one batch, in a thread."""
        return await asyncio.to_thread(self._draw, sittings)

    async def aclose(self) -> None:
        """Let go of the weights."""
        self._opened = None

    def _draw(self, sittings: Sequence[Sitting]) -> list[str]:
        from ..training.config import WritingSettings
        from ..training.quiet import quiet
        from ..training.writing import ModelWriter

        settings = WritingSettings(
            temperature=self._temperature,
            max_new_tokens=max(each.max_tokens for each in sittings),
            seed=int(content_hash([each.seed for each in sittings])[:8], 16),
        )
        with quiet():
            if self._opened is None:
                self._opened = self._open()
            model, chat = self._opened
            return ModelWriter(model, chat, settings)([each.row.prompt for each in sittings])

    def _open(self) -> tuple[Any, Any]:
        from ..training.base_weights import open_base
        from ..training.encoding import ChatEncoder
        from ..training.run_folder import ADAPTER

        base = open_base(self._base, self._models_dir, self._notice)
        import peft

        model: Any = peft.PeftModel.from_pretrained(base.model, str(self._folder / ADAPTER))
        return model.eval(), ChatEncoder(base.tokenizer)


def open_profiler(
    spec: str, settings: Settings, budget: Budget, notice: Callable[[str], None] | None = None
) -> Profiler:
    """Open a profiler by what was typed.

    Args:
        spec: A folder of `limner distill train`, or a model string (`limner/NAME`, or any of LiteLLM's).
        settings: Sampling, address and key.
        budget: Limits of all calls.
        notice: Told what takes time.

    Raises:
        UnknownFormatError: It is a folder without a finished run.
        InputError: It is a path to nothing.
    """
    from ...tools.gateway import LiteLLMChat

    folder = Path(spec)
    temperature = settings.drafting.temperature
    if folder.is_dir():
        return AdapterProfiler(folder, settings.models_dir, temperature=temperature, notice=notice)
    if spec.startswith((".", "/", "~")):
        raise InputError(
            f"{spec}: there is no such folder; name a run of `limner distill train` or a model string"
        )
    chat = LiteLLMChat(spec, _for(spec, settings.chat), models_dir=settings.models_dir)
    return ChatProfiler(chat, budget, temperature=temperature, top_p=settings.drafting.top_p)


def _for(spec: str, chat: ChatSettings) -> ChatSettings:
    """Keep few calls waiting inside the embedded model, and answer with no other model in its place."""
    changes: dict[str, Any] = {"fallback_models": ()}
    if spec.startswith(EMBEDDED):
        changes["concurrency"] = 2 * chat.parallel
    return chat.model_copy(update=changes)
