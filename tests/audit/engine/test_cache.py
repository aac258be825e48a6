"""Measurements of earlier audits: kept by content, bounded, and never another's."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr_gate import api
from asr_gate.audit.acoustic.embedded.adapter import EmbeddedModel
from asr_gate.audit.engine import cache as cache_module
from asr_gate.audit.engine.cache import VARIABLE, Cache, Entry, open_cache
from asr_gate.audit.pipeline import _groups
from asr_gate.audit.records.measured import Fault
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home
from asr_gate.corpus.utterance import Utterance
from bench.incremental import bundled, sequences, write
from tests.audit.controls.rows import row

EMISSION = np.log(np.full((50, 29), 1 / 29, np.float32))
ENTRY = Entry(
    replace(row(1), id="", domain="", lang=None, text="", cohort_loss=None),
    {"a": 0.1 + 0.2, "b": None},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.sqlite3"


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_is_kept_comes_back_as_it_was(file: Path) -> None:
    cache = Cache(file, 10**9)
    faulty = Entry(replace(ENTRY.row, words=(), fault=Fault("T001", "no letters")), {})
    cache.keep_entry("one", Entry(row(1, planted={"cut": 1.0}), ENTRY.known))
    cache.keep_entry("two", faulty)
    cache.keep_emission("sound", EMISSION)
    for _ in ("in memory", "on disk"):
        assert cache.entry("one") == ENTRY, "ids, texts and controls are the audit's"
        assert cache.entry("two") == faulty
        found = cache.emission("sound", 29)
        assert found is not None
        assert np.array_equal(found, EMISSION)
        assert found.dtype == np.float32
        assert cache.emission("sound", 30) is None, "of another model"
        assert cache.entry("three") is None
        assert cache.entry("sound") is None
        assert cache.emission("one", 29) is None
        cache.close()
        cache = Cache(file, 10**9)


@pytest.mark.parametrize(
    "change",
    [
        "update entries set content = x'00'",
        "update entries set content = substr(content, 1, length(content) - 1)",
        "update entries set content = 'text'",
        "update entries set key = case key when 'one' then 'two' else 'one' end",
    ],
)
def test_an_altered_entry_counts_as_not_there(change: str, file: Path) -> None:
    cache = Cache(file, 10**9)
    cache.keep_entry("one", ENTRY)
    cache.close()
    with sqlite3.connect(file) as database:
        database.execute(change)
    database.close()
    cache = Cache(file, 10**9)
    assert cache.entry("one") is None
    assert cache.entry("two") is None


def test_a_damaged_file_is_begun_anew(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)
    cache = Cache(file, 10**9)
    cache.keep_entry("one", ENTRY)
    cache.close()
    assert Cache(file, 10**9).entry("one") == ENTRY


def test_what_was_not_used_for_longest_goes_first(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1, 100))
    monkeypatch.setattr(cache_module.time, "time", lambda: next(clock))
    limit = 20 * EMISSION.nbytes
    for number in range(10):
        cache = Cache(file, limit)
        cache.keep_emission(f"{number} a", EMISSION)
        cache.keep_emission(f"{number} b", EMISSION)
        cache.keep_entry(f"{number} row", ENTRY)
        assert number == 0 or cache.emission("0 a", 29) is not None
        cache.close()
    last = Cache(file, limit)
    assert last.emission("0 a", 29) is not None, "it was used each time"
    assert last.emission("0 b", 29) is None
    assert last.emission("9 a", 29) is not None
    assert last.entry("9 row") is not None
    last.close()
    with sqlite3.connect(file) as database:
        assert database.execute("select sum(size) from entries").fetchone()[0] <= limit
    database.close()


@pytest.mark.parametrize("asked", ["much", "-1", "nan", "1e9", ""])
def test_a_limit_is_a_number_of_gigabytes(
    asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, asked)
    if asked:
        with pytest.raises(UserError, match=VARIABLE):
            open_cache()
    else:
        found = open_cache()
        assert found is not None, "empty: as if it were not set"
        found.close()


class Said:
    """Progress that keeps what an audit says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def start(self, total: int, done: int) -> None: ...

    def advance(self, utterances: int, seconds: float) -> None: ...


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_corrected_corpus_has_the_report_of_a_fresh_audit(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU emissions follow from the group; this one is the CPU under its name."""
    monkeypatch.setattr(EmbeddedModel, "device", property(lambda _: device, lambda *_: None))
    counted = sequences(bundled()[:9], tmp_path, 3)
    assert counted.equal == counted.audits == 3
    assert counted.kept > 0
    assert counted.measured > 0


@pytest.mark.usefixtures("switched_on")
def test_only_what_changed_is_measured(tmp_path: Path) -> None:
    rows = bundled()[:8]

    def audit(name: str, cache: bool = True) -> list[str]:
        random.Random(name).shuffle(rows)
        write(rows, tmp_path / "m.jsonl")
        said = Said()
        root = Path(rows[0]["audio_filepath"]).parent
        report = api.audit_corpus(
            tmp_path / "m.jsonl",
            name=name,
            out=tmp_path / "reports",
            fraction=1.0,
            audio_root=root,
            cache=cache,
            progress=said,
        )
        assert report.content.total_samples == 8
        return said.lines[1:]

    assert audit("without", cache=False) == []
    assert not (cache_home() / "measurements").exists()
    assert audit("first") == []
    assert audit("same") == ["measured 0, kept 8 from earlier audits"]
    rows[0] = {**rows[0], "text": rows[1]["text"]}
    rows[1] = {**rows[1], "id": "another"}
    assert audit("corrected") == ["measured 1, kept 7 from earlier audits"]
    assert audit("without", cache=False) == []


def test_a_row_more_or_less_changes_its_own_group_alone() -> None:
    rows = [
        Utterance(f"u{number}", "x", Path("a.wav"), "a.wav", f"m:{number}") for number in range(300)
    ]
    lengths = dict.fromkeys((u.id for u in rows), 8.0)
    whole = list(_groups(rows, 240.0, lengths))
    assert [u for group in whole for u in group] == rows
    assert all(120 <= 8 * len(group) <= 480 for group in whole[:-1])
    less = list(_groups(rows[:100] + rows[101:], 240.0, lengths))
    assert sum(group not in whole for group in less) <= 2
