"""docs/tracking.md names every setting, metric and artifact, and its example runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from asr_gate.tracking import TrackerSettings
from tests.board import scalars
from tests.e2e.conftest import Tracked
from tests.speech import ROOT

PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    """The text between two markers of the page."""
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def rows(name: str) -> list[list[str]]:
    """The cells of its tables, without their headers."""
    lines = [line for line in part(name).splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells for cells in found if cells[0] not in ("name", "key")]


def test_the_page_has_every_setting_with_its_default() -> None:
    named = {cells[0].strip("`"): json.loads(cells[1].strip("`")) for cells in rows("settings")}

    def flat(settings: BaseModel, lead: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            inner = isinstance(value, BaseModel)
            found |= flat(value, f"{name}.") if inner else {lead + name: value}
        return found

    ours = json.loads(json.dumps(flat(TrackerSettings())))
    assert list(named.items()) == list(ours.items())


def test_the_page_has_every_metric_that_is_logged(tracked: Tracked) -> None:
    named: dict[str, bool] = {}
    for cells in rows("metrics"):
        for name in re.findall(r"`([^`]+)`", cells[0]):
            named[name] = "(GPU)" in cells[1]
    patterns = {name: re.compile(re.sub(r"<\w+>", "[^/]+", re.escape(name))) for name in named}
    logged = {
        name
        for run in (tracked.audit, tracked.train, tracked.eval)
        for name in run.metrics
        if not name.startswith("_")  # the client's own
    }
    for board in tracked.folder.rglob("*tensorboard"):
        logged |= scalars(board).keys()
    missing = {name for name in logged if not any(p.fullmatch(name) for p in patterns.values())}
    assert not missing, "logged, but not in the page"
    extra = {
        name
        for name, gpu in named.items()
        # The corpus of this run has no splits: tests/train/test_splits.py sees these.
        if not gpu
        and not name.startswith("test/")
        and not any(patterns[name].fullmatch(one) for one in logged)
    }
    assert not extra, "in the page, but not logged"


def test_artifacts_of_the_page_are_those_of_the_runs(tracked: Tracked) -> None:
    for name, kind, metadata in re.findall(
        r"^\| `([\w-]+)` \| `(\w+)` \| .* \| ([^|]*) \|$", PAGE, re.MULTILINE
    ):
        full = name.replace("RECIPE", "round2-tiny")
        items = [
            item
            for run in (tracked.audit, tracked.train, tracked.eval)
            for item in run.artifacts
            if item.name == full
        ]
        assert items, name
        for item in items:
            assert item.type == kind
            assert set(re.findall(r"`(\w+)`", metadata)) == set(item.metadata), name


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "asr sync" in done.stderr
    assert scalars(tmp_path / "tensorboard")["train/loss"][-1][0] == 3
