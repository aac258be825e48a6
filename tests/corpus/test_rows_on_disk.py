"""Corpora whose rows lie on disk: the same as in memory."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.checks import leaked_audio, run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.pairing.places import Places
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.sample.plan import draw
from asr_gate.corpus import collected, fingerprint, rows, storage
from asr_gate.corpus.dealt import Dealt, repeated
from asr_gate.corpus.fingerprint import from_lines, in_order, to_lines
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.rows import Rows, columns, with_ids
from asr_gate.corpus.storage import Version
from asr_gate.corpus.utterance import Corpus
from tests.corpus.anew import begin_anew

TEXTS = [
    "the report was printed on thick paper and bound in blue before it was sent away",
    "nobody at the station could say when the next train to the coast would leave",
    "she kept the letters of her brother in a box under the window for thirty years",
]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows go to disk at once, two in a block."""
    with monkeypatch.context() as patch:
        patch.setattr(rows, "BLOCK", 2)
        patch.setattr(collected, "IN_MEMORY", 2)
        yield


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of two splits with equal ids, copies, leaks, texts that are alike, and one skipped."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "audio").mkdir()
    for number in range(4):
        (folder / f"audio/{number}.wav").write_bytes(bytes([number]) * 100)
    (folder / "audio/copy.wav").write_bytes(bytes([0]) * 100)
    draw_from = random.Random(0)
    written = []
    for number in range(23):
        text = draw_from.choice(TEXTS) + draw_from.choice([" again", ""])
        row = {
            "id": draw_from.choice(["a", "b", "a#2", str(number)]),
            "audio_filepath": f"audio/{number % 4}.wav",
            "text": text if number % 5 else f"{number} x",
            "offset": float(number % 3),
            "duration": 1.5,
            "speaker": f"s{number % 2}",
            "split": "test" if number % 7 == 0 else "train",
            "domain": "d" if number < 12 else "e",
        }
        written.append(row)
    written[4]["audio_filepath"] = "../elsewhere.wav"
    written[7]["audio_filepath"] = "audio/copy.wav"
    written[9] = written[8]
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return path


def findings(corpus: Corpus) -> list[Finding]:
    """What the rules for a whole corpus find, nothing sampled."""
    context = Context(
        policy=load_policy(),
        content=fingerprint.fingerprint(corpus, cached=False).comparable(),
        language="en",
        calibration=Calibration({}, {}, {}),
        absolute_thresholds={},
        corpus=corpus,
    )
    return list(run_rules([], context))


@pytest.mark.parametrize("split", [None, "train"])
def test_rows_on_disk_are_those_in_memory(
    split: str | None, manifest: Path, request: pytest.FixtureRequest
) -> None:
    expected = read_corpus([manifest], split=split)
    digests = fingerprint.fingerprint(expected, cached=False)
    found = findings(expected)
    assert isinstance(expected.utterances, list)
    request.getfixturevalue("small_blocks")
    corpus = read_corpus([manifest], split=split)
    assert isinstance(corpus.utterances, Rows)
    assert list(corpus.utterances) == expected.utterances
    assert [corpus.utterances[at] for at in range(-3, 3)] == [
        expected.utterances[at] for at in range(-3, 3)
    ]
    assert corpus.utterances[1:4] == expected.utterances[1:4]
    assert corpus.skipped == expected.skipped
    assert list(corpus.others) == list(expected.others)
    again = fingerprint.fingerprint(corpus, cached=False)
    assert again.digest == digests.digest
    assert dict(again.rows) == dict(digests.rows)
    assert dict(again.comparable()) == dict(digests.comparable())
    assert findings(corpus) == found
    if split is None:
        assert {"D001", "D004"} <= {finding.code for finding in found}
    plans = [
        draw(one.utterances, fraction=0.5, seed=1, quotas={}, minimum=1, content=digests.digest)
        for one in (corpus, expected)
    ]
    assert plans[0] == plans[1]
    places = Places(corpus)
    assert [places.of[row.id] for row in corpus.utterances] == list(range(len(corpus.utterances)))
    assert "nobody" not in places.of


