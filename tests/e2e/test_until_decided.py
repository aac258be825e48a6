"""`asr audit --until-decided`, killed and resumed, and what signs and checks its report."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_gate.audit.engine.parts import Parts
from tests.e2e.asr import ASR, asr, asr_here, one_line, report_in, start
from tests.speech import PROCEED, STOP


def grown(manifest: Path, folder: Path, times: int) -> Path:
    """A corpus so many times as large: each recording anew, a little quieter each time."""
    rows = []
    for row in map(json.loads, manifest.read_text().splitlines()):
        audio = manifest.parent / row["audio_filepath"]
        if not audio.is_file() or row.get("duration", 99) > 20:
            continue
        try:
            samples, rate = soundfile.read(audio, dtype="float32")
        except soundfile.SoundFileError:
            continue
        for copy in range(times):
            name = f"{audio.stem}-{copy}.flac"
            soundfile.write(folder / name, np.float32(0.97**copy) * samples, rate)
            rows.append(row | {"id": f"{row['id']}-{copy}", "audio_filepath": name})
    target = folder / "corpus.jsonl"
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return target


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(STOP, tmp_path_factory.mktemp("large"), 2)


def test_a_bad_corpus_is_stopped_early_and_a_killed_audit_goes_on(
    large: Path, tmp_path: Path
) -> None:
    run = ["audit", large, "--until-decided", "--all", "--no-wandb", "--batch-seconds", "20"]
    whole = asr_here(*run, "--name", "whole", cwd=tmp_path)
    assert whole.returncode == 20, whole.stderr
    report = report_in(tmp_path / "reports" / "whole")
    sequential = report["sampling"]["sequential"]
    assert sequential["settled"] == report["decision"] == "STOP"
    assert report["total_samples"] < sequential["budget"] == report["dataset"]["utterances"]
    assert report["estimate"]["low"] >= 0.1
    assert "confidence sequence" in report["estimate"]["method"]
    assert any(reason.startswith("stopped after") for reason in report["reasons"])
    process = start(*run, "--name", "killed", cwd=tmp_path)
    parts = Parts(tmp_path / "reports" / "killed").folder
    try:
        while process.poll() is None and not list(parts.glob("part-*.json")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait(60)
    assert list(parts.glob("part-*.json")), "it was killed in the middle"
    resumed = asr_here(*run, "--name", "killed", "--resume", cwd=tmp_path)
    assert resumed.returncode == 20, resumed.stderr
    assert report_in(tmp_path / "reports" / "killed")["digest"] == report["digest"]


@pytest.mark.usefixtures("measured")
def test_near_a_threshold_the_budget_ends_it(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text("[decision]\nstop_above = 6\nproceed_below = 3\n")
    run = ["audit", PROCEED, "--until-decided", "--fraction", "0.9", "--no-wandb"]
    done = asr_here(*run, "--policy", policy, cwd=tmp_path)
    report = report_in(tmp_path / "reports" / "phase0")
    sequential = report["sampling"]["sequential"]
    assert report["total_samples"] == sequential["budget"] < report["dataset"]["utterances"]
    assert sequential["settled"] is None
    assert any(reason.startswith("not settled at 95%") for reason in report["reasons"])
    assert done.returncode == 0
    assert report["decision"] == "CAUTION"
    corrected = tmp_path / "c.toml"
    corrected.write_text("[decision]\ncorrect_for_controls = true\n")
    refused = asr_here(*run, "--policy", corrected, "--name", "c", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--until-decided" in one_line(refused)


@pytest.mark.usefixtures("measured")
def test_signed_and_checked_from_the_command_line(small: Path, tmp_path: Path) -> None:
    audited = asr_here("audit", small, "--all", "--name", "proceed", "--no-wandb", cwd=tmp_path)
    assert audited.returncode == 0, audited.stderr
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"],
        ["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    gate = ["gate", "reports/proceed", "--data", small, "--verify-key", "key.pub"]
    unsigned = asr_here(*gate, cwd=tmp_path)
    assert unsigned.returncode == 30
    assert "not signed" in one_line(unsigned)
    signed = asr_here("sign", "--key", "key.pem", cwd=tmp_path)
    assert signed.returncode == 0, signed.stderr
    assert asr_here(*gate, cwd=tmp_path).returncode == 0
    train = ["train", "round2-tiny", "--report", "reports/proceed", "--data", small, "--dry-run"]
    assert asr_here(*train, "--verify-key", "key.pub", cwd=tmp_path).returncode == 0
    envelope = tmp_path / "reports" / "proceed" / "alignment_report.intoto.jsonl"
    envelope.write_text(envelope.read_text().replace('"sig": "', '"sig": "AA'))
    refused = asr_here(*train, "--verify-key", "key.pub", cwd=tmp_path)
    assert refused.returncode == 30
    assert "not a signature by" in one_line(refused)


def test_policies_are_shown_and_checked(tmp_path: Path) -> None:
    default = asr_here("policy", "show", cwd=tmp_path)
    assert default.returncode == 0
    (tmp_path / "p.toml").write_text(default.stdout)
    same = asr_here("policy", "check", "p.toml", cwd=tmp_path)
    assert "with 0 values other than the default's" in same.stdout
    (tmp_path / "p.toml").write_text("[decision]\nstop_above = 12\n")
    assert (
        "decision.stop_above: 15.0 -> 12.0"
        in asr_here("policy", "check", "p.toml", cwd=tmp_path).stdout
    )
    shown = asr_here("policy", "show", "p.toml", cwd=tmp_path).stdout
    assert "stop_above = 12.0  # p.toml" in shown
    assert "proceed_below = 10.0  # default" in shown
    (tmp_path / "again.toml").write_text(shown)
    assert asr_here("policy", "check", "again.toml", cwd=tmp_path).returncode == 0, (
        "it is TOML itself"
    )
    (tmp_path / "p.toml").write_text("[decision]\nstop_abov = 12\n")
    wrong = asr_here("policy", "check", "p.toml", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "decision.stop_abov" in one_line(wrong)


@pytest.mark.usefixtures("measured")
def test_nobody_listening_changes_no_exit_code(small: Path, tmp_path: Path) -> None:
    (tmp_path / "asr.toml").write_text(
        f'[corpus]\nmanifests = ["{small.name}"]\n[audit]\naligner = "embedded"\n'
        '[[corpus.rules]]\naudio = "audio/*"\ndomain = "ruled"\nsplit = "train"\n'
    )
    audited = asr_here("audit", "--all", "--controls", 0, "--no-wandb", cwd=tmp_path)
    assert audited.returncode == 0, audited.stderr
    assert "WARNING" not in audited.stderr
    report = report_in(tmp_path / "reports" / "phase0")
    assert list(report["domain_statistics"]) == ["ruled"]
    accepted = "--accept-caution"
    for command in (
        ("gate", "--data", small, accepted), ("train", "round2-tiny", "--dry-run", accepted)
    ):  # fmt: skip
        done = asr_here(*command, cwd=tmp_path)
        assert done.returncode == 0, "asr.toml gives its rules to every command: " + done.stderr
    assert report["policy"]["controls"]["per_kind"] == 0, "what was done, and not what might be"
    assert report["decision"] == "CAUTION", "what was not found may be anything"
    assert any(reason.startswith("no controls were planted") for reason in report["reasons"])
    listed = tmp_path / "reports" / "phase0" / "clean.jsonl"
    again = asr_here(
        "audit", listed, "--all", "--controls", 0, "--no-wandb", "--name", "again",
        "--audio-root", tmp_path, cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0, "its paths lead to the audio from anywhere"
    for command, code in (
        ("gate reports/phase0 --json --accept-caution >&-", 0),
        ("gate nowhere 2>/dev/full", 30),
        ("policy show | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", 0),
        ("rules >&-", 0),
        ("explain A001 >/dev/full", 0),
        ("gate reports/phase0 --sarif reports/phase0/rows.jsonl", 2),
        ("gate reports/phase0 --policy <(asr policy show)", 30),
    ):
        done = subprocess.run(
            ["bash", "-c", f"asr() {{ {ASR[0]} \"$@\"; }}; asr {command}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, (command, done.stderr)
        assert "Traceback" not in done.stderr
    gate = asr("gate", "reports/phase0", "--accept-caution", cwd=tmp_path)
    assert gate.returncode == 0, "nothing was written over"
