"""What a training promises holds for every family: the table in docs/training.md names these."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.audit.gate.admission import Stopped
from asr_gate.corpus.read import read_corpus
from asr_gate.train.data.examples import Encoder
from asr_gate.train.data.rows import Row, to_row
from asr_gate.train.evaluation.average import average
from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint
from asr_gate.train.evaluation.transcribe import Transcript, transcribe
from asr_gate.train.families.interface import Family
from asr_gate.train.families.registry import family, family_of
from asr_gate.train.model.parameter_groups import freeze_all_but, match
from asr_gate.train.observe.tracking import model_tags
from asr_gate.train.recipes import FAMILIES, FamilyName
from asr_gate.train.run import TrainResult
from tests.speech import ROOT
from tests.train.families.recipes import IN_TWO_PROCESSES, load, train_tiny
from tests.train.support import write_report
from tests.train.trainings import Killed, content, equal_weights, killed_at, losses, train

pytestmark = pytest.mark.parametrize("name", FAMILIES)


@dataclass(frozen=True)
class Made:
    """A family's small model with random weights, and the corpus as its rows."""

    family: Family
    model: Any
    encoder: Encoder
    rows: list[Row]


@pytest.fixture(scope="module")
def made(manifest: Path) -> dict[FamilyName, Made]:
    found: dict[FamilyName, Made] = {}
    for name in FAMILIES:
        recipe, one = load(name), family(name)
        rows = [to_row(each, recipe.data) for each in read_corpus([manifest]).utterances]
        used = [row for row in rows if isinstance(row, Row)]
        source = one.source(recipe.model, used)
        model = one.build(source, recipe.model, seed=1)
        found[name] = Made(one, model, one.encoder(source, recipe.data), used)
    return found


@pytest.fixture(scope="module")
def trained(
    two_epochs: TrainResult,
    manifest: Path,
    report: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[FamilyName, TrainResult]:
    """Two epochs of each; that of the first family is shared with other tests."""
    others = [name for name in FAMILIES if name != "qwen3-asr"]
    folder = tmp_path_factory.mktemp("families")
    return {"qwen3-asr": two_epochs} | {
        name: train_tiny(name, manifest, report, out=folder / name) for name in others
    }


def loss_of(made: Made, rows: list[Row], **named: Any) -> torch.Tensor:
    """Summed over the rows, in one batch."""
    objective = made.family.objective(made.model)
    batch = made.encoder.batch([made.encoder.read(row) for row in rows])
    loss: torch.Tensor = objective(**objective.pack(batch.inputs), **named)
    return loss


def test_no_training_without_a_report_that_allows_it(
    name: FamilyName, manifest: Path, tmp_path: Path
) -> None:
    stop = write_report(tmp_path / "stop", manifest, decision="STOP")
    with pytest.raises(Stopped):
        train_tiny(name, manifest, stop)
    assert not Path("runs").exists() or not list(Path("runs").glob("*/epoch-*"))


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    name: FamilyName, manifest: Path, report: Path, tmp_path: Path
) -> None:
    found = train_tiny(name, manifest, report, dry_run=True)
    assert found.plan.family == name
    assert found.plan.steps and found.plan.parameters and found.plan.tokens
    assert list(tmp_path.iterdir()) == []


def test_a_row_in_a_batch_is_the_row_alone(name: FamilyName, made: dict[FamilyName, Made]) -> None:
    one = made[name]
    one.model.eval()
    with torch.no_grad():
        together = float(loss_of(one, one.rows[:4]))
        alone = sum(float(loss_of(one, [row])) for row in one.rows[:4])
        weights = torch.tensor([1.0, 0.5, 0.0, 0.25])
        weighted = float(loss_of(one, one.rows[:4], weights=weights))
        parts = [float(loss_of(one, [row])) for row in one.rows[:4]]
    assert together == pytest.approx(alone, rel=1e-4)
    expected = sum(w * part for w, part in zip(weights.tolist(), parts, strict=True))
    assert weighted == pytest.approx(expected, rel=1e-4)


def test_silence_takes_part_and_changes_nothing(
    name: FamilyName, made: dict[FamilyName, Made]
) -> None:
    one = made[name]
    one.model.train()
    groups = match(one.model, load(name).phases)
    freeze_all_but(one.model, [group for some in groups.values() for group in some])
    objective = one.family.objective(one.model)
    batch = one.encoder.silence()
    assert (batch.rows, batch.targets) == ([], [])
    loss = objective(**objective.pack(batch.inputs))
    loss.backward()
    assert float(loss.detach()) == 0
    for parameter_name, parameter in one.model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert not parameter.grad.any(), parameter_name
    freeze_all_but(one.model, [])


