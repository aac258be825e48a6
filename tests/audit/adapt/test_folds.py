"""No row is judged by a model that has heard it or its like."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.audit.adapt.folds import divide
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance


def row(id: str, speaker: str | None, recording: str, text: str = "") -> Utterance:
    return Utterance(id, text or id, Path(recording), recording, "m:1", speaker=speaker)


def seconds(rows: list[Utterance]) -> dict[str, float]:
    return {one.id: 2.0 for one in rows}


def test_no_two_folds_share_a_speaker_or_a_recording() -> None:
    rows = [row(f"{s}{n}", f"s{s}", f"{s}{n}.wav") for s in range(7) for n in range(3)]
    rows += [row("shared", "s0", "talk.wav"), row("other", "s1", "talk.wav")]
    folds = divide(rows, seconds(rows))
    assert (folds.by, folds.count) == ("speaker", 3)
    of: dict[str, set[int]] = {}
    for one in rows:
        for key in (one.speaker, one.audio_name):
            of.setdefault(str(key), set()).add(folds.of[one.id])
    assert all(len(numbers) == 1 for numbers in of.values())
    assert of["s0"] == of["s1"], "they speak in one recording"
    assert folds == divide(rows[::-1], seconds(rows)), "the order of rows changes nothing"


def test_a_model_learns_no_text_that_it_judges() -> None:
    rows = [row(f"{s}{n}", f"s{s}", f"{s}{n}.wav") for s in range(3) for n in range(2)]
    rows += [row(f"same{s}", f"s{s}", f"same{s}.wav", "She had. Your!") for s in range(2)]
    rows += [row("same2", "s2", "same2.wav", "she HAD your")]
    folds = divide(rows, seconds(rows))
    ids = [one.id for one in rows]
    for fold in range(folds.count):
        learned = folds.teachers(fold, ids)
        assert len(learned) == 4
        assert not {folds.of[id] for id in learned} & {fold}
        assert not [id for id in learned if id.startswith("same")]
    assert folds.teachers(0, []) == [], "what nobody trusts is not learned"


def test_one_speaker_is_divided_by_recording() -> None:
    rows = [row(f"{n}", "me", f"{n % 4}.wav") for n in range(8)]
    folds = divide(rows, seconds(rows))
    assert (folds.by, folds.count) == ("recording", 3)
    assert all(folds.of[f"{n}"] == folds.of[f"{n + 4}"] for n in range(4))
    with pytest.raises(UserError, match="two recordings"):
        divide(rows[::4], seconds(rows))
