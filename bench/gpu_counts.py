"""How often a forward pass waits for the device, and what it starts there; counted on a CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.build import (
    build_on_meta,
    build_random,
    set_attention,
    tiny_config,
)
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.families.qwen3_asr.tokenizer import build_processor
from asr_gate.train.model.arithmetic import moved
from bench.gpu_steps import Batch, Waiting, batches

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")
"""Operations whose result the host needs before it can go on."""


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is computed on one device; views compute nothing."""

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [one for one in (*args, result) if isinstance(one, Tensor)]
        returned = [one.alias_info for one in func._schema.returns]
        view = any(info is not None and not info.is_write for info in returned)
        if not view and any(one.device.type == self.device for one in given):
            name = func._schema.name.removeprefix("aten::")
            self.counted["waits" if name in WAITS else "operations"] += 1
        return result


@contextmanager
def _counted(device: str) -> Iterator[Counter[str]]:
    """Waits, operations and calls of attention while it is entered."""
    operations = _Operations(device)
    tolist, attention = Tensor.tolist, torch.nn.functional.scaled_dot_product_attention

    def listed(self: Tensor) -> Any:
        operations.counted["waits"] += self.device.type == device
        return tolist(self)

    def attended(*arguments: Any, **named: Any) -> Tensor:
        operations.counted["attention"] += 1
        found: Tensor = attention(*arguments, **named)
        return found

    Tensor.tolist = listed  # type: ignore[method-assign, assignment]
    torch.nn.functional.scaled_dot_product_attention = attended
    try:
        with operations:
            yield operations.counted
    finally:
        Tensor.tolist = tolist  # type: ignore[method-assign]
        torch.nn.functional.scaled_dot_product_attention = attention


def counts() -> list[str]:
    """A table: transformers' way, and ours."""
    shape = recipes.TinyModel(audio_layers=24, audio_width=16, text_layers=28, text_width=32)
    config = tiny_config(shape, build_processor(["a b c"] * 3, vocabulary=320))
    config.audio_config.downsample_hidden_size = 4
    batch = batches(40.0, tiny=True)[0]
    theirs, ours = (build_random(config, untie=True, seed=1) for _ in range(2))
    set_attention(ours, "sdpa")
    meta = build_on_meta(config, untie=True)
    set_attention(meta, "sdpa")
    waiting, packed = (
        _forward(Waiting(theirs), batch, "cpu"),
        _forward(TranscriptLoss(ours), batch, "cpu"),
    )
    # On the meta device there are no values: whatever asked for one would fail. On the CPU, what is
    # read on the host beforehand would be counted as well.
    packed["waits"] = _forward(TranscriptLoss(meta), batch, "meta")["waits"]
    lines = [
        "| forward pass | waits for the device | calls of attention | operations |",
        "|---|---:|---:|---:|",
    ]
    ways = {"transformers' tower, a mask": waiting, "counted on the host, no mask": packed}
    for name, found in ways.items():
        lines.append(
            f"| {name} | {found['waits']} | {found['attention']} | {found['operations']:,} |"
        )
    seconds = float(batch["input_features_mask"].sum()) / 100
    rows = len(batch["input_ids"])
    return [*lines, "", f"{rows} rows, {seconds:.0f} s; 24 audio and 28 language-model layers."]


def _forward(objective: TranscriptLoss, batch: Batch, device: str) -> Counter[str]:
    packed = moved(objective.pack(batch), torch.device(device), objective.on_host)
    with torch.no_grad(), _counted(device) as found:
        objective(**packed)
    return found