def test_targets_are_counted_as_the_loss_has_them(
    name: FamilyName, made: dict[FamilyName, Made]
) -> None:
    one = made[name]
    batch = one.encoder.evaluation_batch([one.encoder.read(row) for row in one.rows[:3]])
    assert len(batch.targets) == len(batch.rows) == 3
    assert all(count >= len(row.utterance.text.split()) for row, count in zip(
        batch.rows, batch.targets, strict=True
    ))  # fmt: skip
    for row in one.rows[:3]:
        example = one.encoder.read(row)
        assert example.tokens == one.encoder.count_tokens(row)  # type: ignore[union-attr]


def test_it_trains_and_a_frozen_parameter_stays(
    name: FamilyName, trained: dict[FamilyName, TrainResult]
) -> None:
    result = trained[name]
    assert result.out is not None
    first, last = (load_file(result.out / f"epoch-{n}" / "model.safetensors") for n in (1, 2))
    phases = content(result)["plan"]["phases"]
    assert len(phases) == 2
    changed = {key for key in first if not torch.equal(first[key], last[key])}
    assert changed and changed != first.keys()
    assert all(torch.isfinite(torch.tensor(losses(result))))


def test_its_checkpoint_is_recognised_and_scores_as_in_the_run(
    name: FamilyName, trained: dict[FamilyName, TrainResult], manifest: Path, tmp_path: Path
) -> None:
    result = trained[name]
    assert result.out is not None
    final = result.out / "final"
    assert family_of(str(final)).name == name
    held_out = set(result.plan.evaluation)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    own = [
        {**line, "audio_filepath": str(manifest.parent / line["audio_filepath"])}
        for line in lines
        if line["id"] in held_out
    ]
    rows = tmp_path / "held_out.jsonl"
    rows.write_text("".join(json.dumps(line) + "\n" for line in own))
    scored, _ = evaluate_checkpoint(
        str(final), [rows], audio_root=manifest.parent, out=tmp_path / "scored"
    )
    in_the_run = content(result)["epochs"][-1]["evaluation"]
    assert scored.overall.loss == pytest.approx(in_the_run["loss"], rel=1e-4)
    assert scored.overall.utterances == in_the_run["utterances"]


def test_it_transcribes_audio_of_which_nothing_is_known(
    name: FamilyName, trained: dict[FamilyName, TrainResult], manifest: Path
) -> None:
    result = trained[name]
    assert result.out is not None
    audio = sorted(manifest.parent.glob("*.wav"))[:2]
    found = list(transcribe(str(result.out / "final"), audio))
    assert [one.audio for one in found if isinstance(one, Transcript)] == list(map(str, audio))


def test_checkpoints_are_averaged(
    name: FamilyName, trained: dict[FamilyName, TrainResult], tmp_path: Path
) -> None:
    result = trained[name]
    assert result.out is not None
    mean = load_file(
        average(result.out, best=2, out=tmp_path / "mean").folder / "model.safetensors"
    )
    one, two = (load_file(result.out / f"epoch-{n}" / "model.safetensors") for n in (1, 2))
    assert mean.keys() == one.keys()
    for key, tensor in mean.items():
        torch.testing.assert_close(tensor, (one[key] + two[key]) / 2)


def test_the_tracker_says_which_it_is(
    name: FamilyName, trained: dict[FamilyName, TrainResult]
) -> None:
    tags = model_tags(load(name))
    assert tags[0] == name
    assert "tiny" in tags or name == "ctc-embedded", "it has its own weights"
    assert content(trained[name])["plan"]["family"] == name


def test_killed_and_resumed_it_ends_the_same_to_the_bit(
    name: FamilyName,
    trained: dict[FamilyName, TrainResult],
    manifest: Path,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, "mark_best", 1)
        with pytest.raises(Killed):
            train_tiny(name, manifest, report)
    resumed = train_tiny(name, manifest, report, resume=True)
    assert losses(resumed) == losses(trained[name])
    assert equal_weights(resumed, trained[name])


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_accumulation(
    name: FamilyName, two: Path, manifest: Path, report: Path
) -> None:
    if name == "qwen3-asr":
        pytest.skip("tests/train/test_distributed.py")
    recipe, overrides = IN_TWO_PROCESSES[name]
    alone = train(manifest, report, *overrides, "optimizer.accumulate=2", recipe=recipe, small=())
    digests = [json.loads((two / f"{name}-rank{n}.json").read_text()) for n in (0, 1)]
    assert digests[0] == digests[1], "equal to the bit on both ranks, in both phases"
    together = json.loads((two / name / "run.json").read_text())
    assert [step["loss"] for step in together["steps"]] == pytest.approx(losses(alone), rel=1e-5)


def test_every_cell_of_the_table_names_a_test_that_exists(name: FamilyName) -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.partition("\n## Families and promises\n")[2].partition("\n## ")[0]
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
    head, *rows = ([cell.strip() for cell in line] for line in lines)
    column = head.index(f"`{name}`")
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", row[column])
        assert named, row
        for file, test in named:
            (path,) = (ROOT / "tests").rglob(file) if file != "test_promises.py" else (
                Path(__file__),
            )  # fmt: skip
            assert not test or f"\ndef {test}(" in path.read_text(encoding="utf-8"), (row, test)
