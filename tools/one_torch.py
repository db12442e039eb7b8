"""PyTorch for a while: its threads and its seed are the process's, so whoever borrows them gives them back."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def one_torch(threads: int, seed: int) -> Generator[None]:
    """Seed PyTorch and bound its threads, and put both back as they were."""
    torch: Any = import_module("torch")
    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)
