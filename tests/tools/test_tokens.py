"""Tokens are counted as the model counts them, or, where nobody knows, not too low."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.tools.backends import load_litellm
from limner.tools.gguf_tokenizer import read_tokenizer
from limner.tools.tokens import EstimatedTokens, open_counter

TEXTS = (
    "Enjoys crime dramas, 1990s noir and jazz.",
    "  two  blanks\n\n- it's 12345",
    "Süßkartoffel für 日本語 und 🙂",
)


def test_without_a_model_letters_are_counted() -> None:
    counter = open_counter("none", Path("nowhere"))

    # crime: 5 letters, 2 tokens; a comma 1; two blanks 2; é: 2 bytes, 2 thirds of them rounded up 2; 日: 3 bytes, 2.
    assert [counter.count(text) for text in ("", "crime", "a, b", "a  b", "é", "日")] == [0, 2, 3, 4, 2, 2]


def test_weights_that_are_missing_or_no_model_give_the_estimate(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03")
    (tmp_path / "other.gguf").write_bytes(b"PK")

    for name in ("smollm2-135m", "unknown", "broken", "other"):
        assert open_counter(f"limner/{name}", tmp_path).name == "estimate", name


@pytest.mark.weights
def test_an_embedded_model_is_counted_as_llama_cpp_counts(weights: Path) -> None:
    from limner.tools.local_engine import start_server

    counter = open_counter("limner/smollm2-135m", weights)
    server: Any = start_server(
        weights / "smollm2-135m.gguf", threads=1, parallel=1, context=512
    )  # has no types
    rng = random.Random(5)
    letters = "abc XYZ 123 .,;'\"<>\n\täöüß日本語🙂  "
    texts = [*TEXTS, *("".join(rng.choices(letters, k=rng.randint(1, 40))) for _ in range(12))]

    for text in texts:
        body = {"prompt": text, "max_tokens": 1, "cache_prompt": False}
        assert counter.count(text) == server.handle_completions(body)["usage"]["prompt_tokens"], text


@pytest.mark.parametrize(
    ("model", "times"),
    [("gpt-4o", 1.0), ("openai/gpt-4o-mini", 1.0), ("anthropic/some-model", 1.25), ("hosted_vllm/any", 1.25)],
)
def test_hosted_models_are_counted_by_litellm(model: str, times: float) -> None:
    counter = open_counter(model, Path("nowhere"))
    asked: Callable[..., int] = load_litellm().token_counter

    for text in TEXTS:
        bare = asked(model=model if times == 1.0 else "", text=text)
        assert bare * times <= counter.count(text) < bare * times + 1


def test_the_estimate_is_not_below_a_real_tokenizer_for_words() -> None:
    exact, estimate = open_counter("gpt-4o", Path("nowhere")), EstimatedTokens()
    prose = (
        "The user keeps coming back to quiet crime novels and allotment books, and avoids anything loud.",
        "Die Nutzerin mag ruhige Krimis und Bücher über Gärten, aber keine lauten Filme am Abend.",
        "Пользователь любит спокойные детективы и не любит ужасы.",
        "ユーザーは静かな推理小説が好きで、ホラーは嫌いです。",
    )

    for text in prose:
        assert estimate.count(text) >= exact.count(text), text


def gguf(path: Path, **changes: Any) -> Path:
    """Write the header of a file whose tokenizer knows `a`, `b` and `ab`."""
    fields: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "general.parts": [1, 2],
        "tokenizer.ggml.tokens": ["a", "b", "ab"],
        "tokenizer.ggml.merges": ["a b"],
    } | changes

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(given: Any) -> bytes:
        if isinstance(given, str):
            return struct.pack("<I", 8) + text(given)
        kind = 8 if isinstance(given[0], str) else 5
        inner = b"".join(text(one) if kind == 8 else struct.pack("<i", one) for one in given)
        return struct.pack("<IIQ", 9, kind, len(given)) + inner

    body = b"".join(text(name) + value(given) for name, given in fields.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) + body)
    return path


def test_a_tokenizer_is_read_from_the_header_alone(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(gguf(tmp_path / "m.gguf"))

    # "ab" is one token, "ba" two, and letters that the vocabulary lacks are none.
    assert [len(tokenizer.encode(word).ids) for word in ("ab", "ba", "abab", "c")] == [1, 2, 2, 0]


@pytest.mark.parametrize(
    "changes",
    [{"tokenizer.ggml.model": "llama"}, {"tokenizer.ggml.pre": "unheard-of"}],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no byte-pair tokenizer of a known form"):
        read_tokenizer(gguf(tmp_path / "m.gguf", **changes))


@pytest.mark.parametrize(
    ("cut", "reason"),
    [(4, "not a readable GGUF"), (40, "ends within a text"), (120, "ends within a text|not a readable")],
)
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int, reason: str) -> None:
    path = gguf(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(ValueError, match=reason):
        read_tokenizer(path)
