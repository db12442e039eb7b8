"""What tests of learning share: a language model small enough to be trained, logged drafts, and a small store."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from limner.agents.audience import Audience
from limner.agents.build_case import build_case
from limner.agents.build_form import form_of
from limner.agents.lexicon import Lexicon
from limner.agents.state import Deps, State
from limner.distill.log.training_rows import PromptOnly
from limner.models import Rollout
from limner.records import Interaction, Item, Message, Usage
from limner.settings import Settings, load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatModel
from limner.tools.clock import ManualClock
from limner.tools.embedder import HashingEmbedder
from limner.tools.memory_catalogue import MemoryCatalogue
from limner.tools.sql.sql_store import open_store

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: Llama of 2 layers and width 32, random weights, a token a byte, chat template."""
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    pytest.importorskip("transformers", reason="the extra `train` is not installed")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    make: Any = PreTrainedTokenizerFast  # untyped there
    tokenizer = make(
        tokenizer_object=inner,
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        chat_template=CHAT_TEMPLATE,
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def logged_draft() -> Callable[..., Rollout]:
    """Write a draft of a log that can teach: the first one of user `ada`; what differs is given."""

    def write(**changes: Any) -> Rollout:
        fields: dict[str, Any] = {
            "rollout_id": "r0",
            "run_id": "run",
            "user_id": "ada",
            "round": 0,
            "draft_ix": 0,
            "group_key": "logged",
            "messages": (Message(role="user", content="Draw."),),
            "completion": "Draft.",
            "profile_text": "Draft.",
            "finish_reason": "stop",
            "backend": "scripted",
            "model_rev": "1",
            "temperature": 0.9,
            "top_p": 0.95,
            "selected": False,
            "selection_propensity": 0.0,
            "rewards": {"rank": 0.5, "total": 0.5},
            "critic_version": "c1",
            "as_of": MOMENT,
            "held": ("e1",),
            "neg_seed": 3,
            "prompt_id": "draft_profile",
            "prompt_version": 2,
            "usage": Usage(),
            "at": MOMENT,
        }
        return Rollout(**(fields | changes))

    return write


FIRST = datetime(2026, 1, 1, 9, tzinfo=UTC)
LATER = FIRST + timedelta(days=100)
THINGS = {
    "roses": "garden", "ferns": "garden", "tulips": "garden", "hedges": "garden", "orchids": "garden",
    "comets": "space", "planets": "space", "meteors": "space", "nebulae": "space", "eclipses": "space",
    "knots": "sails", "regattas": "sails", "harbours": "sails", "currents": "sails", "dinghies": "sails",
}  # fmt: skip
"""Item to its category. Each user has two categories in turn, six events, the last three of them held back."""

OpenWorld = Callable[[], AbstractAsyncContextManager[Deps]]


@pytest.fixture
def open_world(tmp_path: Path) -> Callable[..., OpenWorld]:
    """Return what opens a small store of four users, with an encoder of words and a scripted model or none."""

    def of(chat: ChatModel | None = None, **settings: Any) -> OpenWorld:
        return partial(_world, tmp_path / "store", chat, load_settings(**settings))

    return of


@asynccontextmanager
async def _world(folder: Path, chat: ChatModel | None, settings: Settings) -> AsyncGenerator[Deps]:
    items = [
        Item(item_id=name, title=f"The {name} set", categories=(kind,), tags=(name,))
        for name, kind in THINGS.items()
    ]
    names, store = list(THINGS), await open_store(folder=folder, database_url=None, tenant="default")
    catalogue = MemoryCatalogue(HashingEmbedder())
    await store.put_items(items)
    await catalogue.upsert(items)
    for place, user in enumerate(("ada", "bo", "cleo", "dan")):
        chosen = [names[(5 * place + 5 * (day % 2) + day // 2) % len(names)] for day in range(6)]
        await store.record(
            [
                Interaction(
                    event_id=f"{user}-{day}",
                    user_id=user,
                    item_id=item,
                    kind="rating",
                    at=FIRST + timedelta(days=day, minutes=place),
                    rating=2.0 if day == 1 else 4.0 + day % 2,
                )
                for day, item in enumerate(chosen)
            ]
        )
    lexicon = Lexicon()
    lexicon.learn(items)
    audience = Audience(
        store, catalogue, size=settings.critic.audience, last=settings.drafting.recent, seed=0
    )
    try:
        yield Deps(
            settings=settings,
            store=store,
            catalogue=catalogue,
            embedder=HashingEmbedder(),
            chat=chat,
            budget=Budget(),
            clock=ManualClock(LATER),
            lexicon=lexicon,
            audience=audience,
            style="plain",
        )
    finally:
        await store.aclose()


@pytest.fixture
def prompt_for() -> Callable[..., Awaitable[PromptOnly]]:
    """Write the row of a training set that asks for a user's portrait in the plain style."""

    async def write(deps: Deps, user_id: str = "ada", **changes: Any) -> PromptOnly:
        state = State(user_id=user_id, item_id=None, as_of=LATER, run_id="", cues=[])
        case = await build_case(deps, state)
        request = form_of(case, state, deps).request(advice="", best=None)
        fields: dict[str, Any] = {
            "group_key": f"group-{user_id}",
            "user_id": user_id,
            "as_of": LATER,
            "prompt": request.messages,
            "round": 0,
            "prompt_id": request.prompt.id,
            "prompt_version": request.prompt.version,
            "held": tuple(event.event_id for event in case.held),
            "neg_seed": case.neg_seed,
            "drafts": 2,
            "best_reward": 0.0,
        }
        return PromptOnly(**(fields | changes))

    return write
