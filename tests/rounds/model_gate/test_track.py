"""What the tracker gets of a gate."""

from pathlib import Path
from unittest.mock import create_autospec

import pytest

from asr_gate.rounds.model_gate.formats import write_gate
from asr_gate.rounds.model_gate.run import gate_model
from asr_gate.rounds.model_gate.suite import load_suite
from asr_gate.rounds.model_gate.track import gate_config, log_gate
from asr_gate.tracking import Tracker
from tests.rounds.models import Evaluator, write_model, write_rows
from tests.train.results import lines


def test_checks_scatter_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("test.jsonl"), lines(40))
    Path("suite.toml").write_text('[data]\nmanifests = ["test.jsonl"]\n')
    old, new = (write_model(Path(f"m{share}"), share) for share in (0.3, 0.1))
    suite = load_suite(Path("suite.toml"))
    gated = gate_model(str(new), str(old), suite, Evaluator())
    files = write_gate(gated, Path("gate"))
    tracker = create_autospec(Tracker, instance=True)
    log_gate(tracker, gated, files)
    metrics = tracker.log_metrics.call_args_list[0].args[0]
    assert (metrics["gate/outcome"], metrics["gate/pass_rate"]) == ("pass", 1.0)
    assert 0.05 < metrics["gate/gain/overall"] < 1
    table = next(one.args for one in tracker.log_table.call_args_list if "checks" in one.args[0])
    assert len(table[2]) == len(gated.result.checks)
    assert tracker.log_points.called
    assert tracker.log_artifact.call_args.args[0] == files
    assert gate_config(gated.result)["gate"]["seal"] == gated.result.seal
