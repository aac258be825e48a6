"""A sweep of real trainings, by the command: the demo, made smaller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.rounds.sweep import demo
from asr_gate.train import recipes
from tests.train.support import write_report

SWEEP = """\
program: recipe.yaml
command: [asr, train, "${program}", --data, corpus/rows.jsonl, "${args}"]
method: random
run_cap: 1
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.1, max: 3.0}
"""


def test_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its audit is done already, and its trial has one epoch."""
    monkeypatch.setattr(demo, "RECIPE", demo.RECIPE.replace("[1, 2]", "[1]"))
    folder = tmp_path / "demo"
    demo.prepare(folder)
    (folder / demo.MARK).touch()
    (folder / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(folder)
    write_report(Path("reports/phase0"), Path(demo.MANIFEST))
    said: list[str] = []
    code = demo.demo(Path(), said.append)
    sweep = Path(demo.FOLDER)
    assert code in (0, 20), said
    assert {line[4:11] for line in said if line.startswith("[") and "=" in line} == {"trial 0"}
    admission = json.loads((sweep / "admission.json").read_text())
    for name in ("trials/0000", "recipe"):
        record = json.loads((sweep / name / "run" / "run.json").read_text())
        assert record["status"] == "finished" and not record["plan"]["test"]
        assert sorted(record["plan"]["evaluation"]) == sorted(admission["choose"])
    confirmation = json.loads((sweep / "confirmation.json").read_text())
    assert confirmation["utterances"] == len(admission["confirm"]["origins"]) > 1
    assert recipes.load(str(sweep / "best.yaml"))[1].epochs == 1
    words = {word.strip(":;,") for line in said for word in line.split()}
    files = {word for word in words if word.endswith((".yaml", ".jsonl", ".md"))}
    assert len(files) >= 3 and all(Path(word).exists() for word in files)


def test_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "work.txt").touch()
    with pytest.raises(demo.UserError, match="holds something else"):
        demo.demo(tmp_path, print)
