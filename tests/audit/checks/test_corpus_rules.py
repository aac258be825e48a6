"""Rules that compare rows of a corpus: leaks, repetitions, speakers, limits, make-up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_gate.audit.checks import run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.records.rules import catalogue
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import judged
from tests.audit.controls.rows import row as measured

LONG = "the ships that left the harbour before dawn were all back by the evening tide"
SHORT = "please close the window"
ONLY = dict.fromkeys(catalogue(), "off")


class Bytes:
    """Audio that lives inside a dataset."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


def utterance(name: str, text: str = SHORT, **fields: Any) -> Utterance:
    values = {"audio": Path(f"{name}.wav"), "audio_name": f"{name}.wav", "lang": "en", **fields}
    return Utterance(id=name, text=text, origin=f"m.jsonl:{name}", **values)


def found(
    code: str,
    utterances: Sequence[Utterance],
    *,
    others: Sequence[Utterance] = (),
    sampled: Sequence[Measured] = (),
    policy: dict[str, dict[str, Any]] | None = None,
) -> list[Finding]:
    """What one rule finds."""
    values = load_policy().model_dump()
    for section, entries in (policy or {}).items():
        values[section] |= entries
    values["rules"] |= ONLY | {code: catalogue()[code].severity}
    corpus = Corpus(list(utterances), ["m.jsonl"], others=list(others))
    context = Context(
        policy=type(load_policy()).model_validate(values),
        content={u.id: f"{u.audio}{u.text}" for u in utterances},
        language="en",
        calibration=Calibration({}, {}, {}),
        absolute_thresholds={},
        corpus=corpus,
    )
    return list(run_rules([judged(row) for row in sampled], context))


def pairs(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.id, finding.message) for finding in findings]


# Leaks.


def files(folder: Path, **contents: bytes) -> dict[str, Path]:
    for name, content in contents.items():
        (folder / f"{name}.wav").write_bytes(content)
    return {name: folder / f"{name}.wav" for name in contents}


def test_the_same_audio_in_two_splits_is_a_leak_of_the_larger_one(tmp_path: Path) -> None:
    at = files(tmp_path, a=b"one", b=b"two", c=b"one", d=b"six", e=b"ones")
    rows = [
        utterance("a", "what one says", audio=at["a"], split="train"),
        utterance("b", audio=at["b"], split="train"),
        utterance("e", audio=at["e"], split="train"),
        utterance("c", "what another wrote", audio=at["c"], split="test"),
        utterance("d", audio=at["d"], split="test"),
        utterance("gone", audio=tmp_path / "gone.wav", split="test"),
    ]
    assert pairs(found("D004", rows)) == [("a", "the same audio as c of split 'test'")]
    # Of the audited rows one is named, whichever split is the larger one.
    assert pairs(found("D004", rows[3:], others=rows[:3])) == [
        ("c", "the same audio as a of split 'train'")
    ]
    same = [replace(row, split="train") for row in rows]
    assert found("D004", same) == []


def test_of_copies_one_stays_whichever_rules_are_errors(tmp_path: Path) -> None:
    at = files(tmp_path, a=b"one", b=b"two")

    def rows(*splits: str | None) -> list[Utterance]:
        return [
            utterance(f"u{n}", LONG, audio=at["a"], split=split, speaker="x")
            for n, split in enumerate(splits)
        ]

    for splits, stays in [
        ((None, None, None), "u0"),
        (("train", "train", "test"), "u2"),
        (("test", "train", "train"), "u0"),
        (("train", "dev", "test", "test"), "u2"),
        (("train", "validation", "train"), "u1"),
        (("test", "test", "test", "train"), "u0"),
        (("b", "a", "a"), "u0"),
    ]:
        copies = rows(*splits)
        blamed = [f.id for code in ("D001", "D004", "D005", "D006") for f in found(code, copies)]
        assert {u.id for u in copies} - {*blamed} == {stays}, splits
        # A test split stays, however large it is; of others the smaller one does.
        more = [utterance(f"f{n}", f"no {n}", audio=at["b"], split="test") for n in range(9)]
        if "test" in splits:
            leaks = {f.id for f in found("D004", [*copies, *more])}
            assert leaks == {u.id for u in copies if u.split != "test"}


