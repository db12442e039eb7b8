"""Prices come from the machine a model runs on, or from LiteLLM's local list."""

import pytest

from limner.tools.backends import load_litellm
from limner.tools.prices import price_of


@pytest.mark.parametrize(
    ("model", "api_base", "read"),
    [("openai/gpt-4o-mini", None, 1000), ("gemini/gemini-2.5-pro", None, 300_000)],
)
def test_listed_prices_are_litellms(model: str, api_base: str | None, read: int) -> None:
    litellm = load_litellm()
    price = price_of(model, api_base=api_base, litellm=litellm)
    assert price is not None
    listed = sum(litellm.cost_per_token(model=model, prompt_tokens=read, completion_tokens=100))
    assert price(read, 100) == pytest.approx(listed)
    assert listed > 0


def test_models_on_this_machine_are_free_and_unlisted_ones_have_no_price() -> None:
    litellm = load_litellm()
    free = [("limner/any", None), ("ollama/any", None), ("openai/any", "http://localhost:8000/v1")]
    for model, api_base in free:
        price = price_of(model, api_base=api_base, litellm=litellm)
        assert price is not None and price(10**6, 10**6) == 0
    assert price_of("openai/any", api_base="https://example.org/v1", litellm=litellm) is None
