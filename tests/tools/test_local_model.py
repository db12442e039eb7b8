"""The embedded model, through LiteLLM where callers come from; real weights, no double."""

import asyncio
import json
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import litellm
import numpy as np
import pytest
from litellm.exceptions import BadRequestError, ContextWindowExceededError

from limner.errors import UnknownWeightsError, WeightsMissingError
from limner.records import Message
from limner.sections import ChatSettings
from limner.tools import local_model
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.checksums import revision_of
from limner.tools.gateway import LiteLLMChat
from limner.tools.local_engine import Answer, Engine, EngineClosedError, ModelLoadError, start_server
from limner.tools.local_model import ensure_registered, shutdown
from limner.tools.profilers import model_files

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

MODEL = "limner/smollm2-135m"
MESSAGES = [
    {"role": "system", "content": "You describe people."},
    {"role": "user", "content": "Bought: a jazz book, a jazz kit, poker chips. What do they like?"},
]
SCHEMA = {
    "type": "object",
    "properties": {
        "facets": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "maxLength": 40},
                    "evidence": {"enum": ["e1", "e2"]},
                },
                "required": ["text", "evidence"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facets"],
    "additionalProperties": False,
}


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


@pytest.fixture
def model(weights: Path) -> Iterator[str]:
    """The embedded model, one request at a time, unloaded afterwards."""
    ensure_registered(MODEL, models_dir=weights, threads=1, parallel=1)
    yield MODEL
    shutdown()


@pytest.fixture
def engine(weights: Path) -> Iterator[Engine]:
    engine = Engine(weights / "smollm2-135m.gguf", threads=1, parallel=1)
    yield engine
    engine.close()


async def _ask(model: str, **options: Any) -> Any:
    return await litellm.acompletion(**{"model": model, "messages": MESSAGES, "max_tokens": 16, **options})


@pytest.mark.weights
async def test_an_answer_says_what_it_used_and_which_weights_wrote_it(model: str, weights: Path) -> None:
    answer = await _ask(model, seed=1, temperature=0.8, max_tokens=5)

    assert answer.model == MODEL
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5
    revision = revision_of(weights / "smollm2-135m.gguf")
    assert (answer.system_fingerprint, answer._hidden_params["model_rev"]) == (revision, revision)
    assert revision == "b179c9523d0e"  # the published sha256


@pytest.mark.weights
def test_a_synchronous_call_answers_too(model: str) -> None:
    answer: Any = litellm.completion(model=model, messages=MESSAGES, max_tokens=3, temperature=0.0)

    assert answer.usage.completion_tokens == 3


@pytest.mark.weights
@pytest.mark.parametrize("seed", range(3))
async def test_an_answer_fits_its_schema_and_has_no_spaces_between_its_parts(model: str, seed: int) -> None:
    answer = await _ask(model, seed=seed, temperature=0.9, max_tokens=200, response_format=_format(SCHEMA))

    text = answer.choices[0].message.content
    facets = json.loads(text)["facets"]
    assert answer.choices[0].finish_reason == "stop"
    assert len(facets) == 2
    assert {facet["evidence"] for facet in facets} <= {"e1", "e2"}
    assert all(len(facet["text"]) <= 40 for facet in facets)
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.weights
async def test_a_json_object_needs_no_schema(model: str) -> None:
    answer = await _ask(model, seed=1, max_tokens=300, response_format={"type": "json_object"})

    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    assert answer.choices[0].message.content.startswith("{")


@pytest.mark.weights
async def test_equal_requests_get_equal_answers_whatever_ran_before(model: str) -> None:
    other = [{"role": "user", "content": "Count to ten."}]
    texts: list[str] = []
    for before in (None, None, other):
        if before is not None:
            await _ask(model, messages=before)
        answer = await _ask(model, seed=7, temperature=0.9, logprobs=True, max_tokens=24)
        texts.append(repr(answer.choices[0].logprobs.content))
    different = await _ask(model, seed=8, temperature=0.9, logprobs=True, max_tokens=24)

    assert texts[1:] == texts[:1] * 2
    assert repr(different.choices[0].logprobs.content) != texts[0]


