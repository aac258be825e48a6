"""What a checkpoint hears in audio files, here and with transformers alone."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import click
import pysubs2
import pytest
import soundfile

from asr_gate.cli.transcribe import command
from asr_gate.corpus.errors import UserError
from asr_gate.train.evaluation import transcribe as transcribing
from asr_gate.train.evaluation.transcribe import (
    FEWEST_TOKENS,
    TOKENS_PER_SECOND,
    Segment,
    Transcript,
    Unread,
    transcribe,
)
from asr_gate.train.run import TrainResult
from tests.speech import ROOT
from tests.train.support import RATE


def heard(checkpoint: Path, *audio: Path, **named: object) -> list[Transcript | Unread]:
    return list(transcribe(str(checkpoint), audio, **named))  # type: ignore[arg-type]


def test_transformers_alone_hears_the_same(
    finished: TrainResult, manifest: Path, tmp_path: Path
) -> None:
    """The lines of docs/training.md, in a process that knows nothing of this project."""
    assert finished.final is not None
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"## Using the model.*?```python\n(.*?)```", page, re.S)
    audio = manifest.parent / "000.wav"
    tokens = FEWEST_TOKENS + math.ceil(TOKENS_PER_SECOND * soundfile.info(audio).duration)
    for old, new in (
        ("runs/round2/final", str(finished.final)),
        ("call.wav", str(audio)),
        ("max_new_tokens=448", f"max_new_tokens={tokens}"),
    ):
        assert old in lines
        lines = lines.replace(old, new)
    lines += "\nimport sys; assert not any(name.startswith('asr_gate') for name in sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", lines], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (mine,) = heard(finished.final, audio, language="he")
    assert isinstance(mine, Transcript)
    assert mine.text
    assert done.stdout.strip() == mine.text


def test_files_are_told_in_order_and_bad_ones_by_name(
    finished: TrainResult, manifest: Path, tmp_path: Path
) -> None:
    assert finished.final is not None
    good, quiet, broken = manifest.parent / "001.wav", tmp_path / "quiet.wav", tmp_path / "x.wav"
    soundfile.write(quiet, [0.0] * RATE, RATE)
    broken.write_bytes(b"RIFF")
    audio = [quiet, good, broken, tmp_path / "missing.wav", good]
    told = heard(finished.final, *audio, language="he", batch_seconds=0.1)
    assert [one.audio for one in told] == list(map(str, audio))
    silent, first, bad, missing, second = told
    assert isinstance(silent, Transcript)
    assert (silent.segments, silent.text, silent.duration) == ([], "", 1.0)
    assert isinstance(first, Transcript)
    assert isinstance(second, Transcript)
    assert first.segments == second.segments
    assert [one.language for one in first.segments] == ["Hebrew"]
    assert isinstance(bad, Unread)
    assert isinstance(missing, Unread)
    assert str(broken) in bad.reason
    assert "no such audio file" in missing.reason


def test_a_language_that_is_none_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UserError, match="not a known code"):
        heard(Path("nowhere"), Path("a.wav"), language="xq")


def shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> tuple[int, str, str]:
    """What the command prints about two files that were heard and one that was not."""
    spoken = [
        Segment(0.25, 2.5, "{א} hello", "Hebrew", True),
        Segment(3.0, 4.0, "", "Hebrew", True),
        Segment(4.0, 5.125, "\x1b[31mred", "Hebrew", False),
    ]
    results = {
        "a.wav": Transcript("a.wav", 6.0, spoken),
        "b.wav": Transcript("b.wav", 1.0, []),
        "c.wav": Unread("c.wav", "c.wav: no such audio file"),
    }
    monkeypatch.setattr(
        transcribing, "transcribe", lambda _, audio, **__: (results[name] for name in audio)
    )
    code = command.main(["model", *arguments], standalone_mode=False)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_text_of_several_files_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = shown(monkeypatch, capsys, "a.wav", "b.wav", "c.wav")
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == ["a.wav", "b.wav"]
    assert "\x1b" not in out
    assert "c.wav: no such audio file" in err
    assert "b.wav: no speech found" in err
    assert "a.wav: 4.00-5.12 s" in err
    code, out, _ = shown(monkeypatch, capsys, "a.wav")
    assert (code, out.count("\t"), out.startswith("{א} hello")) == (0, 0, True)


def test_json_and_subtitles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = shown(monkeypatch, capsys, "a.wav", "b.wav", "--json")
    first, second = map(json.loads, out.splitlines())
    assert [one["end"] for one in first["segments"]] == [2.5, 4.0, 5.125]
    assert first["text"] == "{א} hello \x1b[31mred"
    assert second["segments"] == []
    _, out, _ = shown(monkeypatch, capsys, "a.wav", "--srt")
    read = pysubs2.SSAFile.from_string(out, format_="srt", keep_ssa_tags=True)
    assert [(one.start, one.end) for one in read] == [(250, 2500), (4000, 5125)]
    assert read[0].text == "{א} hello"
    with pytest.raises(click.UsageError, match="one audio file"):
        shown(monkeypatch, capsys, "a.wav", "b.wav", "--srt")
