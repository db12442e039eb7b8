"""The model that is being trained writes."""

from collections.abc import Sequence
from typing import Any

from ..log.training_rows import Messages
from .config import WritingSettings
from .encoding import ChatEncoder


class ModelWriter:
    """Draws completions without touching the random numbers that training uses.

    Args:
        model: A causal language model; its mode is put back.
        chat: Its encoder.
        settings: Temperature, length, seed.
    """

    def __init__(self, model: Any, chat: ChatEncoder, settings: WritingSettings) -> None:
        self._model, self._chat, self._settings = model, chat, settings

    @property
    def model(self) -> Any:
        """Who writes."""
        return self._model

    @property
    def chat(self) -> ChatEncoder:
        """Its encoder."""
        return self._chat

    def __call__(self, prompts: Sequence[Messages]) -> list[str]:
        """Return one completion for each prompt; the same model and prompts give the same ones.

        Raises:
            InputError: The chat template refuses a prompt.
        """
        import torch

        encoded = [self._chat.prompt(prompt) for prompt in prompts]
        step = self._settings.batch
        texts: list[str] = []
        device = self._model.device
        training = self._model.training
        self._model.eval()
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
                torch.manual_seed(self._settings.seed)
                for start in range(0, len(encoded), step):
                    texts += self._write(encoded[start : start + step])
        finally:
            self._model.train(training)
        return texts

    def _write(self, prompts: Sequence[tuple[int, ...]]) -> list[str]:
        import torch

        longest = max(map(len, prompts))
        device = self._model.device
        # Filled up on the left: the model goes on from the last token.
        ids = [[self._chat.pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        drawing = {"temperature": self._settings.temperature, "top_k": 0, "top_p": 1.0}
        sampled = self._settings.temperature > 0
        written = self._model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=self._settings.max_new_tokens,
            do_sample=sampled,
            pad_token_id=self._chat.pad,
            eos_token_id=self._chat.end,
            use_cache=True,
            **(drawing if sampled else {}),
        )
        return [self._chat.text(row).strip() for row in written[:, longest:].tolist()]
