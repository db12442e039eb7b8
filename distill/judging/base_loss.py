"""How surprising completions are to the base model: a profiler that drifts off from language is."""

from collections.abc import Sequence
from typing import Any

from ...records import Message
from ..log.training_rows import Messages
from ..training.batches import Collator, score_completions
from ..training.encoding import ChatEncoder
from .meaning import LogLoss


def base_log_loss(model: Any, chat: ChatEncoder, *, batch: int = 8) -> LogLoss:
    """Return what measures completions under a model as it is without its adapter.

    Args:
        model: A causal language model; the adapter of a PEFT model is off while it measures, its mode is put back.
        chat: Its encoder.
        batch: Completions at once.
    """
    collate = Collator(chat.pad)

    def losses_of(prompts: Sequence[Messages], texts: Sequence[str]) -> list[float]:
        examples = [
            chat.example(prompt, (Message(role="assistant", content=text),))
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        losses: list[float] = []
        for start in range(0, len(examples), batch):
            tensors = {
                name: value.to(model.device)
                for name, value in collate(examples[start : start + batch]).items()
            }
            scored = score_completions(model, tensors)
            losses += (-(scored.logprobs * scored.mask).sum(dim=1) / scored.mask.sum(dim=1)).tolist()
        return losses

    def measure(prompts: Sequence[Messages], texts: Sequence[str]) -> list[float]:
        import torch

        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                if not hasattr(model, "disable_adapter"):
                    return losses_of(prompts, texts)
                with model.disable_adapter():
                    return losses_of(prompts, texts)
        finally:
            model.train(training)

    return measure
