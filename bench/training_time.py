"""Where the time of `round2` goes on 500 hours and two A100-80GB, as `asr train --dry-run` counts.

    python -m bench.training_time

The corpus is made of lengths alone (321,000 rows, 5.6 s on average), and the model of names and
shapes. Writes the table "time" of docs/performance.md.
"""

from __future__ import annotations

import random
from pathlib import Path

from transformers import Qwen3ASRConfig

from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row, Selection
from asr_gate.train.families.qwen3_asr.build import build_on_meta
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.loop.batch_plan import plan_steps
from asr_gate.train.loop.expected_time import expected_time
from asr_gate.train.model.parameter_groups import match
from asr_gate.train.plan import PlannedTime
from asr_gate.train.prepare import memory_needs
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
HOURS, REPEATED, HELD_OUT = 500, 321, 500
MACHINE = ("budget.gpu=A100-80GB", "budget.processes=2")
STEPS = ("evaluation.every_hours=null", "evaluation.every_steps=500",
         "checkpoints.state_every_minutes=null", "checkpoints.state_every_steps=500")  # fmt: skip
WAYS = {
    "as `round2` is": (),
    "the same, training 1.5 times as fast": (),
    "`evaluation.every_steps=500` as well": ("evaluation.every_steps=500",),
    "every 500 steps, nothing by hours or minutes": STEPS,
    "the same, and training's small batches in evaluation": (*STEPS, "evaluation.batch_seconds=60"),
}
"""What the table compares, with the overrides."""


def synthetic_rows(repeated: int) -> list[Row]:
    """Rows of 1,000 different lengths, as of read and spontaneous speech, and nothing else."""
    choose = random.Random(1)
    lengths = [min(30.0, 0.5 + choose.lognormvariate(1.4, 0.7)) for _ in range(1000)]
    scale = 3600 * HOURS / (sum(lengths) * REPEATED)
    return repeated * [
        Row(
            Utterance(f"u{n}", "a b", Path("a.flac"), "a.flac", f"corpus.jsonl:{n}"),
            min(30.0, seconds * scale),
            "Hebrew",
            tokens=round(Qwen3ASR.sizes.tokens_per_second * min(30.0, seconds * scale)),
        )
        for n, seconds in enumerate(lengths, start=1)
    ]


def architecture() -> Qwen3ASRConfig:
    """The 1.7B."""
    return Qwen3ASRConfig(
        audio_config={
            "model_type": "qwen3_asr_encoder", "encoder_layers": 24, "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096, "d_model": 1024, "output_dim": 2048,
            "downsample_hidden_size": 480,
        },
        text_config={
            "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 2048,
            "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
            "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
        },
        audio_token_id=151_676,
    )  # fmt: skip


class Counter:
    """Counts the time of `round2` on the synthetic rows."""

    def __init__(self, repeated: int = REPEATED) -> None:
        rows = synthetic_rows(repeated)
        self.selection = Selection(rows[HELD_OUT:], rows[:HELD_OUT], [], [])
        self.model = build_on_meta(architecture(), untie=True)

    def __call__(self, *overrides: str) -> PlannedTime:
        """The time with some overrides, on two A100-80GB."""
        _, recipe = recipes.load("round2", [*MACHINE, *overrides])
        world, gpu = recipe.budget.processes or 1, recipe.budget.gpu
        assert gpu is not None
        groups = match(self.model, recipe.phases)
        recipe = recipes.resolve_for_machine(
            recipe,
            memory_needs(Qwen3ASR(), self.model, groups),
            Qwen3ASR.sizes,
            memory=recipes.GPU_MEMORY[gpu],
            processes=world,
        )
        return expected_time(
            self.selection,
            recipe,
            plan_steps(self.selection, recipe, world),
            groups,
            audio=Qwen3ASR.audio,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            world=world,
            gpu=gpu,
        )


def table(count: Counter) -> list[str]:
    """The lines of the table."""
    lines = [
        "| | evaluations | states | written, TB | hours | training | evaluation "
        "| checkpoints and states | waiting for data | start |",
        "|---|" + "---:|" * 9,
    ]
    speed: float | None = None
    for way, overrides in WAYS.items():
        faster = [f"budget.realtime={1.5 * speed}"] if speed and "1.5" in way else []
        found = count(*overrides, *faster)
        speed = speed or found.realtime
        assert found.expected is not None
        shares = " | ".join(f"{100 * share:.1f} %" for share in found.expected.shares().values())
        lines.append(
            f"| {way} | {found.evaluations} | {found.states} | {found.written / 1e12:.2f} "
            f"| {found.expected.total / 3600:.1f} | {shares} |"
        )
    return lines


def main() -> None:
    """Count, print, and put the table into the page."""
    lines = table(Counter())
    print("\n".join(lines))
    replace_figures(PAGE, "time", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