@pytest.mark.weights
@pytest.mark.parametrize(("other", "order"), [(False, ["long", "short"]), (True, ["short", "long"])])
async def test_only_requests_with_different_prompts_share_the_slots(
    weights: Path, other: bool, order: list[str]
) -> None:
    engine = Engine(weights / "smollm2-135m.gguf", threads=1, parallel=2)
    ended: list[str] = []
    futures: list[Future[Answer]] = []
    last = [{"role": "user", "content": "Hi."}] if other else MESSAGES
    for name, messages, length in (("long", MESSAGES, 150), ("short", last, 1)):
        body = {"messages": messages, "max_tokens": length, "temperature": 0.0, "ignore_eos": True}
        future = engine.submit(body).future
        future.add_done_callback(lambda _, name=name: ended.append(name))  # type: ignore[misc]  # a closure
        futures.append(future)

    answers = await asyncio.gather(*map(asyncio.wrap_future, futures))
    await asyncio.to_thread(engine.close)

    assert ended == order
    assert [answer.completion_tokens for answer in answers] == [150, 1]
    first, second = answers
    assert first.cached_tokens == 0
    # A prompt that was read for another request is not read again, but for its last token, to write on from it.
    assert second.cached_tokens == (0 if other else second.prompt_tokens - 1)


@pytest.mark.weights
async def test_requests_with_the_same_prompt_run_one_after_the_other(engine: Engine) -> None:
    order: list[str] = []
    futures: list[Future[Answer]] = []
    for name in ("a", "b", "a", "b", "a"):
        body = {"messages": [{"role": "user", "content": f"Say {name}."}], "max_tokens": 2}
        future = engine.submit(body).future
        future.add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]  # a closure
        futures.append(future)

    await asyncio.gather(*map(asyncio.wrap_future, futures))

    assert order == ["a", "a", "a", "b", "b"]


@pytest.mark.weights
async def test_log_probabilities_come_for_every_token(model: str) -> None:
    answer = await _ask(model, temperature=0.0, max_tokens=6, logprobs=True, top_logprobs=3)

    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 6
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    for token in tokens:
        best = max(token.top_logprobs, key=lambda each: each.logprob)
        assert len(token.top_logprobs) == 3
        assert (token.token, token.logprob) == (best.token, best.logprob)  # greedy
        assert token.logprob < 0


@pytest.mark.weights
@pytest.mark.parametrize(("most", "reason"), [(6, "length"), (60, "stop")])
async def test_token_ids_spell_the_answer_in_the_vocabulary_of_the_file(
    model: str, weights: Path, most: int, reason: str
) -> None:
    """The file's own list of tokens is the oracle; a leading blank is written as \u0120 there."""
    gguf = pytest.importorskip("gguf", reason="comes with the extra train")
    listed = gguf.GGUFReader(weights / "smollm2-135m.gguf").get_field("tokenizer.ggml.tokens").contents()
    chat = LiteLLMChat(model, ChatSettings(), models_dir=weights)
    request = ChatRequest(
        messages=(Message(role="user", content="Say a short English sentence."),),
        purpose="test",
        max_tokens=most,
        seed=1,
        top_logprobs=1,
        json_schema={"type": "array", "items": {"enum": ["yes", "no"]}, "minItems": 3, "maxItems": 3},
    )

    result = await chat.complete(request, Budget())
    await chat.aclose()

    assert result.token_ids is not None and result.token_logprobs is not None
    assert result.finish_reason == reason
    assert len(result.token_ids) == len(result.token_logprobs)
    assert "".join(listed[token] for token in result.token_ids).replace("\u0120", " ") == result.text


@pytest.mark.weights
async def test_a_prompt_that_does_not_fit_is_refused_not_cut(model: str) -> None:
    with pytest.raises(ContextWindowExceededError, match=r"\d+ prompt tokens, 4096 fit"):
        await _ask(model, messages=[{"role": "user", "content": "word " * 5000}])

    assert (await _ask(model, max_tokens=2)).usage.completion_tokens == 2


@pytest.mark.weights
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n": 2}, "`n` must be 1"),
        ({"response_format": _format({"type": "nonsense"})}, "nonsense"),
        ({"extra_body": {"mirostat": 2}}, "does not take mirostat"),
    ],
)
async def test_what_the_model_cannot_do_is_refused(model: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequestError, match=reason):
        await _ask(model, temperature=0.0, max_tokens=100, **options)


