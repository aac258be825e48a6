"""The average of a run's best checkpoints: what `asr train average` makes.

Weights of neighbouring checkpoints lie around one minimum, and their mean tends to be nearer to it
than any of them (Izmailov et al., "Averaging weights leads to wider optima and better
generalization", 2018).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError

if TYPE_CHECKING:
    from torch import nn

NAME = re.compile(r"(epoch|step)-\d+")
"""A checkpoint's folder in its run's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint of the run."""

    name: str
    wer: float


@dataclass(frozen=True)
class Average:
    """What was made."""

    folder: Path
    """A model like any other: loads with plain transformers."""
    parts: list[Candidate]
    """What it is the mean of, best first."""
    gone: list[Candidate]
    """Checkpoints that were better than one of these, and are not on disk any more."""


class _Evaluation(BaseModel):
    model_config = ConfigDict(frozen=True)

    wer: float = Field(ge=0, allow_inf_nan=False)


class _Milestone(BaseModel):
    model_config = ConfigDict(frozen=True)

    checkpoint: str = Field(pattern=f"^{NAME.pattern}$")
    evaluation: _Evaluation | None


class _Run(BaseModel):
    """What `run.json` says of its checkpoints."""

    model_config = ConfigDict(frozen=True)

    evaluations: list[_Milestone]


def average(run: Path, *, best: int = 3, out: Path | None = None) -> Average:
    """Write the mean of the `best` checkpoints of a run by WER on its held-out rows.

    Args:
        run: folder of the run.
        best: how many, 2 or more.
        out: folder of the model; None: `average` in the run's.

    Raises:
        UserError: no run there, fewer evaluated checkpoints on disk, checkpoints of different
            shapes, a folder that is taken, or a disk that is full.
    """
    folder = out or run / "average"
    if folder.exists():
        raise UserError(f"{folder}: is there already; remove it, or name another with --out")
    ranked = _ranked(run)
    there = [one for one in ranked if (run / one.name).is_dir()]
    if len(there) < best:
        fewer = f"say --best {len(there)}, or " if len(there) > 1 else ""
        raise UserError(
            f"{run}: {len(there)} evaluated checkpoints are on disk, {best} are wanted; {fewer}"
            f"train with checkpoints.best={best}"
        )
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.checkpoint import write_checkpoint, write_json
    from asr_gate.train.model import load_pretrained, load_processor

    transformers_logging.disable_progress_bar()
    parts = there[:best]
    source = str(run / parts[0].name)
    model = load_pretrained(source, None, untie=False)
    _set_to_mean(model, [run / one.name for one in parts])
    write_checkpoint(folder, model, load_processor(source, None))
    worst = ranked.index(parts[-1])
    gone = [one for one in ranked[:worst] if one not in parts]
    write_json(
        folder / "average.json",
        {"run": run.resolve().name, "average_of": [asdict(one) for one in parts]},
    )
    return Average(folder, parts, gone)


def _ranked(run: Path) -> list[Candidate]:
    """Every evaluated checkpoint of a run, best first; of equal ones the later."""
    path = run / "run.json"
    try:
        told = _Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a run of asr train"
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"{path}: not the record of a run ({where}: {fault['msg']})") from error
    scores = {
        one.checkpoint: one.evaluation.wer for one in told.evaluations if one.evaluation is not None
    }
    latest_first = [Candidate(name, wer) for name, wer in scores.items()][::-1]
    return sorted(latest_first, key=lambda one: one.wer)


def _set_to_mean(model: nn.Module, folders: Sequence[Path]) -> None:
    """Give every parameter its mean over the checkpoints, summed in float64.

    Raises:
        UserError: a parameter is missing in one, or has another shape there.
    """
    import torch

    with ExitStack() as stack, torch.no_grad():
        opened = [_open(folder, stack) for folder in folders]
        for name, parameter in model.named_parameters():
            total = torch.zeros(parameter.shape, dtype=torch.float64)
            for folder, files in zip(folders, opened, strict=True):
                if name not in files:
                    raise UserError(f"{folder}: has no {name}: not of the run's model")
                tensor = files[name].get_tensor(name)
                if tensor.shape != total.shape:
                    raise UserError(
                        f"{folder}: {name} has shape {tuple(tensor.shape)}, elsewhere "
                        f"{tuple(total.shape)}: not of the run's model"
                    )
                total += tensor
            parameter.copy_(total / len(folders))


def _open(folder: Path, stack: ExitStack) -> dict[str, Any]:
    """The open file, one or several shards, that holds each tensor of a checkpoint."""
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
