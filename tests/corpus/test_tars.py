"""Corpora in tar files: WebDataset and Lhotse Shar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load, stored_duration
from tests.corpus.tars import cuts, shards, tar


def test_a_folder_of_webdataset_shards(folder: Path) -> None:
    home = shards(folder)
    corpus = read_corpus([home])
    found = [(u.id, u.text, u.lang, u.split, u.offset) for u in corpus.utterances]
    assert found == [
        ("third", "three", None, "dev", 0.0),
        ("a", "one", "en", "train", 0.0),
        ("b", "two", None, "train", 0.0),
    ]
    assert [(row.id, row.reason) for row in corpus.skipped] == [
        ("d", "d has no audio in the tar file")
    ]
    assert corpus.utterances[1].origin == f"{home}/train-000.tar:1"
    assert [stored_duration(u) for u in corpus.utterances] == [1.0] * 3
    loud = [round(float(load(u, 16000).samples.max()), 2) for u in corpus.utterances]
    assert loud == [0.3, 0.1, 0.2]
    assert len(read_corpus([home / "train-000.tar"]).utterances) == 2
    assert len(read_corpus([home], split="dev").utterances) == 1


def test_a_lhotse_shar_folder(folder: Path) -> None:
    home = cuts(folder)
    corpus = read_corpus([home])
    assert [(u.id, u.text, u.lang, u.duration) for u in corpus.utterances] == [
        ("c0", "text 0", "en", 1.0),
        ("c1", "text 1", "en", 1.0),
    ]
    assert [round(float(load(u, 16000).samples.max()), 2) for u in corpus.utterances] == [0.1, 0.2]
    before = fingerprint(corpus).digest
    tar(home / "recording.000000.tar", {"c1.wav": (folder / "audio" / "1.wav").read_bytes()})
    partly = read_corpus([home])
    assert [row.id for row in partly.skipped] == ["c0"] and len(partly.utterances) == 1
    assert fingerprint(partly).digest != before
    (home / "cuts.000001.jsonl").write_bytes((home / "cuts.000000.jsonl").read_bytes())
    with pytest.raises(UserError, match=r"recording\.000001\.tar: missing"):
        read_corpus([home])


def test_a_tar_file_that_lies_is_one_line(folder: Path) -> None:
    home = shards(folder)
    path = home / "train-000.tar"
    whole = path.read_bytes()
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 8_000_000_000
    compressed = io.BytesIO()
    with tarfile.open(fileobj=compressed, mode="w:gz"):
        pass
    for content in (
        b"",
        b"no tar at all" * 1000,
        whole[: len(whole) // 2],
        long_name.tobuf(tarfile.GNU_FORMAT) + whole,
        compressed.getvalue(),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"train-000\.tar") as caught:
            read_corpus([path])
        assert "\n" not in str(caught.value)
    tar(path, {"a.wav": b"no audio", "a.json": b"[1]"})
    with pytest.raises(UserError, match=r"a\.json is no JSON object"):
        read_corpus([path])
