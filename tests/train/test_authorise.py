"""Refusals: their order, their exit codes, and that they come before torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr_gate.audit.gate import CautionNotAccepted, NoVerdict, Stopped
from asr_gate.corpus.errors import UserError
from asr_gate.train.authorise import authorise_training
from tests.train.support import write_corpus, write_report


def test_a_verified_report_clears_its_corpus(manifest: Path, report: Path) -> None:
    for given in (report, report.parent):
        authorised = authorise_training(str(given), [manifest])
        assert authorised.excluded == {"u001", "u002"}
        assert len(authorised.corpus.utterances) == 12
    phase0 = authorised.phase0()
    assert phase0.decision == "PROCEED"
    assert phase0.mean_coverage == 0.93
    assert phase0.low_quality_percentage == pytest.approx(100 / 11)
    assert phase0.digest == authorised.report.digest
    assert phase0.dataset_fingerprint == authorised.report.dataset.fingerprint
    assert phase0.artifact == "phase0-audit-report:proceed"


def test_the_noted_artifact_is_the_reference(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest)
    reference = "wandb:me/asr/phase0-audit-report:proceed"
    (tmp_path / "wandb.json").write_text(json.dumps({"artifact": reference}), encoding="utf-8")
    assert authorise_training(str(report), [manifest]).artifact == reference


def test_the_latest_report_is_found(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoVerdict, match="asr audit"):
        authorise_training(None, [manifest])
    write_report(tmp_path / "reports" / "phase0", manifest)
    assert authorise_training(None, [manifest]).name == str(
        Path("reports/phase0/alignment_report.json")
    )


def test_a_newer_audit_of_something_else_is_not_taken(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = write_corpus(tmp_path / "other", rows=4)
    write_report(tmp_path / "reports" / "ours", manifest)
    write_report(tmp_path / "reports" / "newer", other)
    assert "reports/ours/" in authorise_training(None, [manifest]).name
    assert "reports/newer/" in authorise_training(None, [other]).name
    with pytest.raises(NoVerdict, match=f"name that one with --data {other}"):
        authorise_training("reports/newer", [manifest])


def test_a_missing_report_has_no_verdict(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(NoVerdict, match="asr audit") as error:
        authorise_training(str(tmp_path / "nowhere.json"), [manifest])
    assert error.value.exit_code == 30


def test_an_altered_report_has_no_verdict(manifest: Path, report: Path, tmp_path: Path) -> None:
    altered = tmp_path / "alignment_report.json"
    altered.write_text(report.read_text().replace("PROCEED", "CAUTION"), encoding="utf-8")
    with pytest.raises(NoVerdict, match="altered") as error:
        authorise_training(str(altered), [manifest], accept_caution=True)
    assert error.value.exit_code == 30


def test_stop_comes_before_the_data_is_looked_at(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest, "STOP")
    with pytest.raises(Stopped) as error:
        authorise_training(str(report), [tmp_path / "missing.jsonl"], accept_caution=True)
    assert error.value.exit_code == 20
    assert str(report) in str(error.value)
    assert "low quality" in str(error.value)


def test_stop_for_other_data_is_no_stop(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "reports" / "phase0", manifest, "STOP")
    other = write_corpus(tmp_path / "other", rows=3, seed=5)
    with pytest.raises(NoVerdict, match="made for other data"):
        authorise_training(None, [other])
    with pytest.raises(UserError, match="no such manifest") as error:
        authorise_training(None, [tmp_path / "nope.jsonl"])
    assert error.value.exit_code == 2
    with pytest.raises(Stopped, match="does not apply"):
        authorise_training(None, [manifest], accept_caution=True)


def test_an_audit_that_could_not_tell_lets_nothing_start(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest, "NO_VERDICT")
    with pytest.raises(NoVerdict, match="no verdict") as error:
        authorise_training(str(report), [manifest], accept_caution=True)
    assert error.value.exit_code == 30
    assert str(report) in str(error.value)


def test_caution_passes_only_where_it_is_accepted(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest, "CAUTION")
    with pytest.raises(CautionNotAccepted) as error:
        authorise_training(str(report), [manifest])
    assert error.value.exit_code == 10
    assert (
        authorise_training(str(report), [manifest], accept_caution=True).report.decision
        == "CAUTION"
    )


def test_a_report_about_other_data_is_refused(report: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "other", seed=5)
    with pytest.raises(NoVerdict, match="other data") as error:
        authorise_training(str(report), [other])
    assert error.value.exit_code == 30


def test_one_changed_transcript_is_other_data(manifest: Path, report: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(manifest.parent, copy)
    changed = copy / manifest.name
    authorise_training(str(report), [changed])
    changed.write_text(changed.read_text().replace("Red", "Rid", 1), encoding="utf-8")
    with pytest.raises(NoVerdict, match="other data"):
        authorise_training(str(report), [changed])


@pytest.mark.parametrize("reference", ["wandb:name", "wandb:a/b/c", "wandb:a/b:c", "wandb:"])
def test_a_malformed_reference_is_explained(manifest: Path, reference: str) -> None:
    with pytest.raises(UserError, match="wandb:ENTITY/PROJECT/NAME:ALIAS") as error:
        authorise_training(reference, [manifest])
    assert error.value.exit_code == 2


def test_a_report_on_wandb_needs_a_login(manifest: Path) -> None:
    pytest.importorskip("wandb")
    with pytest.raises(UserError, match="wandb login") as error:
        authorise_training("wandb:me/asr/phase0-audit-report:proceed", [manifest])
    assert error.value.exit_code == 2


REFUSAL = """
import sys, time
from asr_gate.train.run import run
try:
    run({recipe!r}, data=[{manifest!r}], report={report!r})
except Exception as error:
    print(type(error).__name__, error.exit_code, "torch" in sys.modules,
          "transformers" in sys.modules, time.process_time())
"""


@pytest.mark.parametrize("recipe", ["round2", "round2-tiny"])
def test_stop_needs_neither_torch_nor_time(manifest: Path, tmp_path: Path, recipe: str) -> None:
    report = write_report(tmp_path, manifest, "STOP")
    code = REFUSAL.format(recipe=recipe, manifest=str(manifest), report=str(report))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    name, exit_code, torch, transformers, seconds = done.stdout.split()
    assert (name, exit_code, torch, transformers) == ("Stopped", "20", "False", "False")
    assert float(seconds) < 2
