"""Limner's questions as Inspect AI tasks: the prompts of the suite `qa`, asked and logged by Inspect.

    inspect eval limner/evals/inspect_tasks.py@next_item -T data=DIR -T condition=profile --model litellm/openai/NAME
    inspect eval limner/evals/inspect_tasks.py@prefeval -T data=DIR -T condition=history --model litellm/limner/NAME

Portraits are drawn by Limner before Inspect asks, and kept in `folder`. The model that writes them is Limner's own
setting; Inspect's `--model` answers. Any provider of Inspect's does. `litellm/MODEL` is Limner's own gateway, known
once this module is imported: Inspect's `openai/` wants a newer OpenAI client than LiteLLM allows beside it.
"""

# Absolute, because Inspect also loads task files by their path, where relative imports have no parent.
from collections.abc import Sequence
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.scorer import choice
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo

from limner.evals import suite
from limner.evals.options import read_options
from limner.evals.prepared import prepare
from limner.evals.questions.answering import render_choice
from limner.evals.questions.choices import LETTERS, Choice
from limner.evals.questions.conditions import contexts_for, read_condition
from limner.evals.questions.prefeval import prefeval_name, sample_prefeval
from limner.evals.questions.rating_questions import scale_of
from limner.evals.questions.windows import open_window
from limner.evals.suites.prefeval import PREFERENCE, prefeval_contexts, prefeval_questions
from limner.evals.suites.qa import NEXT_ITEM, next_item_questions, spread_words
from limner.evals.suites.qa_options import QaOptions
from limner.evals.workspace import Workspace
from limner.records import Message
from limner.settings import load_settings
from limner.tools.answer_shares import letter_said
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.gateway import LiteLLMChat
from limner.tools.prompt import Prompt

_LONGEST = 8
"""Tokens of an answer at most; reasoning models need `--max-tokens`."""


@task
def next_item(
    data: str,
    condition: str = "profile",
    split: str = "leave-one-out",
    users: int | None = 100,
    seed: int = 0,
    folder: str = ".limner/evals",
) -> Task:
    """Which of four items does a user choose next?

    Args:
        data: Folder of a data set of interactions.
        condition: What the model is given: `nothing`, `history:last=10`, `profile:writer=extractive`, …
        split: `leave-one-out` or `global-time`.
        users: Test users drawn; absent for all.
        seed: Draws users, wrong options and places.
        folder: Where portraits are kept.
    """
    wanted = suite.Task(
        system=condition,
        data=(Path(data),),
        split=split,
        users=users,
        seed=seed,
        workspace=_workspace(folder, seed),
    )
    prepared = prepare(wanted, Path(data))
    past, queries = prepared.split.past, prepared.test.queries
    places, questions = next_item_questions(past, prepared.test, seed=seed)
    told = contexts_for(
        read_condition(condition, wanted.workspace),
        past,
        queries,
        scale_of(past.events.rating),
        wanted.workspace,
        asked=spread_words(places, questions, len(queries)),
    )
    return _task(NEXT_ITEM, questions, [told.contexts[place] for place in places], condition)


@task
def prefeval(
    data: str,
    condition: str = "profile",
    form: str = "persona",
    questions: int | None = 100,
    seed: int = 0,
    folder: str = ".limner/evals",
) -> Task:
    """Which of four pieces of advice respects what a user let slip earlier?

    Args:
        data: Folder of PrefEval.
        condition: What the model is given: `nothing`, `history`, `profile:writer=extractive`, …
        form: How the preference was let slip: `persona`, `choice` or `explicit`.
        questions: How many are drawn; absent for all.
        seed: Draws questions and places.
        folder: Where portraits are kept.
    """
    workspace = _workspace(folder, seed)
    chosen = read_options(QaOptions, "form", {"form": form}).form
    sample = sample_prefeval(Path(data), chosen, count=questions, seed=seed)
    given, window = read_condition(condition, workspace), open_window(workspace.settings)
    told = prefeval_contexts(workspace, sample, given, prefeval_name(chosen), window)
    return _task(PREFERENCE, prefeval_questions(sample, seed), told.contexts, condition)


@modelapi(name="litellm")
class LiteLLMAPI(ModelAPI):
    """Inspect's door to Limner's gateway: `litellm/MODEL` is any LiteLLM model string, also an embedded model."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  # Inspect's own signature
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        settings = load_settings(chat={"api_base": base_url} if base_url else None)
        self._chat = LiteLLMChat(model_name, settings.chat, models_dir=settings.models_dir)
        self._budget = Budget(settings.budget)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Answer one conversation of plain text."""
        messages = tuple(_as_message(message) for message in input)
        request = ChatRequest(
            messages=messages,
            purpose="inspect",
            max_tokens=config.max_tokens or _LONGEST,
            temperature=config.temperature or 0.0,
            seed=config.seed,
        )
        result = await self._chat.complete(request, self._budget)
        output = ModelOutput.from_content(self.model_name, result.text)
        output.usage = ModelUsage(
            input_tokens=result.usage.prompt_tokens,
            output_tokens=result.usage.completion_tokens,
            total_tokens=result.usage.tokens,
        )
        return output

    async def aclose(self) -> None:
        """Close connections."""
        await self._chat.aclose()


@solver
def one_letter() -> Solver:
    """Generate, and mark the option whose letter the answer starts with."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state)
        said = letter_said(state.output.completion, LETTERS[: len(state.choices)])
        for place in range(len(state.choices)):
            state.choices.mark_choice(place, LETTERS[place] == said)
        return state

    return solve


def _task(prompt: Prompt, questions: Sequence[Choice], contexts: Sequence[str], condition: str) -> Task:
    samples = [
        Sample(
            id=question.id,
            input=_messages(prompt, question, context),
            choices=list(question.options),
            target=LETTERS[question.right],
            metadata={
                "condition": condition,
                "group": question.group,
                "prompt": f"{prompt.id} {prompt.version}",
            },
        )
        for question, context in zip(questions, contexts, strict=True)
    ]
    return Task(
        dataset=MemoryDataset(samples),
        solver=one_letter(),
        scorer=choice(),
        config=GenerateConfig(temperature=0.0, max_tokens=_LONGEST),
        metadata={"condition": condition},
    )


def _messages(prompt: Prompt, question: Choice, context: str) -> list[ChatMessage]:
    """Return a question in Inspect's words."""
    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser}
    return [
        kinds[message.role](content=message.content) for message in render_choice(prompt, question, context)
    ]


def _as_message(message: ChatMessage) -> Message:
    """Return a message in Limner's words; what a tool says is unknown here."""
    if message.role == "tool":
        raise ValueError("the provider `litellm` carries text alone, no tools")
    return Message(role=message.role, content=message.text)


def _workspace(folder: str, seed: int) -> Workspace:
    return Workspace(folder=Path(folder), seed=seed, settings=load_settings())  # the screen is Inspect's
