"""Words that stand in a row and are said in its neighbour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.judge import SampleJudge
from asr_gate.audit.pairing.neighbours import find_moved, patterns_of
from asr_gate.audit.pairing.outside import given_to_many, in_other_files
from asr_gate.audit.pairing.places import Places
from asr_gate.audit.records.alignment import AlignedWord, HeardWord
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import MovedWords, Partner, SearchedFile
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import POLICY, normal_rows, row

MODEL = ModelInfo("m", "r", "0", "en", ("-", "a"), 0, None, 0.02, 16000, 0.0)


def heard(number: int, text: str, said: str) -> Measured:
    """A row whose words are kept if they are said, heard word by word, half a second each."""
    times = {word: (at / 2, at / 2 + 0.4) for at, word in enumerate(said.split())}
    words = []
    last = 0.0
    for word in text.split():
        start, end = times.get(word, (last, last))
        last = end
        kept = word in times
        word = AlignedWord(word, len(word), start, end, kept, kept, 0.9, -5.0, -5.0, masked=False)
        words.append(word)
    sounds = tuple(HeardWord(word[:-1] + "x", *times[word]) for word in said.split())
    return replace(row(number), text=text, words=tuple(words), heard=sounds)


def places(rows: list[Measured], audio: str | None = None) -> Places:
    utterances = [
        Utterance(r.id, r.text, Path("a"), audio or f"{n}.wav", f"/m.jsonl:{n}")
        for n, r in enumerate(rows)
    ]
    return Places(Corpus(utterances, ["/m.jsonl"]))


SAID = ["alpha bravo charlie delta", "echo foxtrot golf hotel", "india juliett kilo lima"]


def test_first_words_at_the_end_of_the_row_before() -> None:
    texts = ["alpha bravo", "charlie delta echo foxtrot", "golf hotel india juliett kilo lima"]
    rows = [heard(n, t, s) for n, (t, s) in enumerate(zip(texts, SAID, strict=True))]
    found = find_moved(rows, (), places(rows, "a.wav"))
    assert found == [
        MovedWords(id="d-1", end="first", words="charlie delta", to="d-0"),
        MovedWords(id="d-2", end="first", words="golf hotel", to="d-1"),
    ]
    assert not find_moved(rows, {"d-0", "d-1", "d-2"}, places(rows))


def test_last_words_at_the_beginning_of_the_next_row() -> None:
    texts = ["alpha bravo charlie delta echo foxtrot", "golf hotel", "india juliett kilo lima"]
    rows = [heard(n, t, s) for n, (t, s) in enumerate(zip(texts, SAID, strict=True))]
    (found,) = find_moved(rows, (), places(rows))
    assert found == MovedWords(id="d-0", end="last", words="echo foxtrot", to="d-1")


def test_a_neighbours_text_that_ran_in() -> None:
    texts = [SAID[0], f"{SAID[0]} {SAID[1]}", f"{SAID[2]} {SAID[2]}"]
    rows = [heard(n, t, s) for n, (t, s) in enumerate(zip(texts, SAID, strict=True))]
    (found,) = find_moved(rows, (), places(rows))
    assert found == MovedWords(id="d-1", end="first", words=SAID[0], to=None)


def test_a_text_that_ran_in_is_no_right_one_that_looks_wrong() -> None:
    rows = [written(r, f"alpha bravo number {n}") for n, r in enumerate(normal_rows(90, 3))]
    for n in range(0, 89, 3):
        both = f"{rows[n].text} {rows[n + 1].text}"
        # Half of it is said: wrong, and less so than swapped texts.
        rows[n] = replace(written(rows[n], both, unsaid=4), loss=0.7)
    corpus = Corpus([Utterance(r.id, r.text, Path("a"), r.id, "/m:1") for r in rows], ["/m"])
    identity = Fingerprint("sha256:0", {}, {r.id: r.id for r in rows})
    found = SampleJudge(corpus, identity, POLICY, MODEL).judge(rows)
    assert len(found.pairing.moved) == 30
    assert not found.untold


def written(one: Measured, text: str, unsaid: int = 0) -> Measured:
    """A row with another text, whose last words are not said."""
    words = text.split()
    said = [n < len(words) - unsaid for n in range(len(words))]
    return replace(
        one,
        text=text,
        words=tuple(
            AlignedWord(w, len(w), 0.1, 0.4, kept, kept, 0.9, -5.0, -5.0, masked=False)
            for w, kept in zip(words, said, strict=True)
        ),
        gaps=one.gaps[:1] * (len(words) + 1),
    )


def test_what_is_said_nowhere_and_what_is_right_is_left_alone() -> None:
    texts = [SAID[0], f"november oscar {SAID[1]}", SAID[2]]
    rows = [heard(n, t, s) for n, (t, s) in enumerate(zip(texts, SAID, strict=True))]
    assert not find_moved(rows, (), places(rows))


def test_several_make_a_pattern() -> None:
    rows = [heard(n, SAID[0], SAID[0]) for n in range(9)]
    moved = [MovedWords(id=f"d-{n}", end="first", words="a", to=f"d-{n - 1}") for n in (1, 4, 7)]
    (found,) = patterns_of(moved, places(rows))
    assert (found.kind, found.first, found.last, found.rows) == ("boundaries", "d-1", "d-7", 3)
    assert not list(patterns_of(moved[:2], places(rows)))
    inside = [replace_to(one) for one in moved]
    assert [one.kind for one in patterns_of(inside, places(rows))] == ["run_in"]


def replace_to(one: MovedWords) -> MovedWords:
    return one.model_copy(update={"to": None})


def test_one_text_that_was_given_to_many() -> None:
    rows = [heard(n, SAID[n < 5], SAID[0]) for n in range(9)]
    wrong = {"d-0", "d-1", "d-2", "d-3"}
    (found,) = given_to_many(rows, wrong, places(rows))
    assert (found.kind, found.first, found.last, found.rows) == ("repeated", "d-0", "d-4", 5)
    assert not list(given_to_many(rows, {"d-0", "d-1"}, places(rows)))


def test_texts_of_a_file_beside_the_corpus() -> None:
    rows = [heard(n, SAID[0], SAID[0]) for n in range(9)]
    partners = {f"d-{n}": Partner((f"more.txt:{n}",), 0.1, 0.1) for n in (2, 3, 6)}
    file = SearchedFile(file="more.txt", sha256="0", texts=9)
    (found,) = in_other_files(partners, [file], places(rows))
    assert (found.kind, found.first, found.last, found.rows) == ("elsewhere", "d-2", "d-6", 3)
