"""Results as `asr eval` writes them, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asr_gate.train.evaluation.result_file import (
    FiniteRates,
    Result,
    write_predictions,
    write_result,
)

WORDS = ["red", "green", "blue", "black", "white", "grey", "pink", "brown"]


def lines(count: int, domains=("kan_clean", "whatsapp_noisy"), seed: int = 0) -> list[dict]:
    """Rows as `asr eval` writes them, all right."""
    choose = np.random.default_rng(seed)
    made = []
    for index in range(count):
        text = " ".join(WORDS[i] for i in choose.integers(0, len(WORDS), size=4 + index % 5))
        made.append(
            {
                "id": f"u{index:04d}",
                "domain": domains[index % len(domains)],
                "language": "English",
                "seconds": 1.0 + index % 7,
                "reference": text.capitalize() + ".",
                "hypothesis": text,
            }
        )
    return made


def spoiled(rows: list[dict], share: float, seed: int = 1, domain: str | None = None) -> list[dict]:
    """The same with some of the words wrong, in all domains or in one."""
    choose = np.random.default_rng(seed)
    made = []
    for row in rows:
        words = row["reference"].lower().strip(".").split()
        if domain in (None, row["domain"]):
            words = ["purple" if choose.random() < share else word for word in words]
        made.append(row | {"hypothesis": " ".join(words)})
    return made


def write(path: Path, rows: list[dict], checkpoint: str = "runs/r/final", **more) -> Path:
    rates = FiniteRates(loss=1.0, wer=0.1, cer=0.1, utterances=9, words=9)
    result = Result(
        checkpoint=checkpoint, manifests=["m.jsonl"], split=None, overall=rates, domains={},
        unfinished=0, not_evaluated=[], audio=1.0, wall=1.0, device="cpu", arithmetic="float32",
        batch_seconds=60, max_new_tokens=448, predictions=write_predictions(path, rows),
        tool="0", created_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    write_result(path, result.model_copy(update=more))
    return path