def test_a_copy_that_stays_is_told_where_the_other_is_not_judged(tmp_path: Path) -> None:
    at = files(tmp_path, a=b"one")["a"]
    train = [utterance("a", LONG, audio=at, split="train")]
    test = [utterance("t", LONG, audio=at, split="test")]
    for code in ("D004", "D005"):
        assert [(f.id, f.counts) for f in found(code, test, others=train)] == [("t", False)]
        assert [(f.id, f.counts) for f in found(code, train, others=test)] == [("a", True)]


def test_segments_of_a_recording_leak_where_they_overlap(tmp_path: Path) -> None:
    at = files(tmp_path, a=b"session")["a"]

    def cut(name: str, offset: float, duration: float | None, split: str) -> Utterance:
        return utterance(name, audio=at, offset=offset, duration=duration, split=split)

    train = [cut(f"train-{n}", 5.0 * n, 5.0, "train") for n in range(100)]
    for test, leaking in [
        (cut("t", 12.0, 2.0, "test"), ["train-2"]),
        (cut("t", 14.0, 2.1, "test"), ["train-3"]),
        (cut("t", 14.5, 1.0, "test"), []),
        (cut("t", 500.0, 5.0, "test"), []),
        (cut("t", 490.0, None, "test"), ["train-98", "train-99"]),
    ]:
        assert [f.id for f in found("D004", [*train, test])] == leaking


def test_audio_inside_a_dataset_leaks_too() -> None:
    rows = [
        utterance("a", audio=Bytes(b"one"), split="train"),
        utterance("b", audio=Bytes(b"two"), split="train"),
        utterance("c", audio=Bytes(b"one"), split="test"),
    ]
    assert [f.id for f in found("D004", rows)] == ["a"]


def split_rows(train: list[Utterance], test: list[Utterance]) -> list[Utterance]:
    filler = [utterance(f"f{n}", f"nothing like it {n}") for n in range(3)]
    return [replace(u, split="train") for u in [*train, *filler]] + [
        replace(u, split="test") for u in test
    ]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        # A long text, whoever says it: the same but for case and punctuation, or nearly so.
        (utterance("a", LONG, speaker="x"), utterance("b", LONG, speaker="y"), "the same"),
        (utterance("a", LONG), utterance("b", LONG.upper() + "!"), "the same"),
        (utterance("a", LONG), utterance("b", LONG.replace("dawn", "noon")), "nearly the same"),
        # A short one of the same speaker alone.
        (utterance("a", SHORT, speaker="x"), utterance("b", SHORT, speaker="x"), "the same"),
        (utterance("a", SHORT, speaker="x"), utterance("b", SHORT, speaker="y"), None),
        (utterance("a", SHORT), utterance("b", SHORT), None),
        (utterance("a", "yes", speaker="x"), utterance("b", "yes", speaker="x"), None),
        (utterance("a", LONG), utterance("b", LONG.replace("evening tide", "x")[20:]), None),
    ],
)
def test_texts_in_two_splits(train: Utterance, test: Utterance, message: str | None) -> None:
    expected = [] if message is None else [("a", f"{message} text as b of split 'test'")]
    assert pairs(found("D005", split_rows([train], [test]))) == expected


def test_rows_of_splits_that_are_not_audited_are_looked_at() -> None:
    train = [utterance("a", LONG, split="train"), utterance("b", split="train")]
    test = [utterance("t", LONG, split="test")]
    assert pairs(found("D005", test, others=train)) == [
        ("t", "the same text as a of split 'train'")
    ]
    assert found("D005", test) == []


