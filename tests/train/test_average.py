"""The average of a run's best checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from asr_gate.corpus.errors import UserError
from asr_gate.train.evaluation.average import Candidate, average
from asr_gate.train.record import write_record
from tests.train.layouts import write_small
from tests.train.support import run_record

WERS = {"epoch-1": 0.9, "step-4": 0.3, "epoch-2": 0.5, "epoch-3": 0.3, "epoch-4": 0.7}


def write_run(folder: Path, processor, wers: dict[str, float | None], shard: str = "50GB") -> Path:
    """A run's folder with a random model for each checkpoint."""
    folder.mkdir()
    evaluations = []
    for seed, (name, wer) in enumerate(wers.items()):
        write_small(folder / name, processor, seed=seed, shard=shard)
        rates = {"loss": 1.0, "wer": wer, "cer": 0.1, "utterances": 1, "words": 1, "domains": {}}
        evaluation = None if wer is None else rates
        evaluations.append(
            {"steps": seed, "epoch": 1, "checkpoint": name, "evaluation": evaluation}
        )
    write_record(folder, run_record(status="finished", evaluations=evaluations))
    return folder


@pytest.fixture(scope="module")
def run(processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "r", processor, dict(WERS))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = (load_file(path) for path in folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in file.items()}


def test_the_best_three_are_averaged(run: Path, tmp_path: Path) -> None:
    made = average(run, out=tmp_path / "average")
    # Of two that are equally good the later comes first.
    assert made.averaged == [
        Candidate("epoch-3", 0.3),
        Candidate("step-4", 0.3),
        Candidate("epoch-2", 0.5),
    ]
    assert made.deleted == []
    mean = tensors(made.folder)
    parts = [tensors(run / one.name) for one in made.averaged]
    assert mean.keys() == parts[0].keys()
    for name, tensor in mean.items():
        assert tensor.dtype == torch.float32
        exact = sum(part[name].double() for part in parts) / 3
        assert torch.equal(tensor, exact.float()), name
    assert not any(torch.equal(mean["model.multi_modal_projector.linear_1.weight"], part[
        "model.multi_modal_projector.linear_1.weight"]) for part in parts)  # fmt: skip
    assert json.loads((made.folder / "average.json").read_text()) == {
        "run": "r",
        "average_of": [
            {"name": "epoch-3", "wer": 0.3},
            {"name": "step-4", "wer": 0.3},
            {"name": "epoch-2", "wer": 0.5},
        ],
    }


def test_the_average_loads_with_plain_transformers(run: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    made = average(run, best=2, out=tmp_path / "average")
    model, info = AutoModelForMultimodalLM.from_pretrained(made.folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert AutoProcessor.from_pretrained(made.folder).chat_template
    assert not list(made.folder.glob("*.bin")) + list(made.folder.glob("*.pt"))


def test_the_default_place_is_in_the_run_and_is_not_replaced(processor, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", processor, {"epoch-1": 0.2, "epoch-2": 0.1})
    assert average(run, best=2).folder == run / "average"
    with pytest.raises(UserError, match="exists already"):
        average(run, best=2)


def test_shards_are_read(processor, tmp_path: Path) -> None:
    wers = {"epoch-1": 0.2, "epoch-2": 0.1}
    run = write_run(tmp_path / "r", processor, wers, shard="40KB")
    assert len(list((run / "epoch-1").glob("*.safetensors"))) > 2
    mean = tensors(average(run, best=2).folder)
    one, other = (tensors(run / name) for name in wers)
    assert all(
        torch.equal(mean[n], ((one[n].double() + other[n].double()) / 2).float()) for n in mean
    )


def test_better_ones_that_are_gone_are_told(processor, tmp_path: Path) -> None:
    import shutil

    wers = {"epoch-1": 0.4, "epoch-2": 0.1, "epoch-3": 0.2, "epoch-4": 0.9, "epoch-5": None}
    run = write_run(tmp_path / "r", processor, wers)
    shutil.rmtree(run / "epoch-2")
    made = average(run, best=2)
    assert [one.name for one in made.averaged] == ["epoch-3", "epoch-1"]
    assert made.deleted == [Candidate("epoch-2", 0.1)]
    with pytest.raises(UserError, match=r"3 evaluated checkpoints are on disk, 4 are .*--best 3"):
        average(run, best=4, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def broken(run: Path, to: Path, change) -> Path:
    """A copy of the run, the weights of epoch-2 changed."""
    import shutil

    shutil.copytree(run, to)
    path = to / "epoch-2" / "model.safetensors"
    kept = load_file(path)
    change(kept)
    save_file(kept, path, metadata={"format": "pt"})
    return to


def test_a_checkpoint_in_bfloat16_counts_as_any_other(run: Path, tmp_path: Path) -> None:
    def half(kept: dict[str, torch.Tensor]) -> None:
        kept.update({name: tensor.bfloat16() for name, tensor in kept.items()})

    rounded = broken(run, tmp_path / "rounded", half)
    mean, other = (
        tensors(average(one, out=tmp_path / f"of-{one.name}").folder) for one in (run, rounded)
    )
    for name, tensor in other.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, mean[name], rtol=0.01, atol=0.01)


def test_checkpoints_of_other_models_are_refused(run: Path, tmp_path: Path) -> None:
    name = "model.multi_modal_projector.linear_1.bias"
    less = broken(run, tmp_path / "less", lambda kept: kept.pop(name))
    with pytest.raises(UserError, match=f"epoch-2: has no {name}"):
        average(less)
    other = broken(run, tmp_path / "other", lambda kept: kept.update({name: torch.zeros(3)}))
    with pytest.raises(UserError, match=r"epoch-2: .* has shape \(3,\), elsewhere"):
        average(other)
    (other / "epoch-2" / "model.safetensors").write_bytes(b"no tensor")
    with pytest.raises(UserError, match=r"epoch-2/model.safetensors: cannot be read"):
        average(other)
    assert not (less / "average").exists()
    assert not (other / "average").exists()


def test_a_folder_without_a_record_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name the folder of a run") as error:
        average(tmp_path)
    assert error.value.exit_code == 2
    write_record(tmp_path, run_record())
    with pytest.raises(UserError, match="0 evaluated checkpoints"):
        average(tmp_path)
