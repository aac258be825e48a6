"""Sweeps over a stub in place of trainings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from asr_gate.corpus.read import read_corpus
from asr_gate.rounds.sweep.sweep import Sweep
from tests.rounds.models import Evaluator
from tests.rounds.runs import write_set
from tests.train.support import write_report

STUB = (sys.executable, "-S", "-E", str(Path(__file__).parent / "stub.py"))
GRID = """\
program: ctc-embedded
command: [asr, train, "${program}", --data, train/rows.jsonl, --report, reports/phase0, "${args}"]
method: grid
metric: {name: eval/wer, goal: minimize}
parameters:
  learning_rate: {values: [0.5, 1.0, 2.0, 4.0]}
  warmup: {values: [0.0, 0.1, 0.2, 0.3]}
"""
RANDOM = GRID.replace("grid", "random").replace(
    "{values: [0.5, 1.0, 2.0, 4.0]}",
    "{distribution: log_uniform_values, min: 0.25, max: 4.0}",
)


class Evaluating(Evaluator):
    """Of the rows that are asked for only."""

    def __init__(self) -> None:
        super().__init__(lambda rows: [row for row in rows if row["id"] in self.asked])

    def __call__(self, checkpoint: str, manifests, *, origins, **more) -> tuple:
        rows = read_corpus(manifests).utterances
        self.asked = {row.id for row in rows if row.origin in origins}
        return super().__call__(checkpoint, manifests, **more)


def make_data(rows: int = 80) -> None:
    """An audited corpus in the current folder."""
    write_report(Path("reports/phase0"), write_set(Path("train/rows.jsonl"), "train", rows))


def sweep(text: str = GRID, **more: Any) -> Sweep:
    """A sweep in the current folder."""
    Path("sweep.yaml").write_text(text)
    more = {"asr": STUB, "evaluate": Evaluating()} | more
    return Sweep.from_yaml("sweep.yaml", **more)
