"""`asr model`: from results to a decision, and what becomes of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rounds.models import Evaluator, write_model, write_rows
from tests.rounds.runs import ONE, TWO, gate, make_runs
from tests.train.results import lines


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Results of a model and of a better one."""
    monkeypatch.chdir(tmp_path)
    write_rows(Path("test.jsonl"), lines(120))
    Path("suite.toml").write_text('[data]\nmanifests = ["test.jsonl"]\n')
    evaluate = Evaluator()
    old, new = (
        evaluate(str(write_model(Path("runs") / name, share)), ["test.jsonl"], out=Path(name))[1]
        for name, share in (("old", 0.3), ("new", 0.1))
    )
    return old, new


def test_a_gate_has_an_exit_code_and_files(asr: Callable, results: tuple[Path, Path]) -> None:
    old, new = results
    code, out, _ = asr("model", "gate", new, "--against", old, "--suite", "suite.toml")
    assert code == 0
    assert "Model gate: pass (gates/runs-new)" in out
    names = ["gate.json", "gate.md", "gate.sarif", "junit.xml"]
    assert sorted(path.name for path in Path("gates/runs-new").iterdir()) == names
    code, out, _ = asr("model", "gate", old, "--against", new, "--suite", "suite.toml")
    assert code == 20
    assert "fail  worse overall" in out.replace("fail         ", "fail  ")
    Path("test.jsonl").write_text(Path("test.jsonl").read_text().replace("Red", "Blue"))
    code, _, err = asr("model", "gate", new, "--against", old, "--suite", "suite.toml")
    assert (code, len(err.splitlines())) == (30, 1)


def test_promote_status_and_rollback(
    asr: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_runs()
    assert asr("model", "status")[1] == "No model is in use.\n"
    code, _, err = asr("model", "promote", ONE)
    assert (code, len(err.splitlines())) == (30, 1)
    gate(ONE, "base")
    gate(TWO, ONE)
    for checkpoint in (ONE, TWO):
        code, out, err = asr("model", "promote", checkpoint, "--why", "better")
        assert code == 0
        assert f"in use: {checkpoint} " in out
        # It was logged, and there is no server here.
        assert "the alias in W&B did not move" in err
        assert f"again: asr model promote {checkpoint}" in err
    assert asr("model", "promote", TWO, "--no-wandb")[1].startswith("in use already: ")
    code, out, _ = asr("model", "promote", "--rollback", "--no-wandb", "--json")
    assert json.loads(out)["model"]["checkpoint"] == ONE
    told = json.loads(asr("model", "status", "--json")[1])
    assert [event["kind"] for event in told["events"]] == ["promote", "promote", "rollback"]
    assert "better" in asr("model", "status")[1]
    assert asr("model", "promote", "--rollback")[0] == 2
    assert asr("model", "promote")[0] == 2
    assert asr("model", "promote", ONE, "--rollback")[0] == 2
    log = Path("registry/events.jsonl")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))
    code, _, err = asr("model", "status")
    assert (code, len(err.splitlines())) == (30, 1)


def test_mistakes_of_usage_are_one_line(asr: Callable, results: tuple[Path, Path]) -> None:
    old, new = results
    for arguments in (
        ("none.json", "--against", old, "--suite", "suite.toml"),
        (new, "--against", old, "--suite", "none.toml"),
        (new, "--against", old),
        (new, "--suite", "suite.toml"),
    ):
        code, _, err = asr("model", "gate", *arguments)
        assert (code, len(err.splitlines())) == (2, 1)
