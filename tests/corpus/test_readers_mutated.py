"""A thousand damaged manifests: each is read or refused in one line, and no row is lost."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import locate, read_corpus, read_rows
from asr_gate.corpus.utterance import SkippedRow, Utterance

EXAMPLES = 130
"""Of each of the eight kinds: a thousand in all, and some."""

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
    "pair": Kind(PAIR, ".", lambda files: len(filled(files["supervisions.jsonl"]))),
    "kaldi": Kind(KALDI, ".", kaldi_count),
}

VALUES = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1e308, float("nan"), float("inf"), 10**30, "", " ", "\x00"),
        *(
            "..",
            "/",
            "../../etc/passwd",
            "pipe:touch x",
            "\ud800",
            "\u202e",
            [],
            {},
            [[]],
            {"a": 1},
        ),
        *([{"id": 1}], ["x"] * 3, "x" * 5000, "language x<asr_text>", "#2", "n1"),
    ]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every key and index of a JSON value, with what holds it."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from places(value[key])


@st.composite
def another_value(draw: st.DrawFn, content: bytes) -> bytes:
    """One value of one JSON row becomes another, or its key is removed."""
    found = content.split(b"\n")
    number = draw(st.integers(0, len(found) - 1))
    try:
        row = json.loads(found[number])
    except ValueError:
        return content
    where = list(places(row))
    if not where:
        return content
    holder, key = draw(st.sampled_from(where))
    if draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(VALUES)
    found[number] = json.dumps(row).encode()
    return b"\n".join(found)


@st.composite
def other_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes flipped, put in, taken out, cut off, or lines doubled and swapped."""
    at = draw(st.integers(0, len(content)))
    to = min(len(content), at + draw(st.integers(0, 12)))
    put = draw(
        st.binary(max_size=6) | st.sampled_from([b"\n", b"\r", b'"', b"\x00", b"\xff", b"{["])
    )
    kind = draw(st.sampled_from(["replace", "truncate", "double", "swap", "mark"]))
    if kind == "replace":
        return content[:at] + put + content[to:]
    if kind == "truncate":
        return content[:at]
    if kind == "mark":
        return b"\xef\xbb\xbf" + content
    found = content.splitlines(keepends=True) or [b""]
    one, other = (draw(st.integers(0, len(found) - 1)) for _ in range(2))
    if kind == "double":
        found.insert(one, found[other])
    else:
        found[one], found[other] = found[other], found[one]
    return b"".join(found)


@st.composite
def mutated(draw: st.DrawFn, kind: Kind) -> dict[str, bytes]:
    """The files of a manifest, damaged in one to three places."""
    files = dict(kind.files)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        json_row = name.endswith(".jsonl") and draw(st.booleans())
        files[name] = draw((another_value if json_row else other_bytes)(files[name]))
    return files


@contextmanager
def stored(files: dict[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def check(kind: Kind, files: dict[str, bytes]) -> str:
    """Read damaged files; which way it ended."""
    expected = kind.count(files)
    with stored(files) as folder:
        manifest = folder / kind.manifest
        try:
            corpus = read_corpus([manifest])
        except UserError as error:
            named = re.search(r"and (\d+) more such rows", str(error))
            told = 1 + int(named[1]) if named else 1
            faulty = "correct or remove the row" in str(error)
        else:
            assert expected is not None
            assert len(corpus.utterances) + len(corpus.skipped) >= expected
            names = [row.id for row in (*corpus.utterances, *corpus.skipped)]
            assert len(set(names)) == len(names)
            return "read"
        if not faulty:
            assert str(folder) in str(error_of(manifest))
            return "refused"
        # Rows that are sound are counted behind those that are not.
        found = [
            what for _, what in read_rows(locate(manifest, None)[0], audio_root=None, split=None)
        ]
        faults = [what for what in found if isinstance(what, str)]
        assert len(faults) == told
        assert all(isinstance(what, (str, Utterance, SkippedRow)) for what in found)
        assert expected is not None
        assert len(found) >= expected
        return "faults named"


def error_of(manifest: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_corpus([manifest])
    return caught.value


def damage(kind: Kind, ends: Counter[str]) -> None:
    """Check many damaged manifests of one kind, and count how they ended."""

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(kind))
    def damaged(files: dict[str, bytes]) -> None:
        ends[check(kind, files)] += 1

    damaged()


@pytest.mark.slow
def test_damaged_manifests_lose_no_row(record_property: Callable[[str, object], None]) -> None:
    """In one test, so that they are counted together wherever the others run."""
    ends: Counter[str] = Counter()
    for kind in KINDS.values():
        assert check(kind, kind.files) == "read"
        damage(kind, ends)
    record_property("damaged manifests, no row of them lost", f"{ends.total()}: {dict(ends)}")
    assert ends.total() >= 1000
    assert min(ends.values()) >= 50
    assert len(ends) == 3
