"""Two runs on an audited corpus, tests that have nothing of it, and gates."""

from __future__ import annotations

from pathlib import Path

from asr_gate.audit.gate import read_report
from asr_gate.rounds.model_gate.formats import write_gate
from asr_gate.rounds.model_gate.run import gate_model
from asr_gate.rounds.model_gate.suite import load_suite
from asr_gate.train.record import LoggedModel, RunRecord, Tracking, write_record
from tests.rounds.models import Evaluator, write_model, write_rows
from tests.train.results import lines
from tests.train.support import run_record, write_report

SUITE = '[data]\nmanifests = ["test/rows.jsonl"]\n'


def write_set(path: Path, name: str, count: int) -> Path:
    """A manifest with audio that is there; no two files are the same."""
    rows = [row | {"id": f"{name}-{row['id']}"} for row in lines(count)]
    write_rows(path, rows)
    for row in rows:
        (path.parent / f"{row['id']}.wav").write_bytes(f"sound of {row['id']}".encode())
    return path


def write_run(folder: Path, share: float, report: Path, **plan: object) -> Path:
    """A run with a model that makes this share of mistakes, which rests on an audit."""
    source = plan.pop("pretrained", None)
    overrides = [f"model.pretrained={source}", "model.tiny=null"] if source else []
    record: RunRecord = run_record(*overrides)
    phase0 = record.phase0.model_copy(update={"digest": read_report(report).digest})
    update = {"report": str(report), "evaluation": [], "test": [], **plan}
    changed = record.model_copy(
        update={
            "phase0": phase0,
            "plan": record.plan.model_copy(update=update),
            "tracking": Tracking(
                run_id="r", mode="offline",
                models={"final": LoggedModel(reference="wandb-offline:r/m:final", digest="d")},
            ),
        }
    )  # fmt: skip
    model = write_model(folder / "final", share)
    write_record(folder, changed)
    return model


def make_runs() -> None:
    """Runs `one`, `two` and `three`, each better than the one before, in the current folder."""
    write_report(Path("reports/phase0"), write_set(Path("train/rows.jsonl"), "train", 20))
    write_set(Path("test/rows.jsonl"), "test", 60)
    Path("suite.toml").write_text(SUITE)
    for name, share in (("one", 0.4), ("two", 0.2), ("three", 0.05)):
        write_run(Path("runs") / name, share, Path("reports/phase0/alignment_report.json"))
    write_model(Path("base"), 0.6)


def gate(candidate: str, against: str, out: str | None = None) -> Path:
    suite = load_suite(Path("suite.toml"))
    gated = gate_model(candidate, against, suite, Evaluator())
    return write_gate(gated, Path(out or f"gates/{candidate.replace('/', '-')}"))[-1]


ONE, TWO, THREE = (f"runs/{name}/final" for name in ("one", "two", "three"))
