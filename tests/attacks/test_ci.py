"""A hostile repository goes through the documented workflow."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.dependencies import read_lock
from tests.attacks.test_audio import bomb
from tests.audit.gate.test_binding import write_keys
from tests.audit.report.reports import report_of, write_report
from tests.e2e.asr import asr_here, one_line
from tests.e2e.test_ci import Runner, action, lay_traps, page, runner  # noqa: F401  (fixtures)
from tests.speech import ROOT

WORKFLOW = ".github/workflows/train.yml"


def poison(workspace: Path) -> Path:
    """Fill a checkout with all that a stranger may commit; returns what its code would write."""
    pwned = lay_traps(workspace)
    (workspace / "asr.toml").write_text('[corpus]\nmanifests = ["/etc/passwd"]\naudio_root = "/"\n')
    (workspace / "wandb").mkdir()
    (workspace / "wandb" / "settings").write_text("[default]\nbase_url = http://127.0.0.1:9\n")
    future = report_of(decision="PROCEED", created_at="9999-01-01T00:00:00+00:00")
    write_report(future, workspace / "reports" / "zzz")
    phase0 = write_report(report_of(decision="PROCEED"), workspace / "reports" / "phase0")
    for name in ("shards", "parts"):
        (phase0 / name).mkdir()
        (phase0 / name / "shard-00000.json").write_text("[]")
    os.mkfifo(workspace / "reports" / "pipe")
    bomb(workspace / "corpus" / "bomb.flac")
    private, public = write_keys(workspace)  # their own
    done = asr_here("sign", phase0, "--key", private, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert public.is_file()
    (workspace / "policy.toml").write_text("[decision]\nproceed_below = 100\nstop_above = 100\n")
    return pwned


def test_settings_of_a_repository_choose_no_aligner_and_no_policy_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x"}\n')
    (tmp_path / "asr.toml").write_text(
        '[corpus]\nmanifests = ["m.jsonl"]\n[audit]\naligner = "nemo:m"\npolicy = "p.toml"\n'
    )
    monkeypatch.setenv("CI", "true")
    for arguments, says in (([], "--aligner"), (["--aligner", "mms"], "--policy")):
        done = asr_here("audit", "--no-wandb", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert says in one_line(done)


@pytest.mark.slow
def test_a_hostile_repository_gets_no_proceed(
    runner: Runner,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    _, public = write_keys(ours)
    monkeypatch.setattr("tests.e2e.test_ci.VARIABLES", {"ASR_GATE_PUBLIC_KEY": public.read_text()})
    pwned = poison(runner.workspace)
    assert runner.workflow(page(WORKFLOW)) == {"gate": False, "train": None}
    gate = runner.step("asr gate")
    assert gate.code == 30, gate.err + gate.out
    assert gate.outputs["decision"] == "NO_VERDICT"
    assert "not a signature by" in gate.out
    assert not pwned.exists(), "code of the repository was run"
    assert not (runner.workspace / "trained").exists()

    # Nor without a key.
    monkeypatch.setattr("tests.e2e.test_ci.VARIABLES", {})
    for inputs, says in (
        ({"report": "reports/zzz"}, "in the future"),
        ({"report": "reports/pipe"}, "not a regular file"),
        ({"report": "reports"}, "no such report"),
        (
            {"report": "reports/phase0", "policy": "policy.toml", "policy-sha256": "0" * 64},
            "another one than policy-sha256",
        ),
    ):
        runner.steps.clear()
        assert not runner.job([{"uses": "./tools/asr-gate", "with": inputs}], {})
        gate = runner.step("asr gate")
        assert gate.code == 30
        assert gate.outputs["decision"] == "NO_VERDICT"
        assert says in gate.out
    assert not pwned.exists()


def test_actions_of_others_are_pinned_by_commit() -> None:
    import re

    from tests.e2e.test_ci import ACTION, PAGE

    used = re.findall(r"uses: (\S+)", PAGE)
    used += [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    others = [name for name in used if not name.startswith(("./", "OWNER/", "`"))]
    assert len(others) >= 5
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in others), others


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.gate.lock"])
def test_the_locks_have_a_digest_for_each_package(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    packages = read_lock(text)
    assert len(packages) > 10
    assert all(digests for versions in packages.values() for digests in versions.values())
    assert "://" not in text, "versions, no addresses"


def test_another_file_than_the_lock_names_is_not_installed(tmp_path: Path) -> None:
    """The Makefile installs by constraints, whose digests have to hold there."""
    about = "Metadata-Version: 2.1\nName: swapped\nVersion: 1.0\n"
    wheel = tmp_path / "swapped-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("swapped-1.0.dist-info/METADATA", about)
        file.writestr("swapped-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr("swapped-1.0.dist-info/RECORD", "")
    lock = tmp_path / "lock"
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--no-index", "--offline"]
    uv += ["--find-links", str(tmp_path), "--target", str(tmp_path / "target"), "--no-cache"]
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for digest, code in (("0" * 64, 1), (right, 0)):
        lock.write_text(f"swapped==1.0 \\\n    --hash=sha256:{digest}\n")
        done = subprocess.run([*uv, "--constraint", str(lock), "swapped"], capture_output=True)
        assert done.returncode == code, done.stderr
