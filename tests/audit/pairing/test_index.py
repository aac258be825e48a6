"""The index of texts: found again, kept by content, made anew in part, and not trusted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asr_gate.audit.pairing import index as indexing
from asr_gate.audit.pairing.index import Text, TextIndex
from asr_gate.corpus.text.similar import bare

WORDS = [a + b + c for a in "bdkl" for b in ("ae", "io", "ou") for c in "mnrst"]


def texts(many: int) -> list[Text]:
    rng = random.Random(1)
    return [Text(" ".join(rng.choices(WORDS, k=8)), "en") for _ in range(many)]


def opened(those: list[Text], *, keep: bool = True) -> TextIndex:
    keys = np.array([text.key() for text in those], np.uint64)
    letters = sum(len(text.text) for text in those)
    return TextIndex(keys, letters, lambda: those, bare, {}, keep=keep, say=lambda _: None)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of kept parts, of which 400 texts fill eight."""
    for name in ("CI", "GITHUB_ACTIONS", "ASR_CACHE_GB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(indexing, "PART", 2500)
    monkeypatch.setattr(indexing, "FEWEST_KEPT", 100)
    yield tmp_path / "asr-gate" / "texts"


def best(index: TextIndex, heard: str) -> set[str]:
    return {hit.text.text for hit in index.near(heard, 5)}


def test_a_text_is_found_by_what_is_heard_of_it() -> None:
    those = texts(400)
    index = opened(those)
    for text in those[::40]:
        heard = text.text[:10] + text.text[14:]
        assert text.text in best(index, heard)
    assert index.near("", 5) == index.near("zz", 5) == []


def test_the_same_texts_are_opened_and_nearly_the_same_made_in_part(cache: Path) -> None:
    those = texts(400)
    first = opened(those)
    assert first.made == len(list(cache.iterdir())) == 8
    again = opened(those[::-1] + those[:5])
    assert again.made == 0
    assert best(again, those[7].text) == best(first, those[7].text)
    changed = [*those[1:], Text("quite another text", "en")]
    other = opened(changed)
    assert 0 < other.made <= 2
    # What was kept decides nothing.
    fresh = opened(changed, keep=False)
    for text in changed[::50]:
        assert other.near(text.text, 5) == fresh.near(text.text, 5)
    assert "quite another text" in best(other, "quite another tekst")
    fresh.close()


def test_a_damaged_part_is_made_anew(cache: Path) -> None:
    those = texts(400)
    opened(those)
    part = next(iter(cache.iterdir()))
    file = max(part.iterdir(), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    file.unlink()  # it may be mapped still
    file.write_bytes(content[:-20] + bytes(20))
    assert opened(those).made == 1
    assert opened(those).made == 0


@pytest.mark.parametrize("variable", [("CI", "true"), ("ASR_CACHE_GB", "0")])
def test_nothing_is_kept_where_it_must_not(
    cache: Path, monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    monkeypatch.setenv(*variable)
    those = texts(120)
    index = opened(those)
    assert those[3].text in best(index, those[3].text)
    assert not cache.exists()


def test_what_was_not_used_for_longest_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(texts(200))
    before = {path.name for path in cache.iterdir()}
    monkeypatch.setattr(indexing, "MOST_KEPT", 8)
    opened([Text(f"{text.text} and more", None) for text in texts(400)])
    after = {path.name for path in cache.iterdir()}
    assert len(after) == 8
    assert not before & after


def test_a_place_that_cannot_be_written_costs_the_keeping_only(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file is in the way")
    those = texts(120)
    assert those[3].text in best(opened(those), those[3].text)


def test_a_part_that_another_audit_removes_is_not_taken_for_empty(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    those = texts(120)
    opened(those)
    for part in cache.iterdir():
        for path in part.iterdir():
            path.unlink()
    with monkeypatch.context() as still_whole:
        still_whole.setattr(indexing, "_is_whole", lambda folder: folder.parent == cache)
        assert those[3].text in best(opened(those), those[3].text)


def test_equal_texts_and_texts_without_letters() -> None:
    same = [Text("the same text", "en")] * 3 + [Text("…", None)]
    index = opened(same)
    assert len(index.near("the same text", 5)) == 1
