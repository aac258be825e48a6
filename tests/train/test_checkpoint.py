"""Which checkpoints of a run stay, and which is the best."""

import os
from pathlib import Path

from asr_gate.train.model.checkpoint import mark_best, prune

SCORES = {"epoch-1": 0.5, "step-4": 0.3, "epoch-2": 0.3, "epoch-3": 0.4}


def checkpoints(folder: Path) -> None:
    for age, name in enumerate(SCORES):
        (folder / name).mkdir()
        os.utime(folder / name, (age, age))


def test_of_equally_good_ones_the_later_is_the_best(tmp_path: Path) -> None:
    checkpoints(tmp_path)
    mark_best(tmp_path, SCORES)
    assert (tmp_path / "best").resolve().name == "epoch-2"
    (tmp_path / "epoch-2").rmdir()
    mark_best(tmp_path, SCORES)
    assert (tmp_path / "best").resolve().name == "step-4"
    mark_best(tmp_path, {})
    assert not (tmp_path / "best").is_symlink()


def test_the_newest_and_the_best_stay_of_equal_ones_the_later(tmp_path: Path) -> None:
    checkpoints(tmp_path)
    prune(tmp_path, None, SCORES, 0)
    assert len(list(tmp_path.iterdir())) == 4
    prune(tmp_path, 1, SCORES, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-2", "epoch-3"]
