"""Which texts of a corpus and of files beside it an utterance's audio may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.pairing.search import COMPARED, TextSearch, compared
from asr_gate.audit.pairing.texts import text_file
from asr_gate.audit.records.alignment import HeardWord
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import row

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


class Model(AcousticModel):
    """A model that only spells."""

    info = ModelInfo("m", "r", "0", "en", ("-", " ", *LETTERS), 0, 1, 0.02, 16000, 0.0)

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        raise NotImplementedError


def corpus(folder: Path) -> Corpus:
    def rows(*texts: str, split: str) -> list[Utterance]:
        return [
            Utterance(f"{split}-{n}", text, Path("a.wav"), "a.wav", f"{folder}/m:{n}")
            for n, text in enumerate(texts)
        ]

    train = rows("The red fox ran.", "the red fox ran", "a grey goose [noise] swam", split="train")
    return Corpus(train, [f"{folder}/m"], others=rows("the red ox ran", split="test"))


def heard(text: str, own: str) -> Measured:
    words = tuple(HeardWord(word, 0.0, 0.1) for word in text.split())
    return replace(row(1), text=own, heard=words)


def search(folder: Path, *files: Path) -> TextSearch:
    found = [text_file(path) for path in files]
    return TextSearch(Model(), corpus(folder), found, made_by={}, keep=False, say=lambda _: None)


def test_rows_of_every_split_and_lines_of_files_are_named(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("\nwhite ducks dive deep\nthe red fox ran\n")
    texts = search(tmp_path, more)
    near = texts.near(heard("the red fx ran", "something else"))
    # Of equal texts the first row has it, and a row before a file.
    assert list(near) == ["train-0", "test-0"]
    assert near["train-0"].letters == 12
    assert list(texts.near(heard("wite duks dive deep", "x"))) == ["more.txt:2"]
    (goose,) = texts.near(heard("a grey gose swam", "x")).values()
    assert [word.text for word in goose.words] == ["a", "grey", "goose", "swam"]
    assert "train-0" not in texts.near(heard("the red fox ran", "THE RED FOX RAN!"))
    assert [(one.file, one.texts) for one in texts.searched] == [("more.txt", 2)]
    texts.close()


def test_a_file_without_a_text_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with pytest.raises(UserError, match="no text in it"):
        search(tmp_path, empty)


def test_who_is_searched_besides_stays_when_a_row_goes() -> None:
    ids = [f"row-{n}" for n in range(500)]
    drawn = compared(ids, 0)
    assert len(drawn) == COMPARED
    assert drawn != compared(ids, 1)
    gone = min(drawn)
    assert len(compared([one for one in ids if one != gone], 0) - drawn) == 1