@pytest.mark.weights
async def test_the_event_loop_runs_while_the_model_writes(model: str) -> None:
    turns = 0
    answer = asyncio.create_task(_ask(model, max_tokens=40))
    while not answer.done():
        turns += 1
        await asyncio.sleep(0.001)

    assert turns > 10


@pytest.mark.weights
async def test_a_cancelled_call_frees_its_place(model: str) -> None:
    await _ask(model, max_tokens=1)
    story = [{"role": "user", "content": "Tell a very long story."}]
    running = asyncio.create_task(_ask(model, messages=story, max_tokens=3500))
    waiting = asyncio.create_task(_ask(model, max_tokens=3500))
    await asyncio.sleep(0.3)
    running.cancel()
    waiting.cancel()
    await asyncio.wait([running, waiting])

    answer = await asyncio.wait_for(_ask(model, max_tokens=2), timeout=30)  # 7000 tokens would take longer

    assert running.cancelled() and waiting.cancelled()
    assert answer.usage.completion_tokens == 2


@pytest.mark.weights
async def test_closing_refuses_what_waits_and_what_runs(weights: Path) -> None:
    engine = Engine(weights / "smollm2-135m.gguf", threads=1, parallel=1)
    futures = [
        engine.submit({"messages": MESSAGES, "max_tokens": 3000, "ignore_eos": True}).future for _ in range(2)
    ]

    await asyncio.to_thread(engine.close)

    assert [type(future.exception(timeout=0)) for future in futures] == [EngineClosedError] * 2
    with pytest.raises(EngineClosedError):
        engine.submit({"messages": MESSAGES})


@pytest.mark.weights
def test_the_port_that_llama_cpp_opens_is_closed_to_others(weights: Path) -> None:
    server = start_server(weights / "smollm2-135m.gguf", threads=1, parallel=1, context=256)
    body = json.dumps({"messages": MESSAGES, "max_tokens": 1}).encode()

    assert server.listening_address.startswith("http://127.0.0.1:")
    for path, data in (("/v1/chat/completions", body), ("/props", None), ("/v1/models", None)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.listening_address + path, data=data)
        assert refused.value.code == 401
        refused.value.close()


async def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and then nonsense")
    ensure_registered("limner/broken", models_dir=tmp_path, threads=1, parallel=1)

    with pytest.raises(BadRequestError, match=r"broken\.gguf cannot be loaded") as refused:
        await _ask("limner/broken")
    shutdown()

    assert isinstance(refused.value.__cause__ or refused.value.__context__, ModelLoadError)


def test_absent_weights_are_refused_before_a_call(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="limner models fetch smollm2-135m"):
        ensure_registered(MODEL, models_dir=tmp_path, threads=1, parallel=1)
    with pytest.raises(UnknownWeightsError, match="'gpt' is unknown"):
        ensure_registered("limner/gpt", models_dir=tmp_path, threads=1, parallel=1)


def test_registering_again_adds_no_second_provider(tmp_path: Path) -> None:
    for name in ("a", "b", "a"):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF")
        ensure_registered(f"limner/{name}", models_dir=tmp_path, threads=1, parallel=1)
    shutdown()

    assert [entry["provider"] for entry in litellm.custom_provider_map].count(local_model.PROVIDER) == 1


def _write_adapter(path: Path, *, strength: float) -> None:
    """Write an adapter of rank 1 on one layer of SmolLM2-135M, byte by byte as llama.cpp documents the form."""

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words)) + words.encode()

    fields = [("general.architecture", "llama"), ("general.type", "adapter"), ("adapter.type", "lora")]
    header = b"GGUF" + struct.pack("<IQQ", 3, 2, len(fields) + 1)
    for key, value in fields:
        header += text(key) + struct.pack("<I", 8) + text(value)
    header += text("adapter.lora.alpha") + struct.pack("<If", 6, 1.0)
    draw = np.random.default_rng(0)
    halves = {"lora_a": (1, 576), "lora_b": (576, 1)}  # of the output of the first block's attention
    data = b""
    for half, shape in halves.items():
        header += text(f"blk.0.attn_output.weight.{half}")
        header += struct.pack("<IQQIQ", 2, shape[1], shape[0], 0, len(data))  # type 0 is F32
        data += draw.normal(0.0, strength, shape).astype("<f4").tobytes()
    path.write_bytes(header + b"\0" * (-len(header) % 32) + data)


