"""SASRec trained with full-softmax cross-entropy: the sequence model that a recommender has to beat.

Source: Kang & McAuley 2018, https://arxiv.org/abs/1808.09781. Differs: the loss is cross-entropy over the whole
catalogue at every real position instead of one sampled negative (Klenitskiy & Vasilev 2023,
https://arxiv.org/abs/2309.07602); places are counted from the end of a sequence, so that sequences need no
padding to full length; blocks are PyTorch's, normalised before attention.
"""

import copy
import importlib.util
import logging
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from ...errors import MissingExtraError, SettingsError
from ...records import Record
from ...tools.one_torch import one_torch
from ..dataset import FloatArray, IntArray
from ..options import named, read_options
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace

Torch = Any
"""Modules, tensors and optimisers of an optional library."""

log = logging.getLogger("limner")

ALIKE = 32
"""Sequences of like length that are filled up together, so that little of the work is filling."""


class SasRecOptions(Record):
    """Size and training of the network."""

    dim: PositiveInt = 128
    """Width of the network; a multiple of `heads`."""

    layers: PositiveInt = 2
    """Blocks of attention."""

    heads: PositiveInt = 2
    """Attention heads a block."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    """Share of values dropped in training."""

    length: PositiveInt = 50
    """Newest items of a history that are read."""

    batch: PositiveInt = 128
    """Sequences a step."""

    rate: PositiveFloat = 1e-3
    """Learning rate of Adam."""

    epochs: PositiveInt = 60
    """Passes over the data at most."""

    patience: PositiveInt = 5
    """Passes without gain on the held-back items after which training stops."""

    held: PositiveInt = 2000
    """Users at most whose last item of the past decides when to stop."""

    threads: PositiveInt = 1
    """Threads of PyTorch while this system works."""

    half: bool = False
    """Multiply states and items in bfloat16: several times faster on processors that have it."""


class Batch(NamedTuple):
    """Sequences side by side, filled up on the right."""

    items: IntArray
    """Item numbers, `n_items` where filled up; shape `(B, T)`."""

    lengths: IntArray
    """Real places of each; shape `(B,)`."""


class SasRec:
    """Self-attention over the newest items of a history.

    Args:
        options: Size and training.
        notice: Takes one line an epoch.

    Raises:
        MissingExtraError: `torch` is not installed.
        SettingsError: The width is no multiple of the heads.
    """

    def __init__(
        self, options: SasRecOptions | None = None, notice: Callable[[str], None] = log.info
    ) -> None:
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("SASRec", "evals")
        self.options = options or SasRecOptions()
        if self.options.dim % self.options.heads:
            reason = f"must be a multiple of `heads` ({self.options.heads}), got {self.options.dim}"
            raise SettingsError("sasrec:dim", reason)
        self.name = named("sasrec", self.options)
        self._notice = notice

    def fit(self, past: Past) -> None:
        """Train until the held-back items of some users gain no more, and keep the best pass."""
        torch: Any = import_module("torch")
        rng = np.random.default_rng(past.seed)
        taught, asked, answers = hold_back(sequences_of(past), self.options.held, rng)
        with one_torch(self.options.threads, past.seed):
            self.items = past.n_items
            self.network = build_network(past.n_items, self.options)
            steps = torch.optim.Adam(self.network.parameters(), lr=self.options.rate)
            best, since, kept = -1.0, 0, copy.deepcopy(self.network.state_dict())
            for epoch in range(self.options.epochs):
                began = time.monotonic()
                loss = self._pass(taught, steps, rng)
                gain = self._ndcg(asked, answers) if asked else -loss
                self._notice(
                    f"{self.name}: epoch {epoch + 1}, loss {loss:.4f}, held-back NDCG@10 {gain:.4f}, "
                    f"{time.monotonic() - began:.0f} s"
                )
                since = 0 if gain > best or epoch == 0 else since + 1
                if since == 0:
                    best, kept = gain, copy.deepcopy(self.network.state_dict())
                if since >= self.options.patience:
                    break
            self.network.load_state_dict(kept)

    def score(self, queries: Queries) -> FloatArray:
        """Return the logits after the last item; an empty history scores every item alike."""
        histories = [queries.items_of(query)[-self.options.length :] for query in range(len(queries))]
        with one_torch(self.options.threads, 0):
            return self._logits(histories)

    def _pass(self, taught: list[IntArray], steps: Torch, rng: np.random.Generator) -> float:
        self.network.train()
        total, count = 0.0, 0
        order: list[int] = rng.permutation(len(taught)).tolist()
        for start in range(0, len(order), self.options.batch):
            chosen = [taught[row] for row in order[start : start + self.options.batch]]
            loss, places = next_item_loss(self.network, chosen, self.items, half=self.options.half)
            steps.zero_grad()
            loss.backward()
            steps.step()
            total, count = total + float(loss.detach()) * places, count + places
        return total / max(count, 1)

    def _logits(self, histories: list[IntArray]) -> FloatArray:
        torch: Any = import_module("torch")
        self.network.eval()
        scores = np.zeros((len(histories), self.items), dtype=np.float32)
        rows = sorted(
            (row for row, items in enumerate(histories) if len(items)), key=lambda row: len(histories[row])
        )
        with torch.inference_mode():
            table = self.network["catalogue"].weight[: self.items]
            for start in range(0, len(rows), 256):
                block = rows[start : start + 256]
                batch = fill_up([histories[row] for row in block], self.items)
                states = read(self.network, batch)
                last = states[torch.arange(len(block)), torch.from_numpy(batch.lengths - 1)]
                scores[block] = (last @ table.T).numpy()
        return scores

    def _ndcg(self, asked: list[IntArray], answers: IntArray) -> float:
        total = 0.0
        for start in range(0, len(asked), 512):
            block = asked[start : start + 512]
            scores = self._logits([history[-self.options.length :] for history in block])
            right = answers[start : start + 512]
            for row, history in enumerate(block):
                bar = scores[row, right[row]]
                scores[row, history] = -np.inf
                place = int(np.sum(scores[row] > bar))
                total += 1 / np.log2(place + 2) if place < 10 else 0.0
        return total / max(len(asked), 1)


def sequences_of(past: Past) -> list[IntArray]:
    """Return each user's items, oldest first, without users that have none."""
    cuts = np.flatnonzero(np.diff(past.events.user)) + 1
    return [part for part in np.split(past.events.item, cuts) if len(part)]


