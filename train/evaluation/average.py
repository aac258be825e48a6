"""Averages the best checkpoints of a run, for `asr train average`.

Weights of neighbouring checkpoints lie around one minimum, and their mean tends to be closer to it
than each of them (Izmailov et al., "Averaging weights leads to wider optima and better
generalization", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.train.files import write_json
from asr_gate.train.record import read_record

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Candidate:
    """An evaluated checkpoint of the run."""

    name: str
    wer: float


@dataclass(frozen=True)
class Average:
    """The model that was written."""

    folder: Path
    """A checkpoint like any other."""
    averaged: list[Candidate]
    """The checkpoints that it is the mean of, the best first."""
    deleted: list[Candidate]
    """Better checkpoints that are no longer on disk."""


def average(run: Path, *, best: int = 3, out: Path | None = None) -> Average:
    """Write the mean of a run's checkpoints with the lowest WER on its held-out rows.

    Args:
        run: folder of the run.
        best: number of checkpoints, 2 or more.
        out: folder of the new model; None: `average` in the run's folder.

    Raises:
        UserError: no run there, too few evaluated checkpoints on disk, checkpoints of different
            shapes, the folder exists already, or the disk is full.
    """
    folder = out or run / "average"
    if folder.exists():
        raise UserError(f"{folder}: exists already; remove it, or name another folder with --out")
    ranked = _ranked(run)
    there = [one for one in ranked if (run / one.name).is_dir()]
    if len(there) < best:
        fewer = f"say --best {len(there)}, or " if len(there) > 1 else ""
        raise UserError(
            f"{run}: {len(there)} evaluated checkpoints are on disk, {best} are needed; {fewer}"
            f"train with checkpoints.best={best}"
        )
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.families.registry import family_of
    from asr_gate.train.model.checkpoint import write_checkpoint

    transformers_logging.disable_progress_bar()
    averaged = there[:best]
    source = str(run / averaged[0].name)
    family = family_of(source)
    model = family.load(source)
    _set_to_mean(model, [run / one.name for one in averaged])
    write_checkpoint(folder, model, family.open(source).processor, save=family.save)
    worst = ranked.index(averaged[-1])
    deleted = [one for one in ranked[:worst] if one not in averaged]
    write_json(
        folder / "average.json",
        {"run": run.resolve().name, "average_of": [asdict(one) for one in averaged]},
    )
    return Average(folder, averaged, deleted)


def _ranked(run: Path) -> list[Candidate]:
    """Every evaluated checkpoint of a run, the best first; of equal ones the later."""
    record = read_record(run)
    scores = {
        one.checkpoint: one.evaluation.wer
        for one in record.evaluations
        if one.evaluation is not None
    }
    latest_first = [Candidate(name, wer) for name, wer in scores.items()][::-1]
    return sorted(latest_first, key=lambda one: one.wer)


def _set_to_mean(model: nn.Module, folders: Sequence[Path]) -> None:
    """Set everything that a model has learnt to its mean over the checkpoints, summed in float64.

    Raises:
        UserError: a tensor is missing in a checkpoint, or has another shape there.
    """
    import torch

    from asr_gate.train.model.parameter_groups import saved_buffers

    learnt = dict(model.named_parameters()) | {
        name: one for name, one in saved_buffers(model).items() if one.is_floating_point()
    }
    with ExitStack() as stack, torch.no_grad():
        opened = [_open(folder, stack) for folder in folders]
        for name, parameter in learnt.items():
            total = torch.zeros(parameter.shape, dtype=torch.float64)
            for folder, files in zip(folders, opened, strict=True):
                if name not in files:
                    raise UserError(f"{folder}: has no {name}: not a checkpoint of this model")
                tensor = files[name].get_tensor(name)
                if tensor.shape != total.shape:
                    raise UserError(
                        f"{folder}: {name} has shape {tuple(tensor.shape)}, elsewhere "
                        f"{tuple(total.shape)}: not a checkpoint of this model"
                    )
                total += tensor
            parameter.copy_(total / len(folders))


def _open(folder: Path, stack: ExitStack) -> dict[str, Any]:
    """Open the files (shards) of a checkpoint; returns for each tensor the file that holds it."""
    from safetensors import SafetensorError, safe_open

    files: dict[str, Any] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: cannot be read ({error}); choose other checkpoints"
            ) from error
        files |= dict.fromkeys(file.keys(), file)
    return files