@pytest.fixture
def with_adapters(weights: Path, tmp_path: Path) -> Iterator[Path]:
    """A models folder with profilers over the embedded model: `zero` changes nothing, `much` does."""
    (tmp_path / "smollm2-135m.gguf").symlink_to(weights / "smollm2-135m.gguf")
    for name, strength in (("zero", 0.0), ("much", 0.5)):
        (tmp_path / name).mkdir()
        _write_adapter(tmp_path / name / "adapter.gguf", strength=strength)
        (tmp_path / name / "profiler.json").write_text('{"base": "smollm2-135m", "adapter": "adapter.gguf"}')
    yield tmp_path
    shutdown()


@pytest.mark.weights
async def test_an_adapter_changes_what_its_base_writes(with_adapters: Path) -> None:
    found: dict[str, Any] = {}
    for name in ("smollm2-135m", "zero", "much"):
        ensure_registered(f"limner/{name}", models_dir=with_adapters, threads=1, parallel=1)
        answer = await _ask(f"limner/{name}", temperature=0.0, max_tokens=3, logprobs=True)
        found[name] = [token.logprob for token in answer.choices[0].logprobs.content]
        assert answer.system_fingerprint == model_files(name, with_adapters).revision

    assert found["zero"] == pytest.approx(found["smollm2-135m"], abs=1e-5)
    assert found["much"] != pytest.approx(found["smollm2-135m"], abs=0.1)


@pytest.mark.weights
async def test_one_adapter_under_one_base_is_loaded_once_until_it_changes(with_adapters: Path) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("limner-smollm2") for thread in threading.enumerate())

    for _ in range(2):
        ensure_registered("limner/much", models_dir=with_adapters, threads=1, parallel=1)
        await _ask("limner/much", max_tokens=1)
    assert threads() == 1
    ensure_registered("limner/zero", models_dir=with_adapters, threads=1, parallel=1)
    await _ask("limner/zero", max_tokens=1)
    assert threads() == 2

    before = await _ask("limner/much", temperature=0.0, max_tokens=1, logprobs=True)
    _write_adapter(with_adapters / "much" / "adapter.gguf", strength=0.0)
    ensure_registered("limner/much", models_dir=with_adapters, threads=1, parallel=1)
    after = await _ask("limner/much", temperature=0.0, max_tokens=1, logprobs=True)

    assert threads() == 2
    assert before.system_fingerprint != after.system_fingerprint
    assert before.choices[0].logprobs.content[0].logprob != after.choices[0].logprobs.content[0].logprob


@pytest.mark.weights
async def test_an_adapter_of_another_model_is_refused_by_name(with_adapters: Path) -> None:
    adapter = with_adapters / "much" / "adapter.gguf"
    adapter.write_bytes(adapter.read_bytes().replace(b"blk.0.attn_output", b"blk.7.attn_nowher"))
    ensure_registered("limner/much", models_dir=with_adapters, threads=1, parallel=1)

    with pytest.raises(BadRequestError, match=r"smollm2-135m\.gguf with .*adapter\.gguf cannot be loaded"):
        await _ask("limner/much")


@pytest.mark.weights
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_the_interpreter_exits_cleanly(weights: Path, busy: bool) -> None:
    program = f"""
import asyncio
from pathlib import Path
import litellm
from limner.tools.local_model import ensure_registered

async def ask(words, seconds):
    message = {{"role": "user", "content": "word " * words}}
    call = litellm.acompletion(model={MODEL!r}, messages=[message], max_tokens=3)
    try:
        await asyncio.wait_for(call, seconds)
    except TimeoutError:
        print("given up")

ensure_registered({MODEL!r}, models_dir=Path({str(weights)!r}), threads=1, parallel=1)
asyncio.run(ask(2, 60))
if {busy}:
    asyncio.run(ask(1000, 0.2))  # reading so long a prompt goes on after nobody waits for it
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ("given up" in done.stdout) is busy