def hold_back(
    sequences: list[IntArray], held: int, rng: np.random.Generator
) -> tuple[list[IntArray], list[IntArray], IntArray]:
    """Take the last item from some sequences that keep two, at most a tenth of them.

    Returns:
        What to learn from, and histories with their answers.
    """
    able = np.array([row for row, items in enumerate(sequences) if len(items) >= 3], dtype=np.int64)
    chosen: list[int] = rng.permutation(able)[: min(held, len(able) // 10)].tolist()
    answers = np.array([sequences[row][-1] for row in chosen], dtype=np.int64)
    asked = [sequences[row][:-1] for row in chosen]
    taught = list(sequences)
    for row, history in zip(chosen, asked, strict=True):
        taught[row] = history
    return [items for items in taught if len(items) >= 2], asked, answers


def build_network(n_items: int, options: SasRecOptions) -> Torch:
    """Return the network's parts: embeddings of items and places, blocks, and the last normalisation."""
    nn: Any = import_module("torch.nn")
    items = nn.Embedding(n_items + 1, options.dim, padding_idx=n_items)
    places = nn.Embedding(options.length, options.dim)
    block = nn.TransformerEncoderLayer(
        options.dim,
        options.heads,
        dim_feedforward=options.dim,
        dropout=options.dropout,
        batch_first=True,
        norm_first=True,
    )
    blocks = nn.TransformerEncoder(block, options.layers, enable_nested_tensor=False)
    network = nn.ModuleDict(
        {
            "catalogue": items,
            "places": places,
            "dropout": nn.Dropout(options.dropout),
            "blocks": blocks,
            "norm": nn.LayerNorm(options.dim),
        }
    )
    for weights in network.parameters():
        if weights.dim() > 1:
            nn.init.normal_(weights, std=0.02)
    nn.init.zeros_(items.weight[n_items].detach())
    return network


def fill_up(sequences: list[IntArray], filler: int) -> Batch:
    """Put sequences side by side."""
    lengths = np.array([len(items) for items in sequences], dtype=np.int64)
    table = np.full((len(sequences), int(lengths.max())), filler, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate(sequences)
    return Batch(table, lengths)


def read(network: Torch, batch: Batch) -> Torch:
    """Return the state after every place, shape `(B, T, dim)`; those after the end mean nothing."""
    torch: Any = import_module("torch")
    width = int(batch.lengths.max())
    from_end = np.maximum(batch.lengths[:, None] - 1 - np.arange(width), 0)
    scale = network["catalogue"].embedding_dim ** 0.5
    inputs = network["catalogue"](torch.from_numpy(batch.items)) * scale
    inputs = network["dropout"](inputs + network["places"](torch.from_numpy(from_end)))
    future = torch.ones(width, width, dtype=torch.bool).triu(1)
    states: Torch = network["norm"](network["blocks"](inputs, mask=future, is_causal=True))
    return states


def next_item_loss(
    network: Torch, sequences: list[IntArray], n_items: int, *, half: bool = False
) -> tuple[Torch, int]:
    """Return the mean cross-entropy of every next item over the whole catalogue, in nats, and their number."""
    torch: Any = import_module("torch")
    length = network["places"].num_embeddings
    sequences = sorted((items[-length - 1 :] for items in sequences), key=len)
    states: list[Torch] = []
    for start in range(0, len(sequences), ALIKE):
        batch = fill_up([items[:-1] for items in sequences[start : start + ALIKE]], n_items)
        real = torch.from_numpy(np.arange(batch.items.shape[1]) < batch.lengths[:, None])
        states.append(read(network, batch)[real])
    targets = np.concatenate([items[1:] for items in sequences])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        logits = torch.cat(states) @ network["catalogue"].weight[:n_items].T
    return torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(targets)), len(targets)


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options."""
    return SasRec(read_options(SasRecOptions, "sasrec", options), workspace.notice)
