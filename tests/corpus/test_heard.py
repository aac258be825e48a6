"""What a model has heard, in bounded space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.corpus import heard
from asr_gate.corpus.heard import HEARD_FILE, Heard, read_heard
from asr_gate.corpus.utterance import Utterance


def rows(first: int, last: int) -> tuple[list[Utterance], dict[str, str]]:
    found = [Utterance(str(n), "text", Path(f"{n}.wav"), f"{n}.wav", "m:1") for n in range(last)]
    return found[first:], {row.id: f"sound {row.id}" for row in found}


def test_a_row_is_known_by_its_sound_and_its_place_in_it() -> None:
    learned, sounds = rows(0, 4)
    found = Heard.of(learned, sounds, "full")
    mended = [replace(row, id=f"new-{row.id}", text="other", duration=3.0) for row in learned]
    later = replace(learned[0], offset=5.0)
    renamed = {f"new-{id}": sound for id, sound in sounds.items()}
    assert found.among([*mended, later], sounds | renamed, "full") == 4
    assert found.among([later], sounds, "full") == 0
    assert found.among(learned, sounds, "sampled") == 0, "other digests tell nothing"
    assert not Heard.of(learned, dict.fromkeys(sounds, "missing"), "full").digests


def test_a_large_training_leaves_a_sample_that_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heard, "KEPT", 200)
    learned, _ = rows(0, 2000)
    both, sounds = rows(1000, 3000)
    found = Heard.of(learned, sounds, "full")
    assert len(found.digests) == 200
    assert found.among(both, sounds, "full") == pytest.approx(1000, rel=0.2)


def test_what_the_first_model_heard_is_handed_on(tmp_path: Path) -> None:
    (first, _), (second, sounds) = rows(0, 3), rows(3, 6)
    found = Heard.of(second, sounds, "full").also(Heard.of(first, sounds, "full"))
    assert found.among([*first, *second], sounds, "full") == 6
    assert read_heard(tmp_path) is None
    (tmp_path / HEARD_FILE).write_text(found.model_dump_json())
    assert read_heard(tmp_path) == found
    (tmp_path / HEARD_FILE).write_text('{"audio": "full", "digests": ["../.."]}')
    assert read_heard(tmp_path) is None
