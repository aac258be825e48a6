"""How texts went astray together."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from asr_gate.audit.pairing.patterns import find_patterns
from asr_gate.audit.pairing.places import Places
from asr_gate.audit.records.pairing import Partner
from asr_gate.corpus.utterance import Corpus, Utterance

ROWS = 40


def corpus() -> Corpus:
    """Rows 0 to 39 of one manifest."""
    rows = [
        Utterance(f"r{n:02}", f"text {n}", Path(f"{n}.wav"), f"{n}.wav", f"/data/m.jsonl:{n + 1}")
        for n in range(ROWS)
    ]
    return Corpus(rows, ["/data/m.jsonl"])


def astray(
    written: list[int], unheard: frozenset[int] = frozenset()
) -> tuple[dict[str, Partner], set[str]]:
    """Of rows that say text n and have `written[n]`: where the right text stands, and who is right.

    Rows with equal text share their partners.
    """
    partners = {}
    right = set()
    for row, text in enumerate(written):
        if row in unheard:
            continue
        if text == row:
            right.add(f"r{row:02}")
        else:
            places = tuple(f"r{n:02}" for n, other in enumerate(written) if other == row)
            if places:
                partners[f"r{row:02}"] = Partner(places, 0.1, 0.05)
    return partners, right


def kinds(written: list[int], unheard: frozenset[int] = frozenset()) -> list[tuple[str, str, str]]:
    partners, right = astray(written, unheard)
    found = find_patterns(partners, right, Places(corpus()))
    for row, text_of in found.text_of.items():
        assert written[int(text_of[1:])] == int(row[1:])
    return [(p.kind, p.first, p.last) for p in found.patterns]


RIGHT = list(range(ROWS))


@pytest.mark.parametrize("by", [1, 3, -1, -3])
def test_a_shift_is_named_with_its_range(by: int) -> None:
    written = RIGHT[:10] + [(n + by - 10) % 25 + 10 for n in range(10, 35)] + RIGHT[35:]
    (found,) = kinds(written)[:1]
    assert found[0] == "shifted"
    partners, right = astray(written)
    pattern = find_patterns(partners, right, Places(corpus())).patterns[0]
    assert pattern.by == -by
    assert pattern.rows == 25 - abs(by)
    assert f"{abs(by)} row" in pattern.sentence


def test_rows_that_nobody_heard_do_not_end_a_shift() -> None:
    written = [*RIGHT[1:], 0]
    assert kinds(written, frozenset(range(0, ROWS, 2))) == [("shifted", "r01", "r39")]


def test_a_shift_from_the_middle_on_leaves_the_rows_before_it_alone() -> None:
    written = [*RIGHT[:20], *RIGHT[21:], 20]
    assert kinds(written) == [("shifted", "r21", "r39")]


def test_two_blocks_exchanged_are_one_pattern() -> None:
    assert kinds([*RIGHT[20:], *RIGHT[:20]]) == [("exchanged", "r00", "r39")]


def test_pairs_swapped() -> None:
    written = [n + 1 if n % 2 == 0 else n - 1 for n in RIGHT]
    assert kinds(written) == [("swapped", "r00", "r39")]


def test_pairs_of_which_some_are_not_heard_are_no_shift() -> None:
    written = [n + 1 if n % 2 == 0 else n - 1 for n in RIGHT]
    found = kinds(written, frozenset({3, 9, 15, 16, 21, 33}))
    assert ("swapped", "r00", "r39") in found
    assert {kind for kind, _, _ in found} <= {"swapped", "permuted"}


def test_a_third_mixed() -> None:
    rng = random.Random(3)
    chosen = rng.sample(RIGHT, 13)
    written = list(RIGHT)
    for at, to in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        written[at] = to
    found = kinds(written)
    assert {kind for kind, _, _ in found} == {"permuted"}


def test_two_wrong_rows_are_no_pattern_and_a_right_corpus_has_none() -> None:
    written = list(RIGHT)
    written[3], written[9] = 39, 38
    assert kinds(written) == []
    assert kinds(RIGHT) == []


def test_of_rows_with_equal_text_the_one_in_the_pattern_is_named() -> None:
    written = [*RIGHT[1:], 0]
    partners, right = astray(written)
    # Row 5's text stands in row 30 too.
    partners["r05"] = Partner(("r30", "r04"), 0.1, 0.05)
    assert find_patterns(partners, right, Places(corpus())).text_of["r05"] == "r04"


def in_files(*lengths: int, folders: bool = False) -> Corpus:
    """Rows 0, 1, … in several manifests, or in one whose audio lies in several folders."""
    rows = []
    for file, length in enumerate(lengths):
        for line in range(length):
            n = len(rows)
            audio = f"f{file}/{n}.wav" if folders else f"{n}.wav"
            manifest = "/data/m.jsonl" if folders else f"/data/m{file}.jsonl"
            origin = f"{manifest}:{(n if folders else line) + 1}"
            rows.append(Utterance(f"r{n:02}", f"text {n}", Path(audio), audio, origin))
    return Corpus(rows, ["/data/m.jsonl"])


def test_two_manifests_exchanged() -> None:
    partners, right = astray([*RIGHT[20:], *RIGHT[:20]])
    (found,) = find_patterns(partners, right, Places(in_files(20, 20))).patterns
    assert (found.kind, found.manifest, found.rows) == ("exchanged", "m0.jsonl", ROWS)
    assert "r20 to r39 in m1.jsonl" in found.sentence


def test_two_folders_exchanged_are_named() -> None:
    partners, right = astray([*RIGHT[20:], *RIGHT[:20]])
    (found,) = find_patterns(partners, right, Places(in_files(20, 20, folders=True))).patterns
    assert "the folders f0 and f1" in found.sentence


def test_mixed_within_a_folder_and_within_a_recording() -> None:
    written = [*RIGHT[:20], *random.Random(1).sample(RIGHT[20:], 20)]
    partners, right = astray(written)
    found = find_patterns(partners, right, Places(in_files(20, 20, folders=True))).patterns
    assert "permuted" in {one.kind for one in found}
    assert any("of the folder f1" in one.sentence for one in found)
    segments = [
        Utterance(row.id, row.text, row.audio, f"rec{n // 20}.wav", row.origin)
        for n, row in enumerate(corpus().utterances)
    ]
    found = find_patterns(partners, right, Places(Corpus(segments, ["/data/m.jsonl"]))).patterns
    renumbered = [one for one in found if one.kind == "renumbered"]
    assert [one.sentence.split(" are ")[0] for one in renumbered] == [
        "m.jsonl: the segments of rec1.wav"
    ]


def test_a_shift_goes_over_rows_whose_text_was_not_found() -> None:
    written = [*RIGHT[1:], 0]
    short = frozenset({5, 17})
    partners, right = astray(written, short)
    # What fits r17 best is not what the shift says: it may stand nowhere.
    unsure = {"r05": ("r09", "r04"), "r17": ("r02",)}
    found = find_patterns(partners, right, Places(corpus()), unsure)
    assert found.implied == {"r05": "r04"}
    # Where some rows in it say otherwise, nothing follows for others.
    mixed = [*range(1, 20), 0, *RIGHT[20:]]
    partners, right = astray(mixed, frozenset({5}))
    for n in (7, 10, 13):
        partners.pop(f"r{n:02}")
        right.add(f"r{n:02}")
    assert not find_patterns(partners, right, Places(corpus()), unsure).implied
