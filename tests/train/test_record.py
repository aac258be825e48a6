"""`run.json`: written and read as one type, and refused in one line where it is not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train.plan import OwnSet, Refused
from asr_gate.train.record import (
    Evaluated,
    FinishedEpoch,
    LoggedModel,
    LoggedStep,
    Progress,
    RunRecord,
    TargetReached,
    Tracking,
    logged_model,
    read_record,
    write_record,
)
from tests.train.support import run_record

RATES = {"loss": math.nan, "wer": 0.5, "cer": 0.25, "utterances": 2, "words": 8}


def evaluated(step: int, checkpoint: str) -> dict[str, Any]:
    rates = {**RATES, "domains": {"clean": RATES}}
    return {"steps": step, "epoch": 1, "checkpoint": checkpoint, "evaluation": rates}


def full() -> RunRecord:
    last = evaluated(4, "epoch-1")
    return run_record(
        status="finished",
        reason="because",
        refused_while_reading=[Refused("u1", "unreadable", "gone")],
        steps=[LoggedStep(step=n, epoch=1, loss=float(n)) for n in (1, 2, 3, 4)],
        evaluations=[Evaluated.model_validate(one) for one in (evaluated(2, "step-2"), last)],
        epochs=[FinishedEpoch.model_validate({**last, "phase": "B", "loss": 1.0, "seconds": 2.0})],
        switches={"B": 1, "A": 4},
        progress=Progress(seconds=9.0, audio=80.0),
        target=TargetReached(
            target_wer=0.6, wer=0.5, step=2, epoch=1, hours=0.001, audio_hours=0.01
        ),
        tracking=Tracking(
            run_id="r1", mode="offline", models={"final": LoggedModel(reference="x", digest="y")}
        ),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_record(tmp_path, full())
    again = read_record(tmp_path)
    # Not a number is no equal of itself.
    assert repr(again.model_dump()) == repr(full().model_dump())
    assert again.best_wer() == 0.5
    (tmp_path / "final").mkdir()
    assert logged_model(tmp_path / "final") == ("x", "y")
    assert logged_model(tmp_path / "epoch-1") is None
    assert logged_model(tmp_path) is None


@pytest.mark.parametrize(
    ("step", "due", "steps", "evaluations", "epochs", "switches"),
    [
        (0, False, 0, 0, 0, []),
        (2, True, 2, 0, 0, ["B"]),
        (2, False, 2, 1, 0, ["B"]),
        (4, True, 4, 1, 0, ["B", "A"]),
        (4, False, 4, 2, 1, ["B", "A"]),
    ],
)
def test_a_resumed_run_keeps_what_it_does_not_repeat(
    step: int, due: bool, steps: int, evaluations: int, epochs: int, switches: list[str]
) -> None:
    kept = full().before(step, evaluation_due=due)
    assert (kept.status, kept.reason) == ("running", None)
    assert [len(kept.steps), len(kept.evaluations), len(kept.epochs)] == [
        steps, evaluations, epochs,
    ]  # fmt: skip
    assert list(kept.switches) == switches
    assert len(kept.refused_while_reading) == 1
    assert kept.progress.seconds == (9.0 if steps else 0.0)
    assert (kept.target is not None) == (evaluations > 0)


def changed(**fields: Any) -> str:
    return json.dumps({**full().model_dump(mode="json"), **fields})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not the record of a run"),
        ("[]", "schema version None"),
        ('{"status": "finished", "evaluations": []}', "schema version None"),
        (changed(schema_version=2), "schema version 2"),
        (changed(status="lost"), "status"),
        (changed(evaluations=[evaluated(1, "../../etc")]), "checkpoint"),
        (
            changed(
                evaluations=[
                    {**evaluated(1, "epoch-1"), "evaluation": {**RATES, "wer": -1, "domains": {}}}
                ]
            ),
            "wer",
        ),
        (changed(more=1), "more"),
    ],
)
def test_what_is_no_record_is_one_line(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=said) as error:
        read_record(tmp_path)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def with_validation(record: RunRecord, fingerprint: str) -> RunRecord:
    """The record of a run that evaluates on a manifest of its own."""
    own = {"validation": OwnSet(manifests=["dev.jsonl"], rows=4, fingerprint=fingerprint)}
    return record.model_copy(update={"plan": record.plan.model_copy(update={"own": own})})


ONE_PHASE = (
    "phases=[{name: B, epochs: [1], groups: [{name: g, learning_rate: 1, parameters: [x]}]}]"
)


def test_only_the_same_recipe_and_audit_are_one_run(tmp_path: Path) -> None:
    record = with_validation(run_record(), "sha256:1")
    same = with_validation(run_record("wandb.group=x", "budget.price=2"), "sha256:1")
    assert record.require_same_run(same, tmp_path) == []
    for other, key in (
        (run_record("seed=7"), "seed"),
        (run_record("data.batch_seconds=5"), r"data\.batch_seconds"),
        (run_record("phases.1.groups.0.learning_rate=1"), r"phases\.1\.groups\.0\.learning_rate"),
        (run_record(ONE_PHASE), r"phases\.1\.name"),
        (
            record.model_copy(
                update={"phase0": record.phase0.model_copy(update={"digest": "sha256:9"})}
            ),
            "phase0.digest",
        ),
        (with_validation(record, "sha256:9"), r"data\.validation \(its rows"),
    ):
        with pytest.raises(UserError, match=key):
            record.require_same_run(other, tmp_path)


def test_what_changes_no_result_may_change_and_is_told(tmp_path: Path) -> None:
    free = ("phases.1.gradient_checkpointing=true", "data.workers=3", "data.cache_gib=2.0",
            "data.audio_cache_gib=0.0", "device=cpu", "sharding=fsdp2", "threads=2",
            "evaluation.every_steps=7", "checkpoints.keep=9", "checkpoints.best=1",
            "checkpoints.state_every_steps=3", "checkpoints.dtype=float32")  # fmt: skip
    told = run_record(*free).require_same_run(run_record(), tmp_path)
    assert {line.partition(" ")[0].lower() for line in told} == set(free)
    assert "data.workers=3 (was 0)" in told


@pytest.mark.parametrize(
    ("processes", "accumulate", "said"),
    [
        (1, 4, None),
        (4, 1, None),
        (1, 2, "for 1 now, say optimizer.accumulate=4"),
        (2, 1, "for 2 now, say optimizer.accumulate=2"),
        (3, 1, "start one of 1, 2, 4 processes"),
    ],
)
def test_as_many_batches_a_step_on_another_number_of_processes(
    processes: int, accumulate: int, said: str | None, tmp_path: Path
) -> None:
    def record(processes: int, accumulate: int) -> RunRecord:
        made = run_record(f"optimizer.accumulate={accumulate}")
        plan = made.plan.model_copy(update={"processes": processes})
        return made.model_copy(update={"plan": plan})

    before, now = record(2, 2), record(processes, accumulate)
    if said is None:
        told = now.require_same_run(before, tmp_path)
        assert told == [f"optimizer.accumulate={accumulate} (was 2)"]
    else:
        with pytest.raises(UserError, match=f"a step has 4 batches; {said}"):
            now.require_same_run(before, tmp_path)
