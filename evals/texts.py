"""Many texts in one block of bytes, so that a million reviews cost little more than their letters."""

from array import array
from collections.abc import Sequence
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray


class Texts(Sequence[str]):
    """Texts that cannot be changed; taking some of them copies none.

    Examples:
        >>> texts = Texts.of(["good", "", "bad"])
        >>> list(texts.take(np.array([2, 0])))
        ['bad', 'good']
    """

    def __init__(self, block: bytes, ends: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._block, self._ends, self._rows = block, ends, rows

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Return the same texts in one block."""
        growing = GrowingTexts()
        for text in texts:
            growing.append(text)
        block, ends = growing.parts()
        return cls(block, ends, np.arange(len(ends) - 1))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> str | Self:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = self._rows[index]
        return self._block[self._ends[row] : self._ends[row + 1]].decode(errors="surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Texts | tuple | list) and tuple(self) == tuple(other)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # of anything

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Texts({len(self)})"

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return some of the texts, in the order given."""
        return type(self)(self._block, self._ends, self._rows[rows])


class GrowingTexts:
    """Collects texts one by one."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = array("q", [0])
        self.any = False
        """Whether one of the texts is not empty."""

    def append(self, text: str) -> None:
        """Add a text."""
        if text:
            self._block += text.encode(errors="surrogatepass")
            self.any = True
        self._ends.append(len(self._block))

    def parts(self) -> tuple[bytes, NDArray[np.int64]]:
        """Return the letters of all texts, and where each ends, after a first 0."""
        return bytes(self._block), np.frombuffer(self._ends, dtype=np.int64).copy()

    def ordered(self, rows: NDArray[np.int64]) -> Texts:
        """Return the texts in another order."""
        return Texts(*self.parts(), rows)
