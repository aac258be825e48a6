"""Whole runs, small ones."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import held
from asr_gate.corpus.heard import read_heard
from asr_gate.train import recipes, run
from asr_gate.train.authorise import authorise_training
from asr_gate.train.distributed import Ranks
from asr_gate.train.files import claim_folder
from asr_gate.train.loop import fit
from asr_gate.train.loop.events import Diverged
from asr_gate.train.loop.optimizer import schedule
from asr_gate.train.model.checkpoint import write_checkpoint
from asr_gate.train.model.parameter_groups import match
from asr_gate.train.prepare import build_model, prepare
from asr_gate.train.record import write_record
from tests.train.support import run_record, write_corpus, write_report
from tests.train.trainings import (
    SMALL,
    THREE_EPOCHS,
    TWO_EPOCHS,
    content,
    equal_weights,
    losses,
    train,
    weights,
)


def test_phases_switch_at_the_boundary(finished: run.TrainResult) -> None:
    """Phase A's audio layer stands still through epoch 2 and moves in epoch 3."""
    first, second, third = (weights(finished, f"epoch-{n}") for n in (1, 2, 3))
    fifth = weights(finished, "epoch-5")
    thawed = [name for name in first if name.startswith("model.audio_tower.layers.2.")]
    assert thawed
    assert all(torch.equal(first[name], second[name]) for name in thawed)
    assert all(not torch.equal(second[name], third[name]) for name in thawed)
    always = ("model.language_model.layers.3.", "model.multi_modal_projector.", "lm_head.")
    for name in first:
        if name.startswith(always) and first[name].ndim > 1:
            assert not torch.equal(first[name], second[name]), name
            assert not torch.equal(second[name], third[name]), name
    frozen = (
        "model.audio_tower.layers.0.",
        "model.audio_tower.layers.1.",
        "model.audio_tower.conv",
        "model.language_model.layers.0.",
        "model.language_model.layers.1.",
        "model.language_model.embed_tokens.",
        "model.language_model.norm.",
    )
    for name in first:
        if name.startswith(frozen):
            assert torch.equal(first[name], fifth[name]), name


