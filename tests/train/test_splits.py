"""A run keeps the splits of its corpus apart, from the report to the test at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.audit.gate import NoVerdict, Stopped
from asr_gate.corpus.errors import UserError
from asr_gate.train.authorise import authorise_training
from asr_gate.train.record import read_record
from tests.board import scalars
from tests.train.support import write_corpus, write_report
from tests.train.trainings import TWO_EPOCHS, train

SPLITS = ("train", "train", "train", "dev", "test", "unused")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 rows: 9 of train, 3 each of dev, test and a split that is not used."""
    return write_corpus(tmp_path_factory.mktemp("splits"), rows=18, splits=SPLITS)


def ids(*places: int) -> set[str]:
    """Ids of the rows at these places in each turn of the splits."""
    return {f"u{turn + place:03d}" for turn in (0, 6, 12) for place in places}


def test_a_run_trains_evaluates_and_tests_on_splits_of_its_own(
    manifest: Path, tmp_path: Path
) -> None:
    report = write_report(tmp_path, manifest, excluded=["u000"], leaked=["u005"])
    result = train(manifest, report, *TWO_EPOCHS, out=tmp_path / "run")
    plan = result.plan
    assert plan.training == 8
    assert set(plan.evaluation) == ids(3)
    assert set(plan.test) == ids(4)
    record = read_record(tmp_path / "run")
    assert record.test is not None and record.test.utterances == 3
    assert plan.splits is not None and plan.splits.rows["unused"] == 3
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (tested,) = [line for line in log if line.get("event") == "test"]
    assert tested["test/wer"] == pytest.approx(record.test.wer)
    shown = scalars(tmp_path / "run" / "tensorboard")
    assert shown["test/wer"] == [(record.plan.steps + 1, pytest.approx(record.test.wer))]
    assert {"test/loss", "test/cer", "test/whatsapp_noisy/wer"} <= shown.keys()


def test_leaks_between_used_splits_are_refused(manifest: Path, tmp_path: Path) -> None:
    leaking = write_report(tmp_path, manifest, leaked=["u001", "u004"])
    with pytest.raises(UserError, match=r"^corpus\.jsonl:u001: .*D004.*2 rows.*--accept-leaks"):
        train(manifest, leaking, dry_run=True)
    plan = train(manifest, leaking, dry_run=True, accept_leaks=True).plan
    assert plan.training == 9


def test_a_split_that_is_stop_by_itself_does_not_train(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path / "a", manifest, bad_split="train")
    with pytest.raises(Stopped, match=r"STOP for split train: 66\.7 %") as error:
        train(manifest, report, dry_run=True)
    assert error.value.exit_code == 20
    other = write_report(tmp_path / "b", manifest, bad_split="unused")
    assert train(manifest, other, dry_run=True).plan.training == 9


def test_the_split_that_was_audited_need_not_be_named_again(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest, split="train")
    plan = train(manifest, report, dry_run=True).plan
    assert plan.corpus == 9
    assert plan.splits is not None and plan.splits.evaluation is None
    with pytest.raises(UserError, match=r"no row is of split 'dev'; the corpus has train"):
        train(manifest, report, dry_run=True, split="dev")


def test_a_report_of_the_whole_admits_a_part(manifest: Path, tmp_path: Path) -> None:
    report = write_report(tmp_path, manifest)
    lines = manifest.read_text().splitlines()
    part = manifest.with_name("part.jsonl")
    part.write_text("\n".join(line for line in lines if '"train"' in line))
    assert len(authorise_training(str(report), [part]).corpus.utterances) == 9
    part.write_text(part.read_text().replace("Red", "Blue"))
    with pytest.raises(NoVerdict, match=r"part\.jsonl:\d+ 'u\d+' text changed"):
        authorise_training(str(report), [part])
