"""Put questions to a chat model and read its answers, graded by log-probabilities where the backend gives them.

The context stands before the question and the question before the options, so that a backend with a prompt cache
reads what questions share once. Answers are kept in a store: a run that is repeated or resumed pays for nothing
twice, and its usage counts what this run paid.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ...errors import BudgetExceededError, ModelError, ModelUnavailableError, PriceUnknownError
from ...records import Message
from ...settings import EMBEDDED
from ...streaming import bounded
from ...tools.answer_shares import ALTERNATIVES
from ...tools.budget import Budget
from ...tools.chat import ChatModel, ChatRequest, ChatResult
from ...tools.completion_cache import CachedChat
from ...tools.prompt import Prompt
from ..workspace import Workspace, say_nothing
from .choices import Choice
from .grading import Answered, Reply, grade_choices

CHOICE_TOKENS = 2
"""Tokens of an answer that is a letter or a number."""

_SAMPLING_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to come: whose it is, and what is asked."""

    subject: str
    """Id of the question, for keeping the answer."""

    prompt: Prompt
    messages: tuple[Message, ...]


class Questioner:
    """Asks one model, within one budget.

    Args:
        chat: Who is asked; answers are kept if it is a `CachedChat`.
        budget: Limits of everything asked; absent for none.
        at_once: Requests in flight.
        notice: Takes lines of progress.
    """

    def __init__(
        self,
        chat: ChatModel | CachedChat,
        budget: Budget | None = None,
        *,
        at_once: int = 8,
        notice: Callable[[str], None] = say_nothing,
    ) -> None:
        self.budget = budget or Budget()
        self._chat = chat
        self._at_once = at_once
        self._notice = notice

    @property
    def model(self) -> str:
        """The model string."""
        return self._chat.name

    async def choose(
        self,
        prompt: Prompt,
        questions: Sequence[Choice],
        contexts: Sequence[str],
        *,
        label: str = "",
        rotations: int = 1,
    ) -> Answered:
        """Ask multiple-choice questions.

        Metrics are `accuracy` (the likeliest option is the right one; a tie of n counts 1/n), `probability` of
        the right option among all options, and its `log_probability` in nats (NaN if the backend gives none).
        An answer that names no option counts as wrong, and `readable` is the share of a question's turns that named
        one. A question without any answer, for want of a model or a budget, is NaN everywhere.

        Args:
            prompt: Takes `context` and `options`, and `question` if it declares it.
            questions: What is asked, options arranged.
            contexts: What the model is told about each, empty for nothing.
            label: What to call this in lines of progress.
            rotations: How many turns of the options to ask each question in and average, which cancels a liking
                for letters; at most as many as there are options.

        Raises:
            ValueError: There is not one context a question, or `rotations` is less than 1.
            PriceUnknownError: There is a budget in money and the model has no known price.
            ModelUnavailableError: Not one question could be answered.
        """
        if len(contexts) != len(questions):
            raise ValueError(f"{len(contexts)} `contexts` for {len(questions)} `questions`")
        if rotations < 1:
            raise ValueError(f"`rotations` must be >= 1, got {rotations!r}")
        turns = [
            (ix, by)
            for ix, question in enumerate(questions)
            for by in range(min(rotations, len(question.options)))
        ]
        tasks = [
            Request(
                subject=questions[ix].id,
                prompt=prompt,
                messages=render_choice(prompt, questions[ix].rotated(by), contexts[ix]),
            )
            for ix, by in turns
        ]
        replies = await self.ask(tasks, max_tokens=CHOICE_TOKENS, top_logprobs=ALTERNATIVES, label=label)
        return grade_choices(questions, turns, replies)

    async def ask(
        self, tasks: Sequence[Request], *, max_tokens: int, top_logprobs: int = 0, label: str = ""
    ) -> list[Reply]:
        """Send requests and return the answers in the same order.

        Raises:
            PriceUnknownError: There is a budget in money and the model has no known price.
            ModelUnavailableError: There are requests, and every one of them failed.
        """
        replies: list[Reply] = [Reply(result=None)] * len(tasks)
        errors: list[ModelUnavailableError] = []

        async def one(ix: int) -> tuple[int, Reply]:
            return ix, await self._send(tasks[ix], max_tokens, top_logprobs, errors)

        done = 0
        async for ix, reply in bounded(range(len(tasks)), one, self._at_once):
            replies[ix] = reply
            done += 1
            if done % 10 == 0 or done == len(tasks):
                self._notice(f"{label}: {done}/{len(tasks)} answers")
        if errors and all(reply.result is None for reply in replies):
            raise errors[0]
        return replies

    async def _send(
        self, task: Request, max_tokens: int, top_logprobs: int, errors: list[ModelUnavailableError]
    ) -> Reply:
        request = ChatRequest(
            messages=task.messages,
            purpose=task.prompt.id,
            max_tokens=max_tokens,
            seed=_SAMPLING_SEED,
            top_logprobs=top_logprobs,
        )
        chat = (
            self._chat.for_subject(f"user:{task.subject}")
            if isinstance(self._chat, CachedChat)
            else self._chat
        )
        try:
            result = await chat.complete(request, self.budget)
        except PriceUnknownError:
            raise
        except BudgetExceededError as error:
            return Reply(result=None, note=str(error))
        except ModelUnavailableError as error:
            errors.append(error)
            return Reply(result=None, usage=error.usage, note=str(error))
        except ModelError as error:
            return Reply(result=None, note=str(error))
        return Reply(result=result, usage=result.usage)


@asynccontextmanager
async def open_questioner(workspace: Workspace) -> AsyncGenerator[Questioner]:
    """Open the model that the settings name, with its answers kept in the workspace's folder.

    Raises:
        StoreError: The database cannot be opened.
    """
    from ...doors import open_only_store
    from ...tools.gateway import LiteLLMChat

    settings = workspace.settings.model_copy(update={"store": workspace.folder / "answers"})
    embedded = settings.model.startswith(EMBEDDED)
    at_once = 2 * settings.chat.parallel if embedded else settings.chat.concurrency
    chat_settings = settings.chat.model_copy(update={"concurrency": at_once})
    async with open_only_store(settings) as store:
        model = LiteLLMChat(settings.model, chat_settings, models_dir=settings.models_dir)
        cached = CachedChat(ShortAnswers(model), store)
        try:
            yield Questioner(cached, workspace.budget, at_once=at_once, notice=workspace.notice)
        finally:
            await cached.aclose()


class ShortAnswers:
    """A model whose short answers count as whole although they end at `max_tokens`, so that they are kept.

    Everything asked here is read off the first words; a longer answer would say nothing more.
    """

    def __init__(self, inner: ChatModel) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        return self._inner.name

    @property
    def identity(self) -> str:
        """Identity of the inner model."""
        return self._inner.identity

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer as the inner model does."""
        result = await self._inner.complete(request, budget)
        return replace(result, finish_reason="stop") if result.finish_reason == "length" else result

    async def aclose(self) -> None:
        """Close the inner model."""
        await self._inner.aclose()


def render_choice(prompt: Prompt, question: Choice, context: str) -> tuple[Message, ...]:
    """Return the messages of a multiple-choice question."""
    inputs: dict[str, object] = {"context": context.strip(), "options": question.shown()}
    if "question" in prompt.inputs:
        inputs["question"] = question.text
    return prompt.render(**inputs)
