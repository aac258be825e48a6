"""Which defects are planted where."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.controls.plant import COHORT, MIN_LETTERS, Planting, plan_controls
from asr_gate.audit.records.controls import KINDS
from asr_gate.corpus.text.letters import Transcript, spell
from asr_gate.corpus.utterance import Utterance

ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz'")


def words_of(transcript: Transcript) -> list[str]:
    return ["".join(letter or "?" for letter in word.letters) for word in transcript.words]


def sample_of(texts: dict[str, list[str]]) -> tuple[list[Utterance], dict[str, Transcript]]:
    """Utterances by domain, and their transcripts."""
    sample = [
        Utterance(f"{domain}-{n}", text, Path("a.wav"), "a.wav", f"m:{n}", domain=domain)
        for domain, members in texts.items()
        for n, text in enumerate(members)
    ]
    return sample, {u.id: spell(u.text, ALPHABET) for u in sample}


def sentences(count: int, letters: str, seed: int) -> list[str]:
    """Sentences of three to nine words of some letters."""
    source = random.Random(seed)
    return [
        " ".join(
            "".join(source.choice(letters) for _ in range(source.randint(1, 7)))
            for _ in range(source.randint(3, 9))
        )
        for _ in range(count)
    ]


TEXTS = {"north": sentences(40, "abcdefg", 1), "south": sentences(25, "tuvwxyz", 2)}


def plan(
    texts: dict[str, list[str]] = TEXTS, per_kind: int = 1000, seed: int = 0
) -> dict[str, Planting]:
    return plan_controls(*sample_of(texts), per_kind=per_kind, seed=seed)


def test_the_seed_alone_decides() -> None:
    assert plan() == plan()
    assert plan(per_kind=20) == plan(per_kind=20)
    assert plan(per_kind=20) != plan(per_kind=20, seed=1)


def test_the_order_of_the_sample_changes_nothing() -> None:
    sample, transcripts = sample_of(TEXTS)
    for per_kind in (10, 1000):
        expected = plan_controls(sample, transcripts, per_kind=per_kind, seed=3)
        for seed in range(3):
            shuffled = sample.copy()
            random.Random(seed).shuffle(shuffled)
            assert plan_controls(shuffled, transcripts, per_kind=per_kind, seed=3) == expected


def test_the_order_of_equal_texts_changes_nothing() -> None:
    """Two spellings of the same letters are one text, whichever stands for both."""
    sample, transcripts = sample_of({"d": ["A cat sat.", "a cat sat", *sentences(12, "abc", 5)]})

    def planted(order: list[Utterance]) -> dict[str, list[tuple[str, list[str], int]]]:
        plantings = plan_controls(order, transcripts, per_kind=1000, seed=0)
        return {
            identity: [("cohort", words_of(text), 0) for text in planting.cohort]
            + [(p.kind, words_of(p.transcript), p.at) for p in planting.planted]
            for identity, planting in plantings.items()
        }

    assert planted(sample[::-1]) == planted(sample)


def test_at_most_one_of_each_kind_an_utterance() -> None:
    for planting in plan().values():
        kinds = [planted.kind for planted in planting.planted]
        assert len(kinds) == len(set(kinds))
    counts = {
        kind: sum(p.kind == kind for planting in plan().values() for p in planting.planted)
        for kind in KINDS
    }
    assert min(counts.values()) > 50, "nearly every one of the 65 utterances takes every kind"


def test_about_as_many_as_asked_for_and_the_same_share_of_each_domain() -> None:
    few = plan(per_kind=26)
    for kind in KINDS:
        here = [i for i, planting in few.items() if kind in {p.kind for p in planting.planted}]
        assert 22 <= len(here) <= 26
        assert 13 <= sum(i.startswith("north") for i in here) <= 16


def test_no_controls_where_none_are_wanted() -> None:
    assert plan(per_kind=0) == {}


def test_planted_words_are_long_enough() -> None:
    transcripts = sample_of(TEXTS)[1]
    for identity, planting in plan().items():
        own = words_of(transcripts[identity])
        for planted in planting.planted:
            there = words_of(planted.transcript)
            if planted.kind == "inserted":
                assert there[: planted.at] + there[planted.at + 1 :] == own
                assert there[planted.at] not in own
                assert len(there[planted.at]) >= MIN_LETTERS
            elif planted.kind == "doubled":
                assert there[: planted.at] + there[planted.at + 1 :] == own
                assert there[planted.at] == there[planted.at + 1]
                assert len(there[planted.at]) >= MIN_LETTERS
            elif planted.kind == "replaced":
                changed = [i for i, (a, b) in enumerate(zip(own, there, strict=True)) if a != b]
                assert changed == [planted.at]
                assert min(len(own[planted.at]), len(there[planted.at])) >= MIN_LETTERS
            elif planted.kind == "removed":
                assert own[: planted.at] + own[planted.at + 1 :] == there
                assert len(own[planted.at]) >= MIN_LETTERS
            elif planted.kind == "cut":
                assert there in (own[-len(there) :], own[: len(there)])
                assert planted.at == (0 if there == own[-len(there) :] else len(there))
                assert 0 < len(there) < len(own)
            elif planted.kind == "exchanged":
                i = planted.at
                assert there[i : i + 2] == own[i : i + 2][::-1] != own[i : i + 2]
                assert there[:i] + there[i + 2 :] == own[:i] + own[i + 2 :]
            elif planted.kind == "phrase":
                changed = [i for i, (a, b) in enumerate(zip(own, there, strict=True)) if a != b]
                assert changed == [*range(planted.at, planted.at + planted.words)]
                assert 2 <= planted.words <= 4
            elif planted.kind == "overlap":
                assert there[: planted.at] + there[planted.at + planted.words :] == own
                assert planted.at in (0, len(own))
            elif planted.kind == "shortened":
                assert there == own
                assert planted.at in (0, len(own))
            else:
                assert planted.kind == "swapped"
                assert there != own


def test_unknown_characters_are_counted_in_what_is_planted() -> None:
    sample, transcripts = sample_of({"d": ["cat 12 bird", *sentences(10, "abc", 0)]})
    for planting in plan_controls(sample, transcripts, per_kind=100, seed=0).values():
        for planted in planting.planted:
            unknown = sum(None is x for w in planted.transcript.words for x in w.letters)
            assert planted.transcript.unknown == unknown
            if planted.kind in ("inserted", "replaced"):
                assert None not in planted.transcript.words[planted.at].letters


def test_domains_keep_to_their_own_transcripts() -> None:
    own = {domain: {w for text in texts for w in text.split()} for domain, texts in TEXTS.items()}
    for identity, planting in plan().items():
        domain = identity.split("-")[0]
        texts = [*planting.cohort, *(planted.transcript for planted in planting.planted)]
        for transcript in texts:
            assert set(words_of(transcript)) <= own[domain]


def test_a_domain_with_few_texts_borrows_texts_of_others() -> None:
    texts = {"many": sentences(30, "abc", 0), "few": ["xxx yyy zzz", "xyz zyx yxz"]}
    planting = plan(texts)["few-0"]
    assert len(planting.cohort) == COHORT
    assert {planted.kind for planted in planting.planted} >= {"swapped", "inserted"}
    (inserted,) = [p for p in planting.planted if p.kind == "inserted"]
    assert words_of(inserted.transcript)[inserted.at] in {"xyz", "zyx", "yxz"}


def test_the_same_text_is_no_wrong_text() -> None:
    """Prompts that many people read, also where they are written differently."""
    texts = {"d": ["The cat sat down"] * 20 + ["the cat: SAT down!"] * 20 + sentences(12, "abc", 4)}
    sample, transcripts = sample_of(texts)
    for identity, planting in plan_controls(sample, transcripts, per_kind=100, seed=0).items():
        own = words_of(transcripts[identity])
        wrong = [*planting.cohort, *(p.transcript for p in planting.planted if p.kind == "swapped")]
        assert wrong
        assert all(words_of(transcript) != own for transcript in wrong)
        cohort = [tuple(words_of(transcript)) for transcript in planting.cohort]
        assert len(set(cohort)) == len(cohort)


def test_one_text_alone_has_no_wrong_ones() -> None:
    (planting,) = plan({"d": ["the cat sat"]}).values()
    assert planting.cohort == ()
    kinds = {planted.kind for planted in planting.planted}
    assert "swapped" not in kinds
    assert "inserted" not in kinds, "no word is known that the text lacks"
    assert kinds >= {"doubled", "removed", "cut"}


def test_transcripts_of_others_are_like_in_length() -> None:
    texts = {"d": [" ".join(["word"] * n) + f" {'x' * n}" for n in range(1, 60)]}
    sample, transcripts = sample_of(texts)
    for identity, planting in plan_controls(sample, transcripts, per_kind=100, seed=0).items():
        letters = transcripts[identity].letters
        assert all(abs(other.letters - letters) <= 45 for other in planting.cohort)


@pytest.mark.parametrize("text", ["", "...", "שלום"])
def test_what_cannot_be_aligned_takes_no_controls(text: str) -> None:
    planned = plan({"d": [text, *sentences(5, "abc", 0)]})
    assert "d-0" not in planned
    assert len(planned) == 5


def test_short_texts_take_what_they_can() -> None:
    planned = plan({"d": ["a", "it is", *sentences(8, "abcd", 0)]})
    assert {p.kind for p in planned["d-0"].planted} == {"swapped", "inserted", "overlap"}
    assert {p.kind for p in planned["d-1"].planted} == {
        "swapped", "inserted", "cut", "phrase", "overlap", "shortened"
    }  # fmt: skip


def test_another_utterance_changes_nothing_for_the_others() -> None:
    """Each utterance draws for itself, so that two samples share most of their controls."""
    sample, transcripts = sample_of(TEXTS)
    whole = plan_controls(sample, transcripts, per_kind=1000, seed=0)
    extra = replace(sample[0], id="north-99")
    more = plan_controls(
        [*sample, extra], {**transcripts, "north-99": transcripts["north-0"]}, per_kind=1000, seed=0
    )
    assert {i: p for i, p in more.items() if i != "north-99"} == whole


def test_a_corrected_text_changes_what_few_others_take() -> None:
    texts = {"d": sentences(300, "abcdefgh", 7)}
    before = plan(texts)
    texts["d"][5] = f"{texts['d'][5]} dabecafe"
    after = plan(texts)
    changed = [i for i in before if i != "d-5" and before[i] != after[i]]
    assert len(changed) < 30
    tried = [(p.kind, words_of(p.transcript)) for i in changed for p in before[i].planted]
    again = [(p.kind, words_of(p.transcript)) for i in changed for p in after[i].planted]
    assert sum(a != b for a, b in zip(tried, again, strict=True)) < len(tried) / 4
