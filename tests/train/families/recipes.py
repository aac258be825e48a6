"""A small training of each family, which the tests of all families share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_gate.train import recipes, run
from asr_gate.train.recipes import FamilyName
from tests.train.trainings import SMALL, TWO_EPOCHS, train

PLAIN = (
    "data.batch_seconds=3",
    "wandb.log_interval=1",
    "checkpoints.keep=null",
)
TINY: Mapping[FamilyName, tuple[str, tuple[str, ...]]] = {
    "qwen3-asr": ("round2-tiny", (*SMALL, *TWO_EPOCHS)),
    "ctc": ("ctc-tiny-random", ("model.tiny.width=16", *PLAIN)),
    "ctc-embedded": (
        "ctc-embedded",
        ("phases.1.epochs=[2]", 'phases.1.groups.0.parameters=["output.*"]', *PLAIN),
    ),
    "whisper": (
        "whisper-tiny-random",
        (
            "model.tiny.width=16",
            "model.tiny.window=3",
            "evaluation.max_new_tokens=8",
            *TWO_EPOCHS,
            *PLAIN,
            "data.batch_seconds=6",
        ),
    ),
}
"""Recipe and overrides, by family: two phases of an epoch each."""

SHORT = (*SMALL, "phases.0.epochs=[1,2]", "phases.1.epochs=[3]", "data.batch_seconds=1.7")
IN_TWO_PROCESSES: Mapping[FamilyName, tuple[str, tuple[str, ...]]] = {
    name: (recipe, (*small, "data.batch_seconds=1.7", "data.excluded_weight=0.5"))
    for name, (recipe, small) in TINY.items()
} | {
    "qwen3-asr": (
        "round2-tiny",
        (*SHORT, "data.excluded_weight=0.5", "phases.1.gradient_checkpointing=true"),
    )
}
"""Of the runs of two processes, by family."""
SHARDED = (
    IN_TWO_PROCESSES["qwen3-asr"][0],
    (*IN_TWO_PROCESSES["qwen3-asr"][1], "checkpoints.state_every_steps=1", "sharding=fsdp2"),
)


def load(family: FamilyName, *overrides: str) -> recipes.Recipe:
    """The family's small recipe."""
    name, small = TINY[family]
    return recipes.load(name, [*small, *overrides])[1]


def train_tiny(
    family: FamilyName, manifest: Path, report: Path, *overrides: str, **named: Any
) -> run.TrainResult:
    """Train the family's small recipe."""
    recipe, small = TINY[family]
    return train(manifest, report, *overrides, recipe=recipe, small=small, **named)
