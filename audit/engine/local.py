"""Measures shards in this process, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from asr_gate.audit.engine.ledger import Ledger
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shard
from asr_gate.audit.records.measured import Measured


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
    """Measures in this process: one shard is aligned while the next one is decoded."""

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
        waiting: Callable[[], list[Measured]] | None = None
        for shard in shards:
            # Nobody adds to what is kept while it is looked through.
            kept = {row.id: ledger.rows[row.id] for row in shard.rows if row.id in ledger.rows}
            started = self._measurer.start(shard.rows, kept, lambda row: ledger.add([row]))
            if waiting is not None:
                measured += waiting()
            waiting = started
        if waiting is not None:
            measured += waiting()
        ledger.write()
        return measured

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        self._ledger.close()
        self._measurer.stop()
