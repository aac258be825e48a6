"""What docs/tracking.md says is what is logged, and what is tested."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from asr_gate.tracking import TrackerSettings
from tests.board import scalars
from tests.e2e.conftest import Tracked
from tests.speech import ROOT

PAGE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    """What stands between two markers of the page."""
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def rows(name: str) -> list[list[str]]:
    """The cells of its tables, without their heads."""
    lines = [line for line in part(name).splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells for cells in found if cells[0] not in ("name", "item", "key", "line")]


def test_every_item_has_a_test_that_is_there() -> None:
    proofs = rows("proofs")
    assert len(proofs) > 30
    for item, tests in proofs:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert named, item
        for file, test in named:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {test}\(", source, re.MULTILINE), f"{item}: {file}::{test}"


def test_every_setting_stands_in_the_page_with_its_default() -> None:
    told = {cells[0].strip("`"): json.loads(cells[1].strip("`")) for cells in rows("settings")}

    def flat(settings: BaseModel, lead: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            inner = isinstance(value, BaseModel)
            found |= flat(value, f"{name}.") if inner else {lead + name: value}
        return found

    ours = json.loads(json.dumps(flat(TrackerSettings())))
    assert list(told.items()) == list(ours.items())


@pytest.mark.slow
def test_what_is_logged_and_the_page_are_the_same(tracked: Tracked) -> None:
    told: dict[str, bool] = {}
    for cells in rows("metrics"):
        for name in re.findall(r"`([^`]+)`", cells[0]):
            told[name] = "(GPU)" in cells[1]
    patterns = {name: re.compile(re.sub(r"<\w+>", "[^/]+", re.escape(name))) for name in told}
    logged = {
        name
        for run in (tracked.audit, tracked.train, tracked.eval)
        for name in run.metrics
        if not name.startswith("_")  # the client's own
    }
    for board in tracked.folder.rglob("*tensorboard"):
        logged |= scalars(board).keys()
    unsaid = {name for name in logged if not any(p.fullmatch(name) for p in patterns.values())}
    assert not unsaid, "logged, but not in the page"
    unseen = {
        name
        for name, gpu in told.items()
        if not gpu and not any(patterns[name].fullmatch(one) for one in logged)
    }
    assert not unseen, "in the page, but not logged"


def test_modules_that_the_page_names_are_there() -> None:
    for cells in rows("metrics"):
        for module in re.findall(r"`([\w.]+)`", cells[2]):
            path = ROOT / Path(*module.split("."))
            assert path.is_dir() or path.with_suffix(".py").is_file(), module


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


def test_the_lines_that_the_page_explains_are_said() -> None:
    """As the code has them, its texts that go on over several lines joined."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tracking").glob("*.py"))
    said = re.sub(r'"\n\s*f?"', "", code)
    lines = [cells[0].strip("`") for cells in rows("lines")]
    assert len(lines) > 8
    for line in lines:
        for words in re.split(r"…|\bN\b|: ", line.removeprefix("W&B is offline because ")):
            assert words.strip(" :.") in said, line


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "asr sync" in done.stderr
    assert scalars(tmp_path / "board")["train/loss"][-1][0] == 3
