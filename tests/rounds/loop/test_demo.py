"""What `asr rounds demo` writes before its first round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.loop import demo
from asr_gate.rounds.loop.settings import load_settings
from asr_gate.rounds.model_gate.suite import load_suite
from asr_gate.train import recipes
from tests.rounds.loop.commands import Killed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(demo, "write_start", lambda folder: folder.mkdir(exist_ok=True))
    return tmp_path / "demo"


def _rows(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "corpus" / name).read_text().splitlines()]


def test_no_test_row_is_trained_on_and_every_file_is_there(folder: Path) -> None:
    demo.prepare(folder)
    tested = _rows(folder, "test.jsonl")
    for name in ("first.jsonl", "second.jsonl", "third.jsonl"):
        trained = _rows(folder, name)
        assert not {r["audio_filepath"] for r in trained} & {r["audio_filepath"] for r in tested}
        assert not {r["text"] for r in trained} & {r["text"] for r in tested}
        assert all((folder / "corpus" / r["audio_filepath"]).is_file() for r in trained)
    texts = {row["id"]: row["text"] for row in _rows(folder, "first.jsonl")}
    right = {row["id"]: row["text"] for row in _rows(folder, "second.jsonl")}
    assert [id for id in texts if texts[id] != right[id]] == ["clean-025", "clean-029"]
    assert texts["clean-025"] == right["clean-029"]
    demo._first(folder, [])
    settings = load_settings(folder / "rounds.toml").content
    assert recipes.load(settings.train.recipe, settings.train.overrides)[1].epochs == 7
    load_suite(folder / settings.suite)


def test_killed_while_it_writes_its_files_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(demo, "write_start", killed)
        demo.demo(folder)
    monkeypatch.setattr(demo, "run_rounds", killed)
    with pytest.raises(Killed):
        demo.demo(folder)
    assert (folder / "rounds.toml").exists()
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "work.txt").touch()
    with pytest.raises(UserError, match="holds something else"):
        demo.demo(folder.parent / "other")
