"""Attacks on reports, on measurements in progress, and on what the gate reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.gate import NoVerdict, find_latest, read_report, verify
from asr_gate.audit.policy import load_policy
from asr_gate.cli.project import load_project
from asr_gate.corpus.cache import VARIABLE, open_cache
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home, make_private, write_atomically
from asr_gate.corpus.strict import parse_json
from asr_gate.tracking import TrackerSettings, TrackingError
from asr_gate.train import recipes
from tests.audit.gate.test_binding import write_keys
from tests.audit.report.reports import report_of, write_report
from tests.e2e.asr import asr_here, one_line
from tests.e2e.conftest import write_small


@pytest.mark.slow
def test_measurements_that_a_repository_brings_are_never_resumed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measurements of right transcripts, committed beside the report of a corpus of wrong ones."""
    manifest = tmp_path / "m.jsonl"
    write_small(manifest, shift=0)
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "remove", lambda _: None)
        assert asr_here("audit", manifest, "--no-wandb", cwd=tmp_path).returncode == 0
    folder = tmp_path / "reports" / "phase0"
    right = Parts(folder).folder
    assert list(right.glob("part-*.json"))
    for name in ("shards", "parts"):
        shutil.copytree(right, folder / name)
    shutil.rmtree(right)
    write_small(manifest, shift=3)
    done = asr_here("audit", manifest, "--no-wandb", "--resume", cwd=tmp_path)
    assert done.returncode == 20, done.stderr
    assert (folder / "parts" / "plan.json").is_file(), "what is not ours stays"


@pytest.mark.parametrize("how", ["writable by all", "a link"])
def test_measurements_in_a_folder_that_others_can_write_are_refused(
    how: str, tmp_path: Path
) -> None:
    shards = Parts(tmp_path / "reports" / "phase0")
    if how == "a link":
        shards.folder.parent.mkdir(parents=True)
        (tmp_path / "theirs").mkdir(mode=0o700)
        shards.folder.symlink_to(tmp_path / "theirs")
    else:
        shards.folder.mkdir(parents=True)
        shards.folder.chmod(0o777)
    with pytest.raises(UserError, match="not a folder of this user alone"):
        shards.begin({"seed": 1}, resume=True)


@pytest.mark.parametrize("how", ["writable by all", "a link", "in CI"])
def test_a_cache_of_measurements_that_others_can_write_is_not_used(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, "1")
    found = open_cache()
    assert found is not None
    found.close()
    folder = cache_home() / "measurements"
    if how == "a link":
        folder.rename(tmp_path / "theirs")
        folder.symlink_to(tmp_path / "theirs")
    elif how == "in CI":
        monkeypatch.setenv("CI", "true")
    else:
        folder.chmod(0o777)
    assert open_cache() is None


def test_a_folder_of_another_user_is_not_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    make_private(folder)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        make_private(folder)


def test_a_link_in_place_of_the_temporary_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if somebody could guess its name."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    (tmp_path / f".report.json-{'0' * 16}.tmp").symlink_to(victim)
    with pytest.raises(OSError, match="File exists"):
        write_atomically(tmp_path / "report.json", b"theirs")
    assert victim.read_text() == "mine"
    monkeypatch.undo()
    (tmp_path / "report.json").symlink_to(victim)
    write_atomically(tmp_path / "report.json", b"theirs")
    assert victim.read_text() == "mine"


def test_a_forged_report_is_refused_where_a_key_is_asked_for(tmp_path: Path) -> None:
    """Digest and seal made anew: consistent, and by nobody."""
    _, public = write_keys(tmp_path)
    path = write_report(report_of(decision="PROCEED"), tmp_path / "reports" / "phase0")
    assert read_report(path).decision == "PROCEED"
    done = asr_here("gate", "reports/phase0", cwd=tmp_path)
    assert done.returncode == 0
    assert "PROCEED (unsigned)" in done.stdout
    done = asr_here("gate", "reports/phase0", "--verify-key", public, cwd=tmp_path)
    assert done.returncode == 30
    assert "not signed" in one_line(done)
    said = asr_here("gate", "reports/phase0", "--json", cwd=tmp_path).stdout
    assert json.loads(said)["signed"] is False


