"""Everything that a tracker does, on a mock training: `python -m asr_gate.tracking.demo`.

It is offline: nothing leaves this machine. The W&B run is in `tracking-demo/wandb` until `asr sync`
sends it, TensorBoard's files are in `tracking-demo/tensorboard` (`tensorboard --logdir
tracking-demo/tensorboard`). The numbers are made up.
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path

import numpy as np

from asr_gate.tracking import Clip, Tracker

FOLDER = Path("tracking-demo")
STEPS, EPOCH = 60, 20
REFERENCE = "the red boat lies by the old bridge"
HYPOTHESES = ("the read boat by old bridge", "the red boat lies by old bridge", REFERENCE)


def main(folder: Path = FOLDER) -> None:
    """Train nothing for three epochs, and log it."""
    import torch
    from torch import nn

    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)  # an earlier demo's curves
    model = nn.Linear(4, 1)
    noise = torch.Generator().manual_seed(0)
    tracker = Tracker(
        enabled=True,
        mode="offline",
        project="tracking-demo",
        tags=["demo"],
        folder=folder,
        log_model="final",
        tensorboard=folder / "tensorboard",
    )
    with tracker:
        tracker.init(run_name="mock", config={"learning_rate": 1e-3, "phase0": {"decision": "-"}})
        tracker.define("train/*", axis="train/step")
        tracker.define("eval/wer", axis="train/step", best="min")
        tracker.watch_model(model, every=10)
        losses = []
        for step in range(1, STEPS + 1):
            loss = 3 * math.exp(-step / 20) + 0.1
            losses.append(loss)
            model(torch.randn(2, 4, generator=noise)).sum().backward()
            tracker.log_training_metrics(
                loss, learning_rate=1e-3, epoch=(step - 1) // EPOCH + 1, step=step, grad_norm=1.0
            )
            if step == EPOCH + 1:
                tracker.log_metrics({"training/strategy_switch": 1}, step=step)
            if step % EPOCH == 0:
                number = step // EPOCH
                hypothesis = HYPOTHESES[number - 1]
                words = len(REFERENCE.split())
                errors = words - len(hypothesis.split()) + (number == 1)
                tracker.log_metrics({"eval/wer": errors / words}, step=step)
                row = {"id": "u1", "reference": REFERENCE, "hypothesis": hypothesis}
                tracker.log_predictions([row], step=step)
                tracker.log_system_metrics(step=step)
        tracker.log_lines(
            "charts/loss",
            "Loss",
            {"train": (range(1, STEPS + 1), losses)},
            axis="step",
            marks={"unfrozen": EPOCH + 1},
            step=STEPS,
        )
        tracker.log_histogram("coverage", [1, 3, 8], [0.0, 0.3, 0.6, 1.0], step=STEPS)
        tone = np.sin(np.arange(16000) / 16000 * 440 * 2 * np.pi).astype(np.float32)
        tracker.log_table("clips", ["id", "audio"], [["tone", Clip(tone, 16000)]], step=STEPS)
        notes = folder / "notes.txt"
        notes.write_text("A mock training.\n", encoding="utf-8")
        tracker.log_artifact(notes, "notes", "mock-notes", aliases=["demo"])
        weights = folder / "model"
        weights.mkdir(exist_ok=True)
        np.save(weights / "weight.npy", model.weight.detach().numpy(), allow_pickle=False)
        tracker.log_model_artifact(weights, "mock-model", ["final"], {"wer": 0.0})
        tracker.alert("mock: training complete", f"{STEPS} steps")
    print(f"TensorBoard: tensorboard --logdir {folder / 'tensorboard'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m asr_gate.tracking.demo", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    try:
        main(parser.parse_args().folder)
    except OSError as error:
        parser.exit(2, f"{error.filename}: {error.strerror}; name a folder that can be written\n")
