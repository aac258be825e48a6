"""Measures shards in this process, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from asr_gate.audit.engine.ledger import Ledger
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shard
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Utterance


class Engine(Protocol):
    """Measures shards, wherever that is."""

    def measure(self, shards: Iterable[Shard]) -> list[Measured]:
        """Measure what is missing of shards; their measurements in the order of the shards.

        Args:
            shards: what a shard holds must follow from the plan, or from the measurements of the
                shards before it, so that an audit can be resumed: then it ends the same, wherever
                it was interrupted.
        """
        ...

    @property
    def from_cache(self) -> int:
        """Utterances whose own measurements an earlier audit made."""
        ...

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        ...


class LocalEngine:
    """Measures in this process: one shard is aligned, the next one heard, the third decoded."""

    def __init__(self, measurer: Measurer, ledger: Ledger) -> None:
        self._measurer = measurer
        self._ledger = ledger

    @property
    def from_cache(self) -> int:
        """Utterances whose own measurements an earlier audit made."""
        return self._measurer.from_cache

    def measure(self, shards: Iterable[Shard]) -> list[Measured]:
        """As `Engine.measure`."""
        ledger = self._ledger
        ledger.begin()
        measured: list[Measured] = []

        def with_kept() -> Iterator[tuple[Sequence[Utterance], Mapping[str, Measured]]]:
            for shard in shards:
                # Nobody adds to what is kept while it is looked through.
                yield (
                    shard.rows,
                    {u.id: ledger.rows[u.id] for u in shard.rows if u.id in ledger.rows},
                )

        for rows in self._measurer.each(with_kept(), lambda row: ledger.add([row])):
            measured += rows
        ledger.write()
        return measured

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        self._ledger.close()
        self._measurer.stop()
