"""`asr init`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.cli.project import load_project, reading

Asr = Callable[..., tuple[int, str, str]]
TEXT = "il était une fois un roi qui vivait dans un grand château au bord de la mer"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for split in ("train", "dev"):
        rows = [
            {"audio_filepath": f"a/{place}/{split}.wav", "text": TEXT, "duration": 1800.0}
            for place in ("calls", "studio")
        ]
        (tmp_path / "data" / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    return tmp_path


def test_it_looks_and_writes_what_the_other_commands_read(asr: Asr) -> None:
    code, out, said = asr("init", "data/train.jsonl", "data/dev.jsonl", "--yes")
    assert (code, said) == (0, "")
    assert "4 rows, 2.0 hours\n" in out
    assert "it looks like fr" in out
    project = load_project()
    assert (project.corpus.language, project.audit.aligner) == ("fr", "mms")
    corpus = reading(project, [], None, None).read()
    assert {(u.domain, u.split) for u in corpus.utterances} == {
        (domain, split) for domain in ("calls", "studio") for split in ("train", "dev")
    }
    before = Path("asr.toml").read_bytes()
    code, _, said = asr("init", "data/train.jsonl", "--yes")
    assert (code, "--force" in said) == (2, True)
    assert Path("asr.toml").read_bytes() == before
    flags = ("--no-domains", "--language", "he", "--aligner", "hf:m")
    assert asr("init", "data/train.jsonl", "--yes", "--force", *flags)[0] == 0
    project = load_project()
    assert (project.corpus.language, project.audit.aligner) == ("he", "hf:m")
    assert project.corpus.rules == []


def test_a_question_is_asked_for_what_no_flag_says(
    asr: Asr, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(question: str, default: str) -> str:
        asked.append(question)
        return default

    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert asr("init")[0] == 2, "nobody can answer"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", prompt)
    assert asr("init")[0] == 0
    assert len(asked) == 5
    assert load_project().corpus.manifests == ["data/dev.jsonl", "data/train.jsonl"]


def test_audio_elsewhere_is_said_and_not_written(
    here: Path, asr: Asr, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = here / "work"
    work.mkdir()
    row = {"audio_filepath": str(here / "data" / "1.wav"), "text": TEXT}
    (work / "m.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.chdir(work)
    code, _, said = asr("init", "m.jsonl", "--yes")
    assert (code, f"--audio-root {here}/data" in said) == (2, True)
    code, out, _ = asr("init", "m.jsonl", "--yes", "--audio-root", here / "data")
    assert (code, "ASR_AUDIO_ROOT" in out) == (0, True)
    assert load_project().corpus.audio_root is None


def test_folders_are_domains_where_manifests_write_paths_from_different_places(
    here: Path, asr: Asr
) -> None:
    kaldi = here / "data" / "street" / "train"
    kaldi.mkdir(parents=True)
    (kaldi / "wav.scp").write_text("u1 data/a/street/1.wav\n")
    (kaldi / "text").write_text(f"u1 {TEXT}\n")
    (here / "data" / "a" / "street").mkdir(parents=True)
    (here / "data" / "a" / "street" / "1.wav").touch()
    options = ("--audio-root", "data", "--yes")
    code, out, _ = asr("init", "data/train.jsonl", "data/street/train", *options)
    assert code == 0, out
    rows = reading(load_project(), [], None, None).read().utterances
    assert {Path(row.audio_name).parent.name: row.domain for row in rows} == {
        domain: domain for domain in ("calls", "studio", "street")
    }


def test_what_is_not_there_is_refused(asr: Asr) -> None:
    code, _, err = asr("init", "data/train.jsonl", "--yes", "--aligner", "nemo:nowhere")
    assert (code, "no such folder" in err) == (2, True), err
    assert not Path("asr.toml").exists()
