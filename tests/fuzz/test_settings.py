"""Damaged policies, recipes, `asr.toml` and records of runs."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.audit.policy import DEFAULT_FILE, load_policy, origins
from asr_gate.cli.project import FILE as PROJECT_FILE
from asr_gate.cli.project import load_project
from asr_gate.tracking.sync_state import FILE as STATE_FILE
from asr_gate.tracking.sync_state import SyncState, read_sync_state
from asr_gate.train.evaluation.result_file import (
    RESULT_FILE,
    FiniteRates,
    Result,
    read_result,
    write_predictions,
    write_result,
)
from asr_gate.train.recipes import files as recipes
from asr_gate.train.record import RUN_FILE, read_record, write_record
from tests.fuzz.harness import Reader, fuzz
from tests.train.test_record import full


def read_policy(folder: Path) -> None:
    path = folder / "policy.toml"
    origins(load_policy(path), path)


def read_recipe(folder: Path) -> None:
    recipes.load(str(folder / "recipe.yaml"))


def read_project(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)
    try:
        load_project()
    finally:
        os.chdir(here)


def read_state(folder: Path) -> None:
    _ = read_sync_state(folder).is_pending


def read_results(folder: Path) -> None:
    read_result(folder / RESULT_FILE)


def read_run(folder: Path) -> None:
    read_record(folder)


PROJECT = b"""[corpus]
manifests = ["train.jsonl", "b.csv"]
split = "dev"
[[corpus.rules]]
audio = "a/*"
domain = "a"
"""
RECIPE = (recipes.RECIPES / "round2.yaml").read_bytes()
STATE = SyncState("r", "e", "p", 1, 1.0, uses=[{"reference": "a", "digest": "b"}]).__dict__
RATES = dict.fromkeys(FiniteRates.model_fields, 1)


def results() -> dict[str, bytes]:
    """A result of one row and its transcripts, whose digest it names."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / RESULT_FILE
        write_result(
            path,
            Result(
                checkpoint="c", manifests=["m.jsonl"], split=None,
                overall=FiniteRates.model_validate(RATES), domains={}, unfinished=0,
                not_evaluated=[], audio=1.0, wall=1.0, device="cpu", arithmetic="float32",
                batch_seconds=60, max_new_tokens=448,
                predictions=write_predictions(path, []), tool="0",
                created_at="2026-01-01T00:00:00+00:00",
            ),
        )  # fmt: skip
        return {file.name: file.read_bytes() for file in Path(name).iterdir()}


def record() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        write_record(Path(name), full())
        return (Path(name) / RUN_FILE).read_bytes()


READERS = {
    "policy": Reader("policy", {"policy.toml": DEFAULT_FILE.read_bytes()}, read_policy, 350),
    "recipe": Reader("recipe", {"recipe.yaml": RECIPE}, read_recipe, 150),
    "project": Reader("project", {str(PROJECT_FILE): PROJECT}, read_project, 250),
    "state": Reader(
        "state",
        {STATE_FILE: json.dumps(STATE).encode()},
        read_state,
        200,
    ),
    "result": Reader("result", results(), read_results, 200),
    "record": Reader(
        "record", {RUN_FILE: record()}, lambda folder: read_record(folder) and None, 200
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_settings_are_one_line(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends = fuzz(READERS[name], tmp_path)
    record_property(f"fuzzed {name}", dict(ends))
    assert ends.total() - ends["read"] > 10
