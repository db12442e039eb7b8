"""Whether what llama.cpp serves is what was trained: log-probabilities of the same tokens, side by side."""

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import PositiveInt

from ...errors import LimnerError
from ...records import Record
from ...tools.local_engine import Answer, Engine, Json
from ...tools.profilers import ModelFiles
from .adapter import FloatArray

if TYPE_CHECKING:
    from ..log.training_rows import Messages

LIMIT = 0.25
"""Mean difference in nats a token from which a file is not the model it was made of. Eight-bit activations and
weights make about a tenth of it."""


class FidelityError(LimnerError):
    """What is served is not what was trained."""

    code = "fidelity"

    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(file, reason)

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}; check that the base is the one of the run, or export without the check"


class Fidelity(Record):
    """How far a served model is from the trained one, on tokens that the served one drew at temperature 1."""

    prompts: PositiveInt
    """Prompts answered."""

    tokens: PositiveInt
    """Tokens compared."""

    difference: float
    """Mean absolute difference of log-probabilities from the trained model, in nats a token."""

    largest: float
    """The largest of these differences."""

    bias: float
    """Mean difference, served less trained, in nats a token."""

    same_choice: float
    """Share of tokens where both find the same token likeliest."""

    difference_from_base: float
    """As `difference`, but from the base without the adapter."""

    effect: float
    """How much of what training changed is served: the slope of served less base on trained less base. 1 for
    a faithful file, 0 for one without the adapter."""

    effect_error: float
    """Standard error of `effect`; large where training changed less than rounding does."""


class _Scored(NamedTuple):
    """A model's view of given tokens."""

    logprobs: FloatArray
    """One a token, in nats."""

    choices: list[int]
    """The likeliest token at each place."""


def measure(
    files: ModelFiles, trained: Any, tokenizer: Any, prompts: "Sequence[Messages]", *, tokens: int = 24
) -> Fidelity:
    """Let llama.cpp answer prompts and compare its log-probabilities with those of the trained model.

    Args:
        files: What was exported.
        trained: The base with the adapter, a `PeftModel` on the CPU.
        tokenizer: The base's.
        prompts: Messages to answer; at least one.
        tokens: Length of an answer at most.

    Raises:
        ModelLoadError: llama.cpp cannot load the files.
        FidelityError: It splits a prompt into other tokens than the tokenizer does.
    """
    import numpy as np

    found: list[tuple[_Scored, _Scored, _Scored]] = []
    for messages, answer in zip(prompts, _answers(files, prompts, tokens), strict=True):
        rendered = tokenizer.apply_chat_template(
            _plain(messages), add_generation_prompt=True, return_dict=True
        )
        prompt: list[int] = list(rendered["input_ids"])
        if len(prompt) != answer.prompt_tokens:
            counts = f"{answer.prompt_tokens} tokens for llama.cpp and {len(prompt)} for the tokenizer"
            raise FidelityError(str(files.weights), f"a prompt has {counts}")
        entries = _whole(answer, tokenizer)
        if entries:
            written: list[int] = [entry["id"] for entry in entries]
            ours = _score(trained, prompt, written)
            with trained.disable_adapter():
                base = _score(trained, prompt, written)
            found.append((_served(entries), ours, base))
    if not found:
        raise FidelityError(str(files.weights), "the model answers every prompt with nothing")
    by_served, by_trained, by_base = (
        np.concatenate([each[place].logprobs for each in found]) for place in range(3)
    )
    agreed = [a == b for each in found for a, b in zip(each[0].choices, each[1].choices, strict=True)]
    changed, came = by_trained - by_base, by_served - by_base
    effect, error = _slope(changed, came)
    return Fidelity(
        prompts=len(prompts),
        tokens=len(by_served),
        difference=float(np.abs(by_served - by_trained).mean()),
        largest=float(np.abs(by_served - by_trained).max()),
        bias=float((by_served - by_trained).mean()),
        same_choice=float(np.mean(agreed)),
        difference_from_base=float(np.abs(came).mean()),
        effect=effect,
        effect_error=error,
    )


def _slope(changed: FloatArray, came: FloatArray) -> tuple[float, float]:
    """Return the least-squares slope through the origin, and its standard error.

    Examples:
        >>> import numpy as np
        >>> _slope(np.array([1.0, 2.0], np.float32), np.array([0.5, 1.0], np.float32))
        (0.5, 0.0)
    """
    scale = float(changed @ changed)
    if scale == 0.0:
        return 0.0, float("inf")
    slope = float(changed @ came) / scale
    rest = came - slope * changed
    return slope, float((rest @ rest / max(len(rest) - 1, 1) / scale) ** 0.5)


def check(fidelity: Fidelity, file: str) -> None:
    """Refuse a file that does not hold the trained model.

    Raises:
        FidelityError: It is too far from the trained model, or what training changed is not in it.
    """
    if fidelity.difference > LIMIT:
        raise FidelityError(
            file,
            f"its log-probabilities are {fidelity.difference:.3f} nats a token from the trained model's "
            f"({LIMIT} at most)",
        )
    if fidelity.effect < 0.5 and fidelity.effect + 2 * fidelity.effect_error < 1:
        raise FidelityError(
            file,
            f"{fidelity.effect:.2f} ± {fidelity.effect_error:.2f} of what training changed is served, so it is "
            "not in the file",
        )


def _plain(messages: "Messages") -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _answers(files: ModelFiles, prompts: "Sequence[Messages]", tokens: int) -> list[Answer]:
    engine = Engine(files.weights, files.adapter, threads=1, parallel=1)
    sampling = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "logprobs": True,
        "top_logprobs": 1,
    }
    try:
        jobs = [
            engine.submit({"messages": _plain(messages), "max_tokens": tokens, "seed": seed, **sampling})
            for seed, messages in enumerate(prompts)
        ]
        return [job.future.result() for job in jobs]
    finally:
        engine.close()


def _whole(answer: Answer, tokenizer: Any) -> list[Json]:
    """Return an answer's tokens up to the first that llama.cpp does not list by itself.

    Of tokens that together make one character it lists the last alone.
    """
    return list(takewhile(lambda entry: tokenizer.decode([entry["id"]]) == entry["token"], answer.logprobs))


def _served(entries: list[Json]) -> _Scored:
    import numpy as np

    logprobs = np.array([entry["logprob"] for entry in entries], np.float32)
    return _Scored(logprobs, [entry["top_logprobs"][0]["id"] for entry in entries])


def _score(model: Any, prompt: list[int], written: list[int]) -> _Scored:
    """Return a model's log-probabilities of what was written behind a prompt."""
    import torch

    with torch.no_grad():
        given = torch.tensor([[*prompt, *written]])
        logits = (
            model(input_ids=given, use_cache=False, logits_to_keep=len(written) + 1).logits[0, :-1].float()
        )
    logprobs = torch.log_softmax(logits, -1)
    drawn = logprobs.gather(-1, torch.tensor(written)[:, None])[:, 0]
    return _Scored(drawn.numpy(), logprobs.argmax(-1).tolist())
