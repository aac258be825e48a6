"""What a promotion needs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.audit.gate import CautionNotAccepted, NoVerdict, Stopped
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.rounds.registry.events import Registry
from asr_gate.rounds.registry.promote import promote, roll_back
from asr_gate.train.files import folder_digest
from asr_gate.train.plan import OwnSet
from tests.rounds.models import write_model
from tests.rounds.runs import ONE, SUITE, TWO, gate, make_runs, write_run, write_set
from tests.train.support import write_report


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no digest of a file that a test changes comes from a cache
    make_runs()
    return tmp_path


REGISTRY = Registry()


def test_models_follow_each_other_and_come_back(here: Path) -> None:
    gate(ONE, "base")
    gate(TWO, ONE)
    first = promote(Path(ONE), REGISTRY, why="the first")
    assert first.event is not None
    assert (first.production.predecessor, first.event.predecessor) == (None, None)
    second = promote(Path(TWO), REGISTRY)
    assert second.production.model.sha256 == folder_digest(Path(TWO))
    assert second.production.predecessor == first.production.model
    assert second.event is not None
    assert second.event.grounds.gate == "gates/runs-two-final/gate.json"
    assert second.event.grounds.decision == "PROCEED"
    assert second.production.model.artifact.reference == "wandb-offline:r/m:final"
    assert promote(Path(TWO), REGISTRY).event is None  # is in use
    back = roll_back(REGISTRY, "complaints")
    assert (back.production.model, back.production.predecessor) == (first.production.model, None)
    with pytest.raises(UserError, match="nothing to go back to"):
        roll_back(REGISTRY)
    assert [one.kind for one in REGISTRY.events()] == ["promote", "promote", "rollback"]
    shown = json.loads(Path("registry/production.json").read_text())
    assert shown["model"]["checkpoint"] == ONE


def test_best_is_the_checkpoint_that_it_names(here: Path) -> None:
    Path("runs/one/best").symlink_to("final")
    gate(ONE, "base")
    assert promote(Path("runs/one/best"), REGISTRY).production.model.checkpoint == ONE


def test_a_project_that_was_moved_goes_back_as_before(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate(ONE, "base")
    promote(Path(ONE), REGISTRY)
    gate(TWO, ONE)
    promote(Path(TWO), REGISTRY)
    moved = here.rename(here.with_name(f"{here.name}-moved"))
    monkeypatch.chdir(moved)
    assert roll_back(REGISTRY).production.model.checkpoint == ONE


def test_without_a_gate_that_passed_nothing_is_promoted(here: Path) -> None:
    with pytest.raises(NoVerdict, match="no result about this model"):
        promote(Path(ONE), REGISTRY)
    other = gate(TWO, "base")
    with pytest.raises(NoVerdict, match="about another model"):
        promote(Path(ONE), REGISTRY, gate=other)
    gate(ONE, TWO)
    with pytest.raises(Stopped, match="the gate refused"):
        promote(Path(ONE), REGISTRY)
    write_model(Path("equal"), 0.4, seed=9)
    gate(ONE, "equal")
    with pytest.raises((NoVerdict, Stopped)):
        promote(Path(ONE), REGISTRY)
    path = gate(ONE, "base")
    forged = json.loads(path.read_text())
    path.write_text(json.dumps(forged | {"candidate": forged["baseline"]}))
    with pytest.raises(NoVerdict, match="altered"):
        promote(Path(ONE), REGISTRY, gate=path)
    assert not Path("registry/events.jsonl").exists()
    with pytest.raises(UserError, match="no such folder"):
        promote(Path("runs/none"), REGISTRY)


def test_the_gate_must_be_against_the_model_in_use(here: Path) -> None:
    gate(ONE, "base")
    promote(Path(ONE), REGISTRY)
    gate(TWO, "base")
    with pytest.raises(NoVerdict, match=r"not the model in use.*--against .*runs/one/final"):
        promote(Path(TWO), REGISTRY)


def _other_weights() -> None:
    write_model(Path(ONE), 0.39)


def _other_suite() -> None:
    Path("suite.toml").write_text(SUITE + "[gain]\nwer = 0.04\n")


def _other_rows() -> None:
    path = Path("test/rows.jsonl")
    path.write_text(path.read_text().replace("red", "blue"))


def _other_sound() -> None:
    Path("test/test-u0001.wav").write_bytes(b"another sound")


def _no_sound() -> None:
    Path("test/test-u0001.wav").unlink()


def _no_report() -> None:
    shutil.rmtree("reports/phase0")


def _no_row_digests() -> None:
    Path("reports/phase0/rows.jsonl").unlink()


def _another_report() -> None:
    write_report(Path("reports/phase0"), write_set(Path("train/rows.jsonl"), "train", 21))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_weights, "no result about this model"),
        (_other_suite, "suite.toml: changed since"),
        (_other_rows, "rows.jsonl: changed since"),
        (_other_sound, "rows.jsonl: changed since"),
        (_no_sound, "rows.jsonl: changed since"),
        (_no_report, "no such report"),
        (_no_row_digests, "digests of its rows"),
        (_another_report, "is not the audit that"),
    ],
)
def test_what_changed_since_the_gate_is_seen(
    here: Path, change: Callable[[], None], says: str
) -> None:
    gate(ONE, "base")
    change()
    with pytest.raises(NoVerdict, match=says) as error:
        promote(Path(ONE), REGISTRY)
    assert error.value.exit_code == 30
    assert REGISTRY.events() == []


def test_a_report_that_was_moved_is_named(here: Path) -> None:
    gate(ONE, "base")
    Path("reports/phase0").rename("elsewhere")
    assert promote(Path(ONE), REGISTRY, report="elsewhere").event is not None


@pytest.mark.parametrize(
    ("decision", "refused"), [("CAUTION", CautionNotAccepted), ("STOP", Stopped)]
)
def test_the_audit_must_allow_it(here: Path, decision: str, refused: type[Exception]) -> None:
    write_report(Path("reports/phase0"), Path("train/rows.jsonl"), decision=decision)
    write_run(Path("runs/one"), 0.4, Path("reports/phase0/alignment_report.json"))
    gate(ONE, "base")
    with pytest.raises(refused):
        promote(Path(ONE), REGISTRY)
    if decision == "CAUTION":
        assert promote(Path(ONE), REGISTRY, accept_caution=True).event is not None


def _copy(row: str, name: str) -> None:
    shutil.copy(f"train/train-{row}.wav", f"test/test-{name}.wav")


def test_what_it_was_trained_on_is_no_test_of_it(here: Path) -> None:
    _copy("u0003", "u0007")
    gate(ONE, "base")
    with pytest.raises(NoVerdict, match=r"'test-u0007' has the audio of .*1 of the 60 rows"):
        promote(Path(ONE), REGISTRY)
    # It was not trained on if it was the run's test, set aside, or excluded.
    for plan in ({"test": ["train-u0003"]}, {"excluded": ["train-u0003"]}):
        write_run(Path("runs/one"), 0.4, Path("reports/phase0/alignment_report.json"), **plan)
        assert promote(Path(ONE), Registry(Path(next(iter(plan))))).event is not None
    # The held-out rows chose the checkpoint.
    plan = {"evaluation": ["train-u0003"]}
    write_run(Path("runs/one"), 0.4, Path("reports/phase0/alignment_report.json"), **plan)
    with pytest.raises(NoVerdict, match="trained or chosen on"):
        promote(Path(ONE), REGISTRY)


def test_nor_is_what_it_started_from_was_trained_on(here: Path) -> None:
    write_report(Path("reports/older"), write_set(Path("older/rows.jsonl"), "older", 8))
    write_run(Path("runs/older"), 0.5, Path("reports/older/alignment_report.json"))
    report = Path("reports/phase0/alignment_report.json")
    write_run(Path("runs/one"), 0.4, report, pretrained="runs/older/final")
    shutil.copy("older/older-u0002.wav", "test/test-u0001.wav")
    gate(ONE, "base")
    with pytest.raises(NoVerdict, match="has the audio of 'older-u0002'"):
        promote(Path(ONE), REGISTRY)


def test_nor_are_manifests_of_its_own_that_chose_it(here: Path) -> None:
    own = write_set(Path("own/rows.jsonl"), "own", 8)
    digest = fingerprint(read_corpus([own])).digest
    sets = {"validation": OwnSet(manifests=[str(own)], rows=8, fingerprint=digest)}
    report = Path("reports/phase0/alignment_report.json")
    write_run(Path("runs/one"), 0.4, report, own=sets)
    shutil.copy("own/own-u0002.wav", "test/test-u0001.wav")
    gate(ONE, "base")
    with pytest.raises(NoVerdict, match="has the audio of 'own-u0002'"):
        promote(Path(ONE), REGISTRY)
    (own.parent / "own-u0003.wav").unlink()
    with pytest.raises(NoVerdict, match="changed since"):
        promote(Path(ONE), REGISTRY)


def test_a_regression_set_must_be_apart_too(here: Path) -> None:
    write_set(Path("names/rows.jsonl"), "names", 8)
    shutil.copy("train/train-u0001.wav", "names/names-u0001.wav")
    Path("suite.toml").write_text(
        SUITE + '[[regression]]\nname = "names"\nmanifests = ["names/rows.jsonl"]\nwer = 0.9\n'
    )
    gate(ONE, "base")
    with pytest.raises(NoVerdict, match="'names-u0001' has the audio"):
        promote(Path(ONE), REGISTRY)


def test_a_model_that_is_gone_does_not_come_back(here: Path) -> None:
    gate(ONE, "base")
    gate(TWO, ONE)
    promote(Path(ONE), REGISTRY)
    promote(Path(TWO), REGISTRY)
    write_model(Path(ONE), 0.9)
    with pytest.raises(NoVerdict, match="not the model any more"):
        roll_back(REGISTRY)