@pytest.mark.parametrize("split", [None, "train"])
def test_rows_of_a_store_are_kept_on_disk_too(
    split: str | None,
    manifest: Path,
    small_blocks: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked: Counter[str] = Counter()

    def place(url: str) -> Path:
        return manifest.parent / url.removeprefix("s3://bucket/")

    def version(url: str) -> Version:
        return Version(place(url).stat().st_size, url)

    def read(url: str, version: Version, start: int, end: int) -> bytes:
        asked[url] += 1
        return place(url).read_bytes()[start:end]

    monkeypatch.setattr(storage, "_version", version)
    monkeypatch.setattr(storage, "_read", read)
    monkeypatch.setattr(fingerprint, "AT_ONCE", 5)
    monkeypatch.setattr(leaked_audio, "AT_ONCE", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    begin_anew()
    here = read_corpus([manifest], split=split)
    there = read_corpus(["s3://bucket/m.jsonl"], split=split)
    assert isinstance(there.utterances, Rows)
    assert {row.audio for row in there.utterances} <= {
        RemoteAudio(f"s3://bucket/{row.audio_name}") for row in here.utterances
    }
    assert [replace(row, audio=Path(), origin="", roots=()) for row in there.utterances] == [
        replace(row, audio=Path(), origin="", roots=()) for row in here.utterances
    ]
    assert [there.relative_origin(row.origin) for row in there.utterances] == [
        here.relative_origin(row.origin) for row in here.utterances
    ]
    one, other = (fingerprint.fingerprint(corpus, cached=False) for corpus in (here, there))
    assert (other.digest, dict(other.rows)) == (one.digest, dict(one.rows))
    assert other.taken_from == {"bytes": len(there.utterances)}
    assert findings(there) == findings(here)
    assert max(asked.values()) == 1
    begin_anew()


def test_audio_without_a_file_stays_in_memory(small_blocks: None, manifest: Path) -> None:
    class Embedded:
        def read(self) -> bytes:
            return b"sound"

    read = collected.Collected()
    own = list(read_corpus([manifest]).utterances)
    every = [*own[:3], replace(own[3], audio=Embedded(), audio_name="3"), *own[4:]]
    for row in every:
        read.add(row)
    assert read.rows == every


def test_fields_of_rows_and_rows_of_ids(small_blocks: None, manifest: Path) -> None:
    corpus = read_corpus([manifest])
    expected = [(row.id, row.split) for row in corpus.utterances]
    assert list(columns(corpus.utterances, "id", "split")) == expected
    wanted = [expected[5][0], expected[2][0], "nobody"]
    assert list(with_ids(corpus.utterances, wanted)) == [expected[2][0], expected[5][0]]


def test_digests_of_rows_come_in_order(monkeypatch: pytest.MonkeyPatch, manifest: Path) -> None:
    found = fingerprint.fingerprint(read_corpus([manifest]), cached=False).rows
    expected = sorted(found.items())
    monkeypatch.setattr(fingerprint, "RUN", 4)
    assert list(in_order(found)) == expected
    assert list(from_lines(to_lines(expected))) == expected
    with pytest.raises(ValueError, match="order"):
        list(from_lines([*to_lines(expected), *to_lines(expected[:1])]))


def test_records_come_back_by_their_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_gate.corpus.dealt.AT_ONCE", 8)
    dealt = Dealt(2)
    records = [bytes([number * 7 % 256, number % 256]) for number in range(1000)]
    for record in records:
        dealt.add(record)
    buckets = list(dealt.buckets())
    assert buckets[7] == [record for record in records if record[0] == 7]
    assert sum(map(len, buckets)) == 1000


def test_what_comes_again_is_found() -> None:
    assert repeated(["a", "b", "a", "c", "a", ("x", 1), ("x", 1)]) == {hash("a"), hash(("x", 1))}
    assert repeated([]) == set()
