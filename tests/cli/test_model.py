"""`asr model`: from results to a decision, and what becomes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rounds.models import Evaluator, write_model, write_rows
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
