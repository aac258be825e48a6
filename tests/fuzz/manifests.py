"""Small manifests of each format, and how their rows are counted without their readers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import locate, read_corpus, read_rows
from asr_gate.corpus.utterance import SkippedRow, Utterance
from tests.corpus.tars import tar_bytes

NEMO: list[dict[str, Any]] = [
    {
        "id": f"n{n}",
        "audio_filepath": f"audio/{n}.wav",
        "text": "\u05e9\u05dc\u05d5\u05dd one",
        "offset": 0.5,
        "duration": 2,
        "lang": "he",
        "domain": "d",
        "speaker": "s",
        "split": "train",
    }
    for n in range(4)
]
QWEN = [
    {"audio": f"audio/{n}.wav", "text": f"language Hebrew<asr_text>one {n}", "prompt": ""}
    for n in range(4)
]
VOICES = [
    {"client_id": "c", "path": f"{n}.mp3", "sentence": "one", "locale": "he"} for n in range(4)
]
CUTS = [
    {
        "id": f"c{n}",
        "start": 0.0,
        "duration": 3.0,
        "channel": 0,
        "supervisions": [
            {
                "id": f"s{n}-{m}",
                "recording_id": "r",
                "start": float(m),
                "duration": 1.0,
                "channel": 0,
                "text": "one",
                "language": "Hebrew",
                "custom": {"domain": "d"},
            }
            for m in range(1 + n % 2)
        ],
        "recording": {
            "id": "r",
            "sources": [{"type": "file", "channels": [0], "source": f"audio/{n}.wav"}],
            "sampling_rate": 16000,
            "num_samples": 48000,
            "duration": 3.0,
            "channel_ids": [0],
        },
        "type": "MonoCut",
    }
    for n in range(4)
]


def json_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def delimited(delimiter: str, rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([list(rows[0]), *(row.values() for row in rows)])
    return text.getvalue().encode()


@dataclass(frozen=True)
class Kind:
    """A format: the files of a small manifest, and how its rows are counted without its reader."""

    files: dict[str, bytes]
    manifest: str
    count: Callable[[dict[str, bytes]], int | None]
    """The least number of rows; None where the file as a whole is damaged."""


def filled(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line.strip()]


def json_count(files: dict[str, bytes]) -> int:
    return len(filled(files["m.jsonl"]))


def cut_count(files: dict[str, bytes]) -> int:
    return len(filled(files["cuts.jsonl"]))


def gzip_count(files: dict[str, bytes]) -> int | None:
    try:
        return len(filled(gzip.decompress(files["m.jsonl.gz"])))
    except (OSError, EOFError, zlib.error):
        return None


def table_count(name: str, **options: Any) -> Callable[[dict[str, bytes]], int | None]:
    def count(files: dict[str, bytes]) -> int | None:
        text = files[name].decode("utf-8-sig", "surrogateescape")
        try:
            rows = [r for r in csv.reader(io.StringIO(text, newline=""), **options) if r]
        except csv.Error:
            return None
        return len(rows) - 1

    return count


def kaldi_count(files: dict[str, bytes]) -> int:
    return len(filled(files["text"]))


PAIR = {
    "supervisions.jsonl": json_lines([s for c in CUTS for s in c["supervisions"]]),
    "recordings.jsonl": json_lines([c["recording"] for c in CUTS]),
}
KALDI = {
    "wav.scp": b"r1 audio/a.wav\nr2 audio/b.wav\nr3 cat x.wav |\n",
    "text": "u1 one\nu2 \u05e9\u05dc\u05d5\u05dd two\nu3\nu4 four\n".encode(),
    "segments": b"u1 r1 0 1.5\nu2 r1 1.5 -1\nu3 r2 0.25 1\nu4 r3 0 1\n",
    "utt2spk": b"u1 s\nu2 s\nu3 t\n",
    "utt2dur": b"u1 1.5\n",
    "utt2lang": b"u1 he\n",
}
MEMBERS = {
    "a.wav": b"sound",
    "a.json": json.dumps({"text": "one", "lang": "he"}).encode(),
    "b.wav": b"sound",
    "b.txt": "\u05e9\u05dc\u05d5\u05dd".encode(),
}
SHAR = {
    "cuts.000000.jsonl": json_lines(CUTS),
    "recording.000000.tar": tar_bytes({f"c{n}.wav": b"sound" for n in range(4)}),
}
KINDS = {
    "nemo": Kind({"m.jsonl": json_lines(NEMO)}, "m.jsonl", json_count),
    "qwen": Kind({"m.jsonl": json_lines(QWEN)}, "m.jsonl", json_count),
    "gzip": Kind(
        {"m.jsonl.gz": gzip.compress(json_lines(NEMO), mtime=0)}, "m.jsonl.gz", gzip_count
    ),
    "csv": Kind({"m.csv": delimited(",", NEMO)}, "m.csv", table_count("m.csv", strict=True)),
    "tsv": Kind(
        {"m.tsv": delimited("\t", NEMO)},
        "m.tsv",
        table_count("m.tsv", delimiter="\t", quoting=csv.QUOTE_NONE),
    ),
    "cuts": Kind({"cuts.jsonl": json_lines(CUTS)}, "cuts.jsonl", cut_count),
    "audio-folder": Kind(
        {"metadata.csv": delimited(",", NEMO)}, ".", table_count("metadata.csv", strict=True)
    ),
    "common-voice": Kind(
        {"train.tsv": delimited("\t", VOICES), "clips/a.mp3": b""},
        ".",
        table_count("train.tsv", delimiter="\t", quoting=csv.QUOTE_NONE),
    ),
    "pair": Kind(PAIR, ".", lambda files: len(filled(files["supervisions.jsonl"]))),
    "kaldi": Kind(KALDI, ".", kaldi_count),
    # What a damaged tar file holds, its reader alone can say.
    "webdataset": Kind({"m.tar": tar_bytes(MEMBERS)}, "m.tar", lambda files: 0),
    "shar": Kind(SHAR, ".", lambda files: len(filled(files["cuts.000000.jsonl"]))),
}


def check(kind: Kind, folder: Path) -> str:
    """Read damaged files, of which no row may be lost; which way it ended."""
    manifest = folder / kind.manifest
    expected = kind.count({name: (folder / name).read_bytes() for name in kind.files})
    try:
        corpus = read_corpus([manifest])
    except UserError as error:
        line = str(error)
    else:
        assert expected is not None
        assert len(corpus.utterances) + len(corpus.skipped) >= expected
        names = [row.id for row in (*corpus.utterances, *corpus.skipped)]
        assert len(set(names)) == len(names)
        return "read"
    assert "\n" not in line
    if "correct or remove the row" not in line:
        assert str(folder) in line
        return "refused"
    # Rows that are sound are counted behind those that are not.
    named = re.search(r"and (\d+) more such rows", line)
    found = [what for _, what in read_rows(locate(manifest, None)[0], audio_root=None, split=None)]
    faults = [what for what in found if isinstance(what, str)]
    assert len(faults) == (1 + int(named[1]) if named else 1)
    assert all(isinstance(what, (str, Utterance, SkippedRow)) for what in found)
    assert expected is not None
    assert len(found) >= expected
    return "faults named"
