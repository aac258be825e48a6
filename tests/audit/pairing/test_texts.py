"""Files of texts that are searched beside a corpus."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from asr_gate.audit.pairing.index import Text
from asr_gate.audit.pairing.texts import text_file, texts_at
from asr_gate.audit.records.pairing import SearchedFile
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus


def read(path: Path, content: str) -> list[tuple[int, Text]]:
    path.write_text(content, encoding="utf-8")
    return list(text_file(path).read())


def test_lines_and_manifests_without_audio(tmp_path: Path) -> None:
    one = (1, Text("one text", None))
    assert read(tmp_path / "t.txt", "one text\n\n  another \n") == [one, (3, Text("another", None))]
    manifest = '{"text": "one text"}\n{"text": ""}\n{"text": "שלום", "lang": "he"}\n'
    assert read(tmp_path / "t.jsonl", manifest) == [one, (3, Text("שלום", "he"))]
    assert read(tmp_path / "t.tsv", "id\tsentence\na\tone text\n") == [(2, Text("one text", None))]
    packed = tmp_path / "t.txt.gz"
    packed.write_bytes(gzip.compress(b"one text\n"))
    assert list(text_file(packed).read()) == [one]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.tsv", b"a\tb\n1\t2\n", "no text; there are a, b"),
        ("t.jsonl", b'{"text": 5}\n', "t.jsonl:1: text is no string"),
        ("t.jsonl", b"nothing\n", "t.jsonl:1"),
        ("t.txt", b"\xff\xfe\n", "t.txt:1: not UTF-8"),
        ("t.doc", b"a text\n", "unknown kind of manifest"),
    ],
)
def test_what_is_no_file_of_texts(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        list(text_file(path).read())


def test_a_file_that_is_not_there_or_changes(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path, tmp_path / "a\0b.txt"):
        with pytest.raises(UserError, match="--texts"):
            text_file(path)
    path = tmp_path / "t.txt"
    path.write_text("one text\n")
    file = text_file(path)
    file.require_unchanged()
    path.write_text("one text and more\n")
    with pytest.raises(UserError, match="changed"):
        file.require_unchanged()


def test_texts_are_read_again_where_they_are_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "more" / "t.txt"
    path.parent.mkdir()
    path.write_text("one text\nanother\n")
    corpus = Corpus([], [str(tmp_path / "m.jsonl")])
    named = SearchedFile(file="more/t.txt", sha256=text_file(path).digest, texts=2)
    assert texts_at([named], corpus, {"more/t.txt:2"}) == {"more/t.txt:2": "another"}
    path.write_text("one text\nanother one\n")
    with pytest.raises(UserError, match="audit again"):
        texts_at([named], corpus, {"more/t.txt:2"})
