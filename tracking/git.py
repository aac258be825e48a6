"""The repository that a run is started in: its state and its uncommitted changes."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from asr_gate.tracking.environment import git_is_private
from asr_gate.tracking.redact import redact_lines

DIFF_LIMIT = 2**20
"""Bytes of uncommitted changes that are kept."""

_SECONDS = 5


def git_state(folder: Path | None = None) -> dict[str, object]:
    """`commit`, `dirty`, `branch` and `remote` of a folder's repository (default: the current one).

    `branch` is missing if none is checked out, `remote` if `origin` is not on another machine; its
    address has no login in it. All are missing if there is no repository or no git, or if
    `WANDB_DISABLE_GIT` is set.
    """
    if git_is_private(os.environ):
        return {}
    commit, status = git_commit(folder), _git(folder, "status", "--porcelain", "-uno")
    if commit is None or status is None:
        return {}
    state: dict[str, object] = {"commit": commit, "dirty": bool(status)}
    if branch := _git(folder, "symbolic-ref", "--short", "-q", "HEAD"):
        state["branch"] = branch
    if remote := _address(_git(folder, "config", "--get", "remote.origin.url") or ""):
        state["remote"] = remote
    return state


def git_commit(folder: Path | None = None) -> str | None:
    """Commit of a folder's repository (default: the current folder); None: there is none."""
    return _git(folder, "rev-parse", "HEAD")


def uncommitted_changes(folder: Path | None = None) -> str:
    """Changes of a folder's tracked files since the commit, without what looks like a secret.

    At most DIFF_LIMIT bytes. Empty as in `git_state`, or if nothing was changed.
    """
    if git_is_private(os.environ):
        return ""
    # Neither of the two: a program that a repository names would be run.
    command = ["git", "diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD"]
    with tempfile.TemporaryFile() as file:
        try:
            subprocess.run(
                command,
                cwd=folder,
                stdout=file,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        file.seek(0)
        content = file.read(DIFF_LIMIT + 1)
    text = redact_lines(content[:DIFF_LIMIT].decode(errors="replace"))
    return text + "\n[the rest is left out]\n" if len(content) > DIFF_LIMIT else text


def _address(remote: str) -> str:
    """The address of a remote without user, password and query; empty: a path of this machine."""
    if re.match(r"(https?|ssh|git)://", remote):
        # Greedy: a password may hold an @ or a slash.
        return re.sub(r"(?<=://).*@", "", remote).partition("?")[0]
    return remote if re.match(r"[\w.-]+@[\w.-]+:", remote) else ""


def _git(folder: Path | None, *arguments: str) -> str | None:
    """The output of a git command; None if there is no repository or no git."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
