"""Values of the rows of a corpus by id, without all of them in memory."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar

_V = TypeVar("_V")


class Streamed(Mapping[str, _V]):
    """Values of the rows of a corpus by id, made anew each time they are gone through.

    Whoever asks for single ones has all of them in memory from then on; `some` has not.
    """

    def __init__(
        self,
        stream: Callable[[], Iterator[tuple[str, _V]]],
        length: int,
        ids: Callable[[], Iterator[str]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            stream: ids and values.
            length: how many there are.
            ids: the ids alone, where they take less time.
        """
        self._stream = stream
        self._length = length
        self._ids = ids

    @cached_property
    def _all(self) -> dict[str, _V]:
        return dict(self._stream())

    def __getitem__(self, identity: str) -> _V:
        return self._all[identity]

    def __iter__(self) -> Iterator[str]:
        return self._ids() if self._ids else (identity for identity, _ in self._stream())

    def __len__(self) -> int:
        return self._length

    def items(self) -> ItemsView[str, _V]:
        """Ids and values, in the order of the rows."""
        return _Items(self, self._stream)


class _Items(ItemsView[str, _V]):
    def __init__(
        self, mapping: Mapping[str, _V], stream: Callable[[], Iterator[tuple[str, _V]]]
    ) -> None:
        super().__init__(mapping)
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[str, _V]]:
        return self._stream()


def some(values: Mapping[str, _V], ids: Iterable[str]) -> dict[str, _V]:
    """The values of some ids; of `Streamed` the others are not kept."""
    wanted = set(ids)
    return {identity: value for identity, value in values.items() if identity in wanted}