def test_no_two_trainings_write_into_one_folder(
    manifest: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    write_record(tmp_path / "r", run_record())
    with held(tmp_path / "r"), pytest.raises(UserError, match="another training"):
        train(manifest, report, out=tmp_path / "r", resume=True)


def test_the_run_tells_what_it_did(finished: run.TrainResult) -> None:
    told = content(finished)
    assert told["status"] == "finished"
    assert told["phase0"]["decision"] == "PROCEED"
    assert set(told["phase0"]) == {
        "decision",
        "low_quality_percentage",
        "mean_coverage",
        "digest",
        "dataset_fingerprint",
        "artifact",
    }
    assert told["config"]["data"]["batch_seconds"] == 6
    assert told["plan"]["embeddings"] == "untied"
    assert told["plan"]["excluded"] == ["u001", "u002"]
    assert [epoch["phase"] for epoch in told["epochs"]] == ["B", "B", "A", "A", "A"]
    assert [step["step"] for step in told["steps"]] == list(range(1, told["plan"]["steps"] + 1))
    evaluation = told["epochs"][-1]["evaluation"]
    assert {"loss", "wer", "cer", "domains"} <= set(evaluation)
    assert evaluation["utterances"] == len(told["plan"]["evaluation"])
    assert 0 <= evaluation["unfinished"] <= evaluation["utterances"]
    assert set(told["time"]) == {"training", "evaluation", "checkpoints", "waiting", "other"}
    assert all(seconds > 0 for seconds in told["time"].values())
    assert told["plan"]["time"]["evaluations"] == len(told["evaluations"]) == 5
    assert not list(finished.out.glob(".*"))


def test_the_final_model_loads_with_plain_transformers(
    finished: run.TrainResult, manifest: Path
) -> None:
    import soundfile
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    processor = AutoProcessor.from_pretrained(finished.final)
    model, info = AutoModelForMultimodalLM.from_pretrained(finished.final, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    saved = weights(finished, "epoch-5")
    assert not torch.equal(saved["lm_head.weight"], model.get_input_embeddings().weight)
    assert model.config.tie_word_embeddings is False
    assert all(torch.equal(p, saved[name]) for name, p in model.named_parameters())
    samples, _ = soundfile.read(manifest.parent / "000.wav", dtype="float32")
    inputs = processor.apply_transcription_request([samples], language="English")
    written = model.generate(**inputs, max_new_tokens=4)
    start = inputs["input_ids"].shape[1]
    assert isinstance(
        processor.decode(written[:, start:], return_format="transcription_only")[0], str
    )


def test_the_seed_decides_everything(
    two_epochs: run.TrainResult, manifest: Path, report: Path
) -> None:
    again = train(manifest, report, *TWO_EPOCHS)
    assert losses(again) == losses(two_epochs)
    assert equal_weights(again, two_epochs)
    other = train(manifest, report, *TWO_EPOCHS, "seed=2")
    assert losses(other) != losses(again)
    # Each run has a folder of its own.
    assert [one.out.name for one in (again, other)] == ["round2-tiny", "round2-tiny-2"]


def test_a_folder_is_taken_only_when_it_holds_something(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert claim_folder(empty) == empty
    (empty / "note").touch()
    assert claim_folder(empty) == tmp_path / "empty-2"
    with pytest.raises(UserError, match="cannot be created"):
        claim_folder(empty / "note" / "run")


def test_a_switch_that_changes_nothing_changes_nothing(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    """Two phases with the same groups train as one does: moments and schedule go on."""
    from asr_gate.train import recipes

    whole = yaml.safe_load((recipes.RECIPES / "round2-tiny.yaml").read_text())
    first = whole["phases"][0]
    made = []
    for name, phases in (
        ("whole", [{**first, "epochs": [1, 2]}]),
        ("split", [{**first, "epochs": [1]}, {**first, "name": "again", "epochs": [2]}]),
    ):
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({**whole, "phases": phases}))  # no aliases, unlike safe_dump
        made.append(train(manifest, report, recipe=str(path)))
    assert losses(made[0]) == losses(made[1])
    assert equal_weights(*made)


class Watcher:
    """Looks at the model after each step."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.trained: dict[str, set[str]] = {}
        self.checkpointing: dict[str, bool] = {}
        self.stray_gradients: list[str] = []
        self.shares: list[dict[str, float]] = []
        """Of each group's peak, by step."""

    def phase_begins(self, epoch, phase, groups) -> None:
        self.peaks = {group.name: group.learning_rate for group in groups}

    def step_done(self, record) -> None:
        named = list(self.model.named_parameters())
        self.trained[record.phase] = {name for name, p in named if p.requires_grad}
        self.checkpointing[record.phase] = self.model.is_gradient_checkpointing
        self.stray_gradients += [n for n, p in named if not p.requires_grad and p.grad is not None]
        rates = record.learning_rates.items()
        self.shares.append({name: rate / self.peaks[name] for name, rate in rates})

    def rows_refused(self, refused) -> None:
        raise AssertionError(refused)

    def evaluated(self, record) -> None:
        pass

    def saving(self) -> None:
        pass

    def epoch_done(self, record) -> None:
        pass


def test_the_loop_freezes_all_else_and_the_schedule_ignores_the_switch(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    overrides = [*SMALL, "phases.0.epochs=[1]", "phases.1.epochs=[2,3]", "data.batch_seconds=0.1"]
    _, settings = recipes.load("round2-tiny", [*overrides, "phases.0.gradient_checkpointing=true"])
    prepared = prepare("r", settings, authorise_training(str(report), [manifest]), Ranks())
    model = build_model(settings, prepared.source)
    matched = match(model, settings.phases)
    watcher = Watcher(model)
    fit.fit(
        model,
        prepared.encoder,
        prepared.selection,
        settings,
        device=prepared.device,
        out=tmp_path,
        observer=watcher,
    )
    for phase, trained in watcher.trained.items():
        assert trained == {name for group in matched[phase] for name in group.parameters}
    assert set(watcher.trained) == {"B", "A"}
    assert watcher.stray_gradients == []
    assert watcher.checkpointing == {"B": True, "A": False}
    total = prepared.plan.steps
    expected = [schedule(step, total, settings.optimizer) for step in range(total)]
    for name in ("projector", "language_model_top", "head"):
        assert [shares[name] for shares in watcher.shares] == pytest.approx(expected)
    thawed = [shares["audio_top"] for shares in watcher.shares if "audio_top" in shares]
    assert len(thawed) == total // 3 * 2 >= 10
    assert thawed == pytest.approx([expected[-len(thawed)] / 2, *expected[1 - len(thawed) :]])


def test_accumulated_batches_are_one_step(manifest: Path, report: Path) -> None:
    """A step over two batches weighs each token alike, as one batch of both would."""
    together = train(manifest, report, *TWO_EPOCHS, "data.batch_seconds=60")
    apart = train(
        manifest, report, *TWO_EPOCHS, "data.batch_seconds=0.1", "optimizer.accumulate=100"
    )
    assert together.plan.steps == apart.plan.steps == 2
    assert losses(together) == pytest.approx(losses(apart), rel=1e-4)


def test_checkpointing_changes_no_loss(
    two_epochs: run.TrainResult, manifest: Path, report: Path
) -> None:
    saving = train(
        manifest, report, *TWO_EPOCHS,
        "phases.0.gradient_checkpointing=true", "phases.1.gradient_checkpointing=true",
    )  # fmt: skip
    assert losses(saving) == pytest.approx(losses(two_epochs), rel=1e-6)


def test_a_dry_run_counts_and_writes_nothing(manifest: Path, report: Path, tmp_path: Path) -> None:
    console = Console(record=True, width=100, force_terminal=False)
    result = train(
        manifest, report, "budget.realtime=0.001", "budget.price=2",
        "phases.1.gradient_checkpointing=true", dry_run=True, console=console,
    )  # fmt: skip
    assert result.out is None
    plan = result.plan
    assert plan.hours == pytest.approx(plan.training_audio * 5 / 0.001 / 3600)
    assert plan.cost == pytest.approx(2 * plan.hours)
    largest = max(sum(g.parameters for g in phase.groups) for phase in plan.phases)
    assert plan.memory == 4 * plan.parameters + 12 * largest
    assert not list(tmp_path.iterdir())
    shown = console.export_text()
    for figure in ("PROCEED", "2 excluded", "few in A", "audio_top", "untied"):
        assert figure in shown
    assert result.plan.training + len(result.plan.evaluation) + len(result.plan.excluded) == 12


def test_a_dry_run_counts_the_time_on_a_declared_machine(manifest: Path, report: Path) -> None:
    console = Console(record=True, width=100, force_terminal=False)
    plan = train(
        manifest, report, "budget.gpu=A100-80GB", "budget.processes=2", "budget.price=3",
        dry_run=True, console=console,
    ).plan  # fmt: skip
    assert plan.time is not None
    assert plan.time.expected is not None
    assert plan.processes == 2
    assert plan.hours == pytest.approx(plan.time.expected.total / 3600)
    assert plan.cost == pytest.approx(2 * 3 * plan.hours)
    shown = console.export_text()
    for part in (
        "on 2 x A100-80GB",
        "% training",
        "% waiting for data",
        "5 evaluations",
        "not mea",
    ):
        assert part in shown


def test_a_dry_run_shows_excluded_rows_that_train(manifest: Path, report: Path) -> None:
    console = Console(record=True, width=100, force_terminal=False)
    weight = "data.excluded_weight=0.25"
    plan = train(manifest, report, weight, dry_run=True, console=console).plan
    assert (plan.weighted, plan.excluded) == (["u001", "u002"], [])
    assert plan.counts()["weighted"] == 2
    shown = console.export_text()
    assert "weight 0.25" in shown
    assert "0 excluded" in shown


def test_progress_is_told_in_plain_lines(manifest: Path, report: Path) -> None:
    console = Console(record=True, width=100, force_terminal=False)
    train(manifest, report, *TWO_EPOCHS, console=console)
    shown = console.export_text()
    for part in ("epoch 1: phase B", "epoch 2: phase A", "x real time", "WER"):
        assert part in shown


def test_rows_that_cannot_be_decoded_are_listed(tmp_path: Path) -> None:
    """The report knows the broken file, which its audit did not happen to sample."""
    manifest = write_corpus(tmp_path / "corpus")
    (tmp_path / "corpus" / "004.wav").write_bytes(b"RIFF")
    report = write_report(tmp_path / "audit", manifest)
    result = train(manifest, report, *TWO_EPOCHS)
    listed = content(result)["refused_while_reading"]
    assert [(row["id"], row["rule"]) for row in listed] == [("u004", "unreadable")]


def test_a_loss_that_is_no_number_stops_and_names_the_rows(manifest: Path, report: Path) -> None:
    with pytest.raises(Diverged) as error:
        train(manifest, report, "phases.0.groups.2.learning_rate=1e30", "optimizer.warmup=0")
    assert "epoch 1, step" in str(error.value)
    assert "utterances u0" in str(error.value)
    told = json.loads(Path("runs/round2-tiny/run.json").read_text())
    assert told["status"] == "failed"
    assert "not a finite number" in told["reason"]


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_half_done(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def named_parameters(self) -> list:
            return []

        def save_pretrained(self, folder: Path, **named) -> None:
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        write_checkpoint(Path("r/epoch-1"), Full(), Full())
    assert not list(Path("r").iterdir())


def test_an_interrupted_run_says_what_is_left(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(folder: Path, *rest) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "write_checkpoint", interrupt)
    with pytest.raises(run.Interrupted, match=r"step \d+ is kept.*--resume"):
        train(manifest, report)
    assert json.loads(Path("runs/round2-tiny/run.json").read_text())["status"] == "interrupted"


def test_it_trains_outside_the_main_thread_and_shows_a_bar_on_a_terminal(
    manifest: Path, report: Path
) -> None:
    console = Console(record=True, width=100, force_terminal=True)
    results: list[run.TrainResult] = []
    thread = threading.Thread(
        target=lambda: results.append(train(manifest, report, *TWO_EPOCHS, console=console))
    )
    thread.start()
    thread.join()
    assert results[0].final is not None
    assert "steps" in console.export_text()


def test_old_checkpoints_are_deleted(manifest: Path, report: Path) -> None:
    result = train(manifest, report, *THREE_EPOCHS, "checkpoints.keep=1", "checkpoints.best=0")
    assert sorted(path.name for path in result.out.iterdir()) == [
        "best",
        "epoch-3",
        "final",
        "heard.json",
        "log.jsonl",
        "recipe.yaml",
        "run.json",
        "tensorboard",
    ]
    heard = read_heard(result.out)
    assert heard is not None and len(heard.digests) == result.plan.training
    kept = train(manifest, report, *THREE_EPOCHS, "checkpoints.keep=1", "checkpoints.best=2")
    # The later first, as it is the better of equal ones.
    scores = {e["checkpoint"]: e["evaluation"]["wer"] for e in content(kept)["epochs"][::-1]}
    there = {path.name for path in kept.out.glob("epoch-*")}
    assert {"epoch-3", *sorted(scores, key=scores.__getitem__)[:2]} >= there
    assert (kept.out / "best").resolve().name == min(scores, key=scores.__getitem__)


def test_missing_weights_are_one_line(
    manifest: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read at import, so the environment comes too late.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for source in ("Qwen/Qwen3-ASR-1.7B-hf", str(tmp_path)):
        with pytest.raises(UserError, match="no usable Qwen3-ASR checkpoint") as error:
            run.run(
                "round2",
                data=[str(manifest)],
                report=str(report),
                overrides=[f"model.pretrained={source}"],
            )
        assert error.value.exit_code == 2
        assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_goes_on_as_pretrained(
    finished: run.TrainResult, manifest: Path, report: Path, tmp_path: Path
) -> None:
    again = train(
        manifest,
        report,
        *TWO_EPOCHS,
        "model.tiny=null",
        f"model.pretrained={finished.final}",
    )
    assert losses(again)[0] < losses(finished)[0]


def test_incomplete_weights_are_refused(
    finished: run.TrainResult, manifest: Path, report: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished.final, copy)
    kept = load_file(copy / "model.safetensors")
    del kept["model.multi_modal_projector.linear_1.weight"]
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 missing keys, first model\.multi_modal_projector"):
        train(manifest, report, "model.tiny=null", f"model.pretrained={copy}")


@pytest.mark.parametrize("out", [".", "/"])
def test_a_run_never_takes_a_folder_that_is_not_its_own(out: str, tmp_path: Path) -> None:
    if out == "/":
        with pytest.raises(UserError, match="a run needs a folder of its own"):
            claim_folder(Path(out))
    else:
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "mine").touch()
        os.chdir(tmp_path / "here")
        assert claim_folder(Path(out)) == tmp_path / "here-2"
