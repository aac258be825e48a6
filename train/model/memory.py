"""How much memory a phase needs, and what is said when it runs out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.rows import Row
from asr_gate.train.model.fast import only_frozen
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.recipes import Need

GIB = 2**30

# Bytes of activations that are kept for the backward pass, for each token and unit of width, under
# bfloat16 arithmetic. `python -m bench.memory` measures them.
TEXT_LAYER = 69
TEXT_REST = 16
"""Embeddings, projector, and the last norm."""
AUDIO_LAYER = 35
HEARD = re.compile(r"model\.audio_tower\.layers\.(\d+)\.")
INPUT = 4
"""A layer's input alone, in float32: all that is kept of it with gradient checkpointing."""

RESERVE = 1536 * 2**20
"""Bytes for CUDA itself and for the logits of `loss.CHUNK` positions."""

SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""In errors of CUDA, its libraries, and torch's allocator on a CPU, which have no class of their
own."""


def static_memory(
    model: torch.nn.Module, groups: Mapping[str, Sequence[MatchedGroup]], *, gpu: bool
) -> dict[str, int]:
    """Bytes of weights, gradients and AdamW's two moments, by phase.

    All are float32, except for weights on a GPU that never train (`fast.only_frozen`).
    """
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    if gpu:
        weights -= 2 * _frozen(model, groups)
    return {
        phase: weights + 12 * sum(group.size for group in some) for phase, some in groups.items()
    }


def _frozen(model: torch.nn.Module, groups: Mapping[str, Sequence[MatchedGroup]]) -> int:
    """Values that a GPU stores in bfloat16; of tied weights once."""
    frozen = {id(one): one for one in only_frozen(model, groups.values()).values()}.values()
    return sum(one.numel() for one in frozen)


def memory_needs(
    model: Qwen3ASRForConditionalGeneration,
    groups: Mapping[str, Sequence[MatchedGroup]],
    *,
    shards: int = 1,
) -> dict[str, Need]:
    """What every phase needs on a GPU, counted from shapes; by the phase's name.

    Every layer of the language model is counted as if it trained: gradients pass through all of
    them to the projector, and the frozen ones keep some two thirds.

    Args:
        model: may be without weights.
        groups: what each phase trains.
        shards: processes that share weights, gradients and moments.
    """
    text, audio = model.config.get_text_config(), model.config.audio_config
    weights = sum(parameter.numel() for parameter in model.parameters())
    layer = TEXT_LAYER * text.hidden_size
    rest = TEXT_REST * text.hidden_size + layer  # the backward pass is at one layer at a time
    found = {}
    copied = weights - _frozen(model, groups)
    for phase, static in static_memory(model, groups, gpu=True).items():
        names = [name for group in groups[phase] for name in group.parameters]
        heard = len({one[1] for name in names if (one := HEARD.match(name))})
        found[phase] = Need(
            # Autocast keeps a copy of float32 weights in bfloat16.
            fixed=static // shards + 2 * copied + RESERVE,
            token=rest + layer * text.num_hidden_layers + AUDIO_LAYER * audio.d_model * heard,
            checkpointed_token=rest
            + INPUT * (text.hidden_size * text.num_hidden_layers + audio.d_model * heard),
        )
    return found


def gpu_memory(device: torch.device) -> float | None:
    """Memory of the smallest GPU that this process sees, in GiB; None: it computes on a CPU.

    Of all of them, so that the processes of a machine agree.
    """
    if device.type != "cuda":
        return None
    seen = range(torch.cuda.device_count())
    return min(torch.cuda.get_device_properties(one).total_memory for one in seen) / GIB


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
