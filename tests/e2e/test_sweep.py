"""A sweep of real trainings, by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.train import recipes
from tests.e2e.asr import asr_here
from tests.train.support import write_corpus, write_report

SWEEP = """\
program: ctc-embedded
command: [asr, train, "${program}", --data, corpus/corpus.jsonl, --report, reports/phase0, epochs=2,
          data.evaluation_share=0.4, model.strength=0.0, "${args}"]
method: random
run_cap: 1
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.1, max: 3.0}
"""


def test_a_trial_and_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = write_corpus(Path("corpus"), 20)
    write_report(Path("reports/phase0"), manifest)
    Path("sweep.yaml").write_text(SWEEP)
    done = asr_here("sweep", "run", "sweep.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = Path("sweeps/sweep")
    admission = json.loads((folder / "admission.json").read_text())
    seen: set[str] = set()
    for name in ("trials/0000", "recipe"):
        record = json.loads((folder / name / "run" / "run.json").read_text())
        assert record["status"] == "finished" and not record["plan"]["test"]
        assert sorted(record["plan"]["evaluation"]) == sorted(admission["choose"])
        seen |= set(record["plan"]["evaluation"])
    confirmation = json.loads((folder / "confirmation.json").read_text())
    assert confirmation["utterances"] == len(admission["confirm"]["origins"]) > 1
    assert recipes.load(str(folder / "best.yaml"))[1].epochs == 2
    assert (folder / "report.md").read_text().startswith("# Sweep sweep\n\nBest: trial 0,")
    status = asr_here("sweep", "status", str(folder), "--json", cwd=tmp_path)
    assert json.loads(status.stdout)["finished"]
    best = asr_here("sweep", "best", str(folder), cwd=tmp_path).returncode
    assert best in ((30,) if confirmation["low"] is None else (0, 20))
