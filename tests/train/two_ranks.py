"""What each of two processes does: train what it is told to, and say what its parameters are."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch

from asr_gate.train import distributed, run
from asr_gate.train.distributed import ranks
from tests.train.trainings import terminated_at


def digest(model: torch.nn.Module) -> str:
    sha = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        sha.update(name.encode())
        sha.update(parameter.detach().numpy().tobytes())
    return sha.hexdigest()


def main(jobs: str) -> None:
    """Train each of the jobs, one after the other.

    Args:
        jobs: a JSON file: a list of [recipe, manifest, report, out, overrides…]. Beside `out` each
            process writes the digests of all its parameters after each epoch. A sharded training,
            whose processes have a part of them each, gets SIGTERM in its second step.
    """
    from asr_gate.train.loop import fit

    evaluate = fit.evaluate
    digests: list[str] = []

    def watched(family, model, *arguments, **named):
        digests.append(digest(model))
        return evaluate(family, model, *arguments, **named)

    fit.evaluate = watched  # type: ignore[assignment]
    for recipe, manifest, report, out, *overrides in json.loads(Path(jobs).read_text()):
        digests.clear()
        with pytest.MonkeyPatch.context() as patch:
            if "sharding=fsdp2" in overrides and not ranks().main:
                terminated_at(patch, 1)
            run.run(recipe, data=[manifest], report=report, overrides=overrides, out=Path(out))
        Path(f"{out}-rank{ranks().rank}.json").write_text(json.dumps(digests))
        # A process group meets once where the launcher says; the next ones meet at a file.
        distributed._meeting_point = lambda met=f"file://{out}-met": met  # type: ignore[misc]


if __name__ == "__main__":
    main(sys.argv[1])
