"""The probe by item numbers as a system: recommends what was numbered right after the largest number of a history.

Where numbers are given in the order of first appearance it recommends very well, and every id-based result on such
data is in doubt. On the harness's own numbers, drawn at random, it must score chance.
"""

from collections.abc import Mapping

import numpy as np

from ..dataset import FloatArray
from ..options import NoOptions, read_options
from ..splits import Past, Queries
from ..workspace import Workspace


def make_id_order(options: Mapping[str, str], workspace: Workspace) -> "IdOrder":
    """Return the system `id-order`."""
    del workspace
    read_options(NoOptions, "id-order", options)
    return IdOrder()


class IdOrder:
    """Scores items by how little their number exceeds the largest one of the history."""

    name = "id-order"

    def fit(self, past: Past) -> None:
        """Count the numbers."""
        self._n_items = past.n_items

    def score(self, queries: Queries) -> FloatArray:
        """Score numbers above the largest one, the nearest best; those below it share the lowest score."""
        numbers = np.arange(self._n_items)
        largest = np.array(
            [queries.items_of(query).max(initial=-1) for query in range(len(queries))], dtype=np.int64
        )
        ahead = numbers[None, :] - largest[:, None]
        return np.where(ahead > 0, -ahead, -self._n_items - 1).astype(np.float32)
