"""What a run says of the repository that it was started in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from asr_gate.tracking.git import DIFF_LIMIT, git_state, uncommitted_changes
from tests.tracking.isolation import in_a_subprocess
from tests.tracking.offline import _records


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, on the branch `speech`."""
    (tmp_path / "mine.py").write_text("rate = 1\n")
    git(tmp_path, "init", "-q", "-b", "speech")
    git(tmp_path, "add", "mine.py")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_commit_branch_and_remote(repository: Path) -> None:
    state = git_state(repository)
    assert len(str(state.pop("commit"))) == 40
    assert state == {"dirty": False, "branch": "speech"}
    git(repository, "remote", "add", "origin", "https://github.com/us/asr.git")
    (repository / "mine.py").write_text("rate = 2\n")
    state = git_state(repository)
    assert (state["dirty"], state["remote"]) == (True, "https://github.com/us/asr.git")
    git(repository, "checkout", "-q", "--detach")
    assert "branch" not in git_state(repository)


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://me:s3cr3t@host.example/r.git", "https://host.example/r.git"),
        ("https://s3cr3t:x-oauth-basic@host.example/r.git", "https://host.example/r.git"),
        ("https://me:s3cr3t@/s3cr3t@host.example/r.git", "https://host.example/r.git"),
        ("https://host.example/r.git?token=s3cr3t", "https://host.example/r.git"),
        ("ssh://git@host.example:22/r.git", "ssh://host.example:22/r.git"),
        ("git@host.example:us/r.git", "git@host.example:us/r.git"),
        ("/home/somebody/s3cr3t", None),
        ("file:///home/somebody/s3cr3t", None),
    ],
)
def test_a_remote_has_no_login_and_no_path(
    remote: str, shown: str | None, repository: Path
) -> None:
    git(repository, "remote", "add", "origin", remote)
    assert git_state(repository).get("remote") == shown


def test_uncommitted_changes_are_bounded_and_hold_no_secret(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert uncommitted_changes(repository) == ""
    monkeypatch.setenv("SOME_API_KEY", "e1e1e1e1e1")
    (repository / "untracked").write_text("never shown")
    lines = [
        "rate = 2", "api_key = 'a1a1 a1a1'", 'HF_TOKEN: "b2b2"', "x = 'e1e1e1e1e1'",
        '{"db_password": "c3c3"}', "secret: str = 'f6f6'", "url = 'https://me:d4d4@host'",
    ]  # fmt: skip
    (repository / "mine.py").write_text("\n".join(lines) + "\n")
    changes = uncommitted_changes(repository)
    assert "+rate = 2" in changes
    for secret in ("a1a1", "b2b2", "c3c3", "d4d4", "e1e1", "f6f6", "never shown"):
        assert secret not in changes, changes
    (repository / "mine.py").write_text("y = 1\n" * (DIFF_LIMIT // 4))
    assert DIFF_LIMIT < len(uncommitted_changes(repository)) < DIFF_LIMIT + 100


def test_nothing_is_told_where_that_is_switched_off(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "mine.py").write_text("rate = 2\n")
    monkeypatch.setenv("WANDB_DISABLE_GIT", "true")
    assert git_state(repository) == {}
    assert uncommitted_changes(repository) == ""
    monkeypatch.setenv("WANDB_DISABLE_GIT", "false")
    assert git_state(repository)
    assert uncommitted_changes(repository)


SCRIPT = """
import os
from asr_gate.tracking import Tracker
for variable in ("WANDB_DISABLE_GIT", "WANDB_DISABLE_CODE", "WANDB_SILENT"):
    os.environ[variable] = "true"
    with Tracker(enabled=True, mode="offline", save_code=True) as tracker:
        tracker.init()
    del os.environ[variable]
    print(tracker.run_path)
"""


def test_what_the_client_keeps_of_it(repository: Path) -> None:
    """In the records of the run, and in its files."""
    git(repository, "remote", "add", "origin", "https://s3cr3t:x@host.example/r.git")
    (repository / "mine.py").write_text(SCRIPT + "password = 's3cr3t'\n")
    done = in_a_subprocess(repository, "mine.py")
    assert done.returncode == 0, done.stderr
    commit = str(git_state(repository)["commit"]).encode()
    kept = []
    for line in done.stdout.split():
        (path,) = Path(line).glob("*.wandb")
        records = b"".join(_records(path.read_bytes()))
        assert b"s3cr3t" not in records
        diff = Path(line, "files", "diff.patch")
        assert not diff.is_file() or "s3cr3t" not in diff.read_text()
        assert (commit in records) is (b"https://host.example/r.git" in records)
        code = Path(line, "files", "code", "mine.py")
        kept.append((commit in records, diff.is_file(), code.is_file()))
    assert kept == [(False, False, True), (True, False, False), (True, True, True)]
