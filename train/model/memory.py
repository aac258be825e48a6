"""How much memory a phase needs, and what is said when it runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.rows import Row
from asr_gate.train.model.frozen import only_frozen
from asr_gate.train.model.parameter_groups import MatchedGroup, count_parameters

GIB = 2**30

RESERVE = 1536 * 2**20
"""Bytes for CUDA itself and for the logits of a loss."""

SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""In errors of CUDA, its libraries, and torch's allocator on a CPU, which have no class of their
own."""


def static_memory(
    model: nn.Module,
    groups: Mapping[str, Sequence[MatchedGroup]],
    rounded: tuple[type[nn.Module], ...] | None,
) -> dict[str, int]:
    """Bytes of weights, gradients and AdamW's two moments, by phase.

    All are float32, except for weights on a GPU that never train (`frozen.only_frozen`).

    Args:
        model: may be without weights.
        groups: what each phase trains.
        rounded: modules whose frozen weights a GPU stores in bfloat16; None: a CPU.
    """
    weights = 4 * count_parameters(model)
    if rounded is not None:
        weights -= 2 * _frozen(model, groups, rounded)
    return {
        phase: weights + 12 * sum(group.size for group in some) for phase, some in groups.items()
    }


def fixed_memory(
    model: nn.Module,
    groups: Mapping[str, Sequence[MatchedGroup]],
    rounded: tuple[type[nn.Module], ...],
    *,
    shards: int = 1,
) -> dict[str, int]:
    """Bytes that a GPU needs in each phase, whatever the batch is; otherwise as `static_memory`.

    Args:
        model: may be without weights.
        groups: what each phase trains.
        rounded: modules whose frozen weights it stores in bfloat16.
        shards: processes that share weights, gradients and moments.
    """
    copied = count_parameters(model) - _frozen(model, groups, rounded)
    # Autocast keeps a copy of float32 weights in bfloat16.
    return {
        phase: static // shards + 2 * copied + RESERVE
        for phase, static in static_memory(model, groups, rounded).items()
    }


def _frozen(
    model: nn.Module,
    groups: Mapping[str, Sequence[MatchedGroup]],
    rounded: tuple[type[nn.Module], ...],
) -> int:
    """Values that a GPU stores in bfloat16; of tied weights once."""
    found = only_frozen(model, groups.values(), rounded).values()
    return sum(one.numel() for one in {id(one): one for one in found}.values())


def gpu_memory(device: torch.device) -> float | None:
    """Memory of the smallest GPU that this process sees, in GiB; None: it computes on a CPU.

    Of all of them, so that the processes of a machine agree.
    """
    if device.type != "cuda":
        return None
    seen = range(torch.cuda.device_count())
    return min(torch.cuda.get_device_properties(one).total_memory for one in seen) / GIB


class OutOfMemory(UserError):
    """A GPU or the machine has too little memory for what was computed."""


@contextmanager
def memory_explained(explain: Callable[[], str]) -> Iterator[None]:
    """Turn running out of memory, of a GPU or of the machine, into one line.

    No process waits for the others here: one may be out of memory alone.

    Args:
        explain: what was computed, and what to change; called only then.

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(f"out of memory {explain()}") from error


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
