"""What `asr eval compare --wandb` logs, read back as W&B would sync it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.e2e.asr import asr_here
from tests.tracking.offline import read_run
from tests.train.results import lines, spoiled, write


def test_a_comparison_has_its_outcome_rates_charts_and_table(
    wandb_environment: None, tmp_path: Path
) -> None:
    rows = lines(40)
    for name, share in (("a", 0.2), ("b", 0.6), ("c", 0.1)):
        write(tmp_path / f"{name}.json", spoiled(rows, share), f"runs/{name}")
    done = asr_here(
        "eval", "compare", "a.json", "b.json", "c.json", "--csv", "all.csv", "--wandb",
        "wandb.mode=offline", "--wandb-run-name", "rounds", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 20, done.stderr
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    run = read_run(folder)
    assert (run.name, run.job_type) == ("rounds", "comparison")
    assert run.config["checkpoints"] == {"A": "runs/a", "B": "runs/b", "C": "runs/c"}
    metrics = run.metrics
    assert (metrics["compare/outcome_B"], metrics["compare/passed_B"]) == ("fail", 0)
    assert (metrics["compare/outcome_C"], metrics["compare/passed_C"]) == ("pass", 1)
    change = metrics["compare/kan_clean/wer_B"] - metrics["compare/kan_clean/wer_A"]
    assert metrics["compare/kan_clean/change_B"] == pytest.approx(change)
    assert metrics["compare/overall/low_B"] > 0
    columns, bars = run.table("compare/wer_table")
    assert columns == ["label", "WER"]
    assert len(bars) == 3 * 3
    assert [label for label, _ in bars[:3]] == ["overall A", "overall B", "overall C"]
    columns, utterances = run.table("compare/utterances")
    with (tmp_path / "all.csv").open() as file:
        written = list(csv.reader(file))
    assert written[0] == columns
    assert [row[0] for row in written[1:]] == [row[0] for row in utterances]
    columns, points = run.table("compare/change_B_table")
    assert columns == ["WER A", "change"]
    assert len(points) == 40


def test_nothing_is_logged_without_being_asked(wandb_environment: None, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.json", [row | {"hypothesis": ""} for row in lines(10)])
    done = asr_here("eval", "compare", "a.json", "b.json", cwd=tmp_path)
    assert done.returncode == 30, done.stderr
    assert "no decision" in done.stdout
    assert not (tmp_path / "wandb").exists()
