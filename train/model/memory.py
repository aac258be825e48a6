"""Running out of memory: one line that says on what, and which key to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.rows import Row

GIB = 2**30

SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""In errors of CUDA, its libraries, and torch's allocator on a CPU, which have no class of their
own."""


@contextmanager
def memory_explained(explain: Callable[[], str]) -> Iterator[None]:
    """Turn running out of memory, of a GPU or of the machine, into one line.

    No process waits for the others here: one may be out of memory alone.

    Args:
        explain: what was computed, and what to change; called only then.

    Raises:
        UserError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise UserError(f"out of memory {explain()}") from error


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(part in str(error) for part in SAID)


def sized(rows: Sequence[Row]) -> str:
    """The size of a batch, and whose it is, for messages."""
    tokens = len(rows) * max((row.tokens for row in rows), default=0)
    seconds = len(rows) * max((row.seconds for row in rows), default=0.0)
    return f"a batch of {len(rows)} rows, {tokens} tokens, {seconds:.1f} s ({named(rows)})"


def named(rows: Sequence[Row]) -> str:
    """The ids of rows, for messages; empty: there are none."""
    ids = [row.utterance.id for row in rows]
    if not ids:
        return ""
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return f"utterances {shown}"
