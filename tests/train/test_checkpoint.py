"""How checkpoints are written, which of a run stay, and which is the best."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.train.families.qwen3_asr.build import is_tied, untie_embeddings
from asr_gate.train.families.qwen3_asr.load import load_pretrained
from asr_gate.train.model.checkpoint import checkpoint_type, mark_best, prune, write_checkpoint
from tests.train.layouts import write_small

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


@pytest.mark.parametrize("untied", [False, True])
def test_bfloat16_takes_half_and_is_what_it_says_it_is(
    untied: bool, processor, tmp_path: Path
) -> None:
    from transformers import AutoModelForMultimodalLM

    model = write_small(tmp_path / "whole", processor)
    if untied:
        untie_embeddings(model)
        write_checkpoint(tmp_path / "whole", model, processor)
    write_checkpoint(tmp_path / "half", model, processor, torch.bfloat16)
    assert model.dtype == torch.float32
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    assert whole.keys() == half.keys()
    assert all(torch.equal(half[name], whole[name].bfloat16()) for name in whole)
    loaded = load_pretrained(str(tmp_path / "half"), None, untie=False)
    assert loaded.dtype == torch.float32
    assert is_tied(loaded) is not untied
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight.bfloat16().float())
    plain = AutoModelForMultimodalLM.from_pretrained(tmp_path / "half")
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.bfloat16}


def test_the_type_follows_the_arithmetic_unless_it_is_named() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert checkpoint_type("auto", cuda) is checkpoint_type("bfloat16", cpu) is torch.bfloat16
    assert checkpoint_type("auto", cpu) is checkpoint_type("float32", cuda) is torch.float32