def test_a_report_of_the_year_9999_is_neither_the_newest_nor_one(tmp_path: Path) -> None:
    write_report(report_of(decision="STOP"), tmp_path / "reports" / "ours")
    future = report_of(decision="PROCEED", created_at="9999-01-01T00:00:00+00:00")
    path = write_report(future, tmp_path / "reports" / "theirs")
    assert find_latest(tmp_path / "reports").parent.name == "ours"
    with pytest.raises(NoVerdict, match="in the future"):
        verify(path, "theirs")


def test_in_ci_the_report_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(report_of(decision="PROCEED"), tmp_path / "reports" / "theirs")
    assert asr_here("gate", cwd=tmp_path).returncode == 0
    monkeypatch.setenv("CI", "true")
    done = asr_here("gate", cwd=tmp_path)
    assert done.returncode == 30
    assert "name the report" in one_line(done)
    assert asr_here("gate", "reports/theirs", cwd=tmp_path).returncode == 0


def test_a_signed_report_does_not_pass_for_ever(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    write_report(report_of(decision="PROCEED", created_at=old), tmp_path / "reports" / "old")
    done = asr_here("sign", "reports/old", "--key", private, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = asr_here("gate", "reports/old", "--verify-key", public, cwd=tmp_path)
    assert done.returncode == 30
    assert "more than 30 days ago" in one_line(done)


SPECIAL = ("a pipe", "an endless device", "too large", "nested arrays")


def make(kind: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "an endless device":
        path.symlink_to("/dev/zero")
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(20_000_000_000)  # sparse
    else:
        path.write_text("[" * 100_000)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_of_a_sensible_size_is_one_line(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As report, policy, key, `asr.toml`, recipe and tracker's settings."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "reports" / "phase0" / "alignment_report.json"
    make(kind, file)
    with pytest.raises(NoVerdict, match="not a report that can be read"):
        read_report(file)
    for name in ("policy.toml", "asr.toml", "recipe.yaml", "wandb.yaml", "key.pem"):
        make(kind, tmp_path / name)
    with pytest.raises(UserError):
        load_policy(tmp_path / "policy.toml")
    with pytest.raises(UserError, match=r"asr\.toml"):
        load_project()
    with pytest.raises(recipes.RecipeError):
        recipes.load("recipe.yaml")
    with pytest.raises(TrackingError):
        TrackerSettings.from_yaml("wandb.yaml")
    good = write_report(report_of(decision="PROCEED"), tmp_path / "good")
    with pytest.raises(UserError):
        verify(good, "good", verify_key=tmp_path / "key.pem")


def test_a_table_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = write_report(
        report_of(decision="PROCEED", tables={"rows.jsonl": "sha256:0"}), tmp_path / "a"
    )
    os.mkfifo(path / "rows.jsonl")
    with pytest.raises(NoVerdict, match="not a regular file"):
        verify(path, "a")


def test_a_key_that_stands_twice_has_no_meaning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'decision' stands twice"):
        parse_json('{"decision": "STOP", "decision": "PROCEED"}')
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav", "text": "x", "text": "y"}\n')
    done = asr_here("audit", manifest, "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2
    assert "m.jsonl:1" in one_line(done)


def test_aliases_in_yaml_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
    )
    (tmp_path / "recipe.yaml").write_text(bomb)
    with pytest.raises(recipes.RecipeError, match="aliases are not allowed"):
        recipes.load(str(tmp_path / "recipe.yaml"))
    with pytest.raises(TrackingError, match="aliases are not allowed"):
        TrackerSettings.from_yaml(tmp_path / "recipe.yaml")


def test_a_read_is_bounded_even_while_the_file_grows(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))\n"
        "from pathlib import Path\n"
        "from asr_gate.corpus.files import read_regular\n"
        "try: read_regular(Path(sys.argv[1]), 1_000_000)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5_000_000_000)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "big")], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "larger than 1 MB", done.stderr


def test_a_domain_is_no_command_for_the_runner(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from asr_gate.audit.report.terminal import print_report

    report = report_of(decision="STOP", reasons=["domain ::add-mask::x", "##[add-mask]y"])
    (statistics,) = list(report.domain_statistics.values())[:1]
    named = report.model_copy(update={"domain_statistics": {"::add-mask::z": statistics}})
    print_report(named, Console(width=100))
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.lstrip().startswith(("::", "##["))]
    assert "##[" not in "".join(lines)
    assert any("add-mask" in line for line in lines)