def test_many_rows_of_one_text_are_compared_in_no_time() -> None:
    rows = [utterance(f"u{n}", LONG, split="train" if n % 3 else "test") for n in range(9000)]
    findings = found("D005", rows)
    assert len(findings) == 100
    assert findings[-1].message.endswith("(and 5900 more findings in rows that were not sampled)")


def test_a_speaker_who_repeats_a_long_text() -> None:
    nearly = LONG.replace("dawn", "noon")
    rows = [
        utterance("a", LONG, speaker="x"),
        utterance("b", nearly, speaker="x"),
        utterance("c", LONG, speaker="y"),
        utterance("d", LONG),
        utterance("e", LONG, speaker="x", split="test"),
        utterance("f", SHORT, speaker="x"),
        utterance("g", SHORT, speaker="x"),
    ]
    assert pairs(found("D006", rows)) == [("b", "'x' says nearly the same in a")]
    twice = [rows[0], replace(rows[0], id="z")]
    assert found("D006", twice) == [], "the very same row is a duplicate (D001)"


def test_texts_without_letters_are_found_everywhere() -> None:
    rows = [utterance(f"u{n}", text) for n, text in enumerate(["", " … ", "אב", "5", "%", "—"])]
    assert [f.id for f in found("T001", rows)] == ["u0", "u1", "u5"]


# Speakers' rates.


def speaking(rates: Sequence[float], speaker: str | None = "x") -> list[Finding]:
    sampled = [
        replace(measured(n), letters=round(rate * 10), speech_seconds=10.0)
        for n, rate in enumerate(rates)
    ]
    rows = [utterance(one.id, speaker=speaker) for one in sampled]
    return found("D007", rows, sampled=sampled)


def test_a_speaker_far_from_the_own_rate() -> None:
    draw = random.Random(0)
    usual = [draw.gauss(14, 1) for _ in range(40)]
    assert speaking(usual) == []
    (bad,) = speaking([*usual, 27.0])
    assert (bad.id, bad.severity) == ("d-40", "warning")
    assert bad.message.startswith("27.0 letters a second of speech, where 'x' has 13.8, ")
    assert [f.id for f in speaking([*usual, 6.0])] == ["d-40"]
    assert len(speaking([*usual, *[30.0] * 4])) == 4, "wrong rows do not hide each other"
    assert speaking([*usual[:18], 27.0]) == [], "too few to know the speaker"
    assert speaking([*usual, 27.0], speaker=None) == []
    assert speaking([14.0] * 40 + [15.0]) == [], "a machine that reads evenly"


def test_short_rows_say_nothing_of_a_rate() -> None:
    sampled = [replace(measured(n), letters=140, speech_seconds=10.0) for n in range(30)]
    sampled.append(replace(measured(30), letters=14, speech_seconds=0.5))
    rows = [utterance(one.id, speaker="x") for one in sampled]
    assert found("D007", rows, sampled=sampled) == []


# Limits of a model.


def test_rows_longer_than_the_model_takes() -> None:
    rows = [
        utterance("fits", "x" * 2000, duration=30.0),
        utterance("long", duration=30.5),
        utterance("wordy", "x" * 2001),
        utterance("d-1", duration=9.0),
    ]
    sampled = [replace(measured(1), duration=31.0)]
    assert pairs(found("D008", rows, sampled=sampled)) == [
        ("d-1", "31.00 s long, over 30 s"),
        ("long", "30.50 s long, over 30 s"),
        ("wordy", "2001 characters, over 2000"),
    ]
    limits = {"model_limits": {"max_seconds": 1200.0, "max_characters": 10_000}}
    assert found("D008", rows, sampled=sampled, policy=limits) == []


# Make-up.


def test_a_speaker_with_most_of_the_hours() -> None:
    rows = [utterance(f"a{n}", speaker="narrator", duration=20.0) for n in range(30)]
    rows += [utterance(f"b{n}", speaker=f"s{n}", duration=10.0) for n in range(30)]
    rows += [utterance(f"c{n}", duration=1000.0) for n in range(30)]
    (one,) = found("D009", rows, sampled=[replace(measured(0), id="a7")])
    assert (one.id, one.severity) == ("a7", "info")
    assert one.message == (
        "speaker 'narrator', of this row, has 67% of the hours that name a speaker, over 50%"
    )
    # Rows that do not say how long they are count one each.
    assert found("D009", [replace(row, duration=None) for row in rows]) == []
    assert found("D009", rows[:10]) == [], "too few to say"


def test_a_domain_that_is_hardly_there() -> None:
    rows = [utterance(f"a{n}", domain="whatsapp_noisy") for n in range(199)]
    rows.append(utterance("z", domain="whatsap_noisy"))
    assert pairs(found("D010", rows)) == [
        ("z", "domain 'whatsap_noisy', of this row, has 0.5% of the rows, under 1.0%")
    ]
    assert found("D010", [*rows[:60], rows[-1]]) == []


def test_numbers_in_digits_and_in_words() -> None:
    words = [utterance(f"w{n}", f"we saw {w} ships") for n, w in enumerate(["seven", "twelve"] * 3)]
    digits = [utterance("d7", "only 7, I think"), utterance("d12", "on the 12th of 12 days")]
    assert pairs(found("T011", [*words, *digits])) == [
        ("d7", "'7' is in digits; 6 rows write such numbers in words"),
        ("d12", "'12' is in digits; 6 rows write such numbers in words"),
    ]
    swapped = [replace(row, text=row.text.replace("seven", "7").replace("twelve", "12"))
               for row in words]  # fmt: skip
    rare = utterance("w", "seven ships, and twelve more")
    assert [f.id for f in found("T011", [*swapped, rare])] == ["w"]
    assert found("T011", [*words, digits[0]]) == [], "one value may be another word"
    larger = [utterance(f"l{n}", f"we saw {n} ships") for n in (34, 50, 77)]
    assert found("T011", [*words, *larger]) == [], "a rule of style, and kept"
    other = [replace(row, lang="de") for row in digits]
    assert found("T011", [*words, *other]) == [], "another language"


# What is listed.


def test_of_rows_that_were_not_sampled_some_are_listed_and_the_others_counted() -> None:
    rows = [utterance(f"d-{n}", "[noise]") for n in range(50)]
    sampled = [measured(n) for n in (3, 40)]
    findings = found("T008", rows, sampled=sampled, policy={"corpus": {"unsampled_listed": 5}})
    assert [f.id for f in findings] == ["d-3", "d-40", "d-0", "d-1", "d-2", "d-4", "d-5"]
    assert {f.message for f in findings[:-1]} == {"event '[noise]'"}
    said = "event '[noise]' (and 43 more findings in rows that were not sampled)"
    assert findings[-1].message == said
    none = found("T008", rows, sampled=sampled, policy={"corpus": {"unsampled_listed": 0}})
    assert [f.id for f in none] == ["d-3", "d-40"]


def test_the_language_of_the_row_decides_and_else_the_model_s() -> None:
    hebrew, english = "שלום לכולם ותודה רבה", "good morning to all of you"
    for text, lang, codes in [
        (hebrew, "he", []),
        (hebrew, "iw-IL", []),
        (hebrew, "Hebrew", []),
        (hebrew, None, ["T006"]),
        (hebrew, "en", ["T006"]),
        (hebrew, "und", []),
        (english, "he", ["T006"]),
        (english, None, []),
        ("אני כותב לך ב WhatsApp", "he", []),
        ("הבוקר مرحبا بكم", "he", ["T006"]),
        ("guten Morgen, wie geht es Ihnen heute?", "en", ["T010"]),
        ("guten Morgen, wie geht es Ihnen heute?", "de", []),
        ("guten Morgen, wie geht es Ihnen heute?", "deu", []),
        ("guten Tag", "en", []),
        ("ten of clubs", "en", []),
    ]:
        rows = [utterance("a", text, lang=lang)]
        assert [f.code for c in ("T006", "T010") for f in found(c, rows)] == codes, (text, lang)
