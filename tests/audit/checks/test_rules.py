"""Every rule finds its defect, and nothing in a sound utterance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_gate.audit.checks import RULES, run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.controls.calibrate import USUAL
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.causes import strongest_first
from asr_gate.audit.records.controls import EVIDENCE, KINDS, Kind
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.judged import Judged, JudgedGap, JudgedWord
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.pairing import FoundRow, OtherText, Pairing
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.records.rules import catalogue
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import SIGNAL


def word(text: str, start: float, end: float) -> JudgedWord:
    return JudgedWord(text, len(text), start, end, True, 0.9, False, spoken=0.98, replaced=0.02)


MEASURED = Measured(
    id="good-0",
    domain="d",
    lang="en",
    text="ten letters here",
    duration=1.0,
    speech_seconds=0.8,
    peak_db=-10.0,
    speech_to_noise=30.0,
    signal=SIGNAL,
    letters=14,
    unknown=0,
    dropped=0,
    activity=((0.1, 0.9),),
    words=(),
    gaps=(),
    unaligned=(),
    heard=(),
    loss=0.1,
    cohort_loss=1.0,
    tokens=14,
    lags=(),
    controls=(),
    fault=None,
)

GOOD = Judged(
    MEASURED,
    words=(word("ten", 0.1, 0.3), word("letters", 0.3, 0.6), word("here", 0.6, 0.9)),
    gaps=tuple(
        JudgedGap(start, end, -5.0, untranscribed=0.02)
        for start, end in ((0.0, 0.1), (0.3, 0.3), (0.6, 0.6), (0.9, 1.0))
    ),
    text_coverage=1.0,
    speech_coverage=0.95,
    confidence=0.9,
    quality=0.85,
)

FIGURES = {"words", "gaps", "text_coverage", "speech_coverage", "confidence", "quality"}


def but(row: Judged, **changes: Any) -> Judged:
    """A row with other measurements or figures."""
    figures = {name: value for name, value in changes.items() if name in FIGURES}
    measured = {name: value for name, value in changes.items() if name not in FIGURES}
    return replace(row, measured=replace(row.measured, **measured), **figures)


def with_words(**changes: dict[int, Any]) -> tuple[JudgedWord, ...]:
    """The words of `GOOD`; of each field, by word, what is different."""
    return tuple(
        replace(w, **{name: values[i] for name, values in changes.items() if i in values})
        for i, w in enumerate(GOOD.words)
    )


def with_gap(number: int, **fields: Any) -> tuple[JudgedGap, ...]:
    return tuple(replace(g, **fields) if i == number else g for i, g in enumerate(GOOD.gaps))


UNKEPT = with_words(kept=dict.fromkeys(range(3), False))

DEFECTS: dict[str, dict[str, Any]] = {
    "A001": {"text_coverage": 0.5, "words": UNKEPT},
    "A002": {"fault": Fault("A002", "too long"), "text_coverage": 0.0},
    "A003": {"confidence": 0.4},
    "A004": {"fault": Fault("A004", "too long")},
    "A005": {"words": with_words(spoken={1: 0.1})},
    "A006": {"words": with_words(replaced={1: 0.9})},
    "A007": {"gaps": with_gap(1, untranscribed=0.9)},
    "A008": {"loss": 0.9},
    "A009": {"gaps": with_gap(0, end=0.5, insertion=20.0)},
    "A010": {"tokens": 2},
    "A011": {"words": with_words(masked={1: True, 2: True}, spoken={1: 0.5, 2: 0.5})},
    "A012": {"others": (OtherText("good-1", 30, 0.01),)},
    "D001": {"id": "z-copy"},
    "D002": {"duration": 0.1},
    "D003": {"letters": 40},
    "S001": {"fault": Fault("S001", "broken"), "duration": 0.0, "speech_seconds": 0.0},
    "S002": {"fault": Fault("S002", "empty"), "duration": 0.0, "speech_seconds": 0.0},
    "S003": {"peak_db": -120.0, "speech_seconds": 0.0, "words": UNKEPT, "confidence": 0.0},
    "S004": {"signal": replace(SIGNAL, clipped=0.02)},
    "S005": {"signal": replace(SIGNAL, sample_rate=8000, bandwidth=3900.0)},
    "S006": {"signal": replace(SIGNAL, bandwidth=3900.0)},
    "S007": {"signal": replace(SIGNAL, dc_offset=0.03)},
    "S008": {"signal": replace(SIGNAL, channels=2, channel_gap=50.0, channel_correlation=0.0)},
    "S009": {"speech_to_noise": 9.0},
    "S010": {"duration": 5.0, "activity": ((4.0, 4.8),)},
    "T001": {"fault": Fault("T001", "empty"), "letters": 0},
    "T002": {"fault": Fault("T002", "foreign"), "unknown": 14},
    "T003": {"unknown": 2},
    "T005": {"lang": "mt"},
    "T006": {"text": "совсем другие буквы"},
    "T007": {"text": "ten lеtters here"},
    "T008": {"text": "ten letters [noise] here"},
    "T009": {"text": "ten letters\u200b here"},
    "T010": {"text": "das sind nun wirklich nicht zehn Buchstaben"},
}

OF_THE_CORPUS = ("D004", "D005", "D006", "D007", "D008", "D009", "D010", "R001", "T011")
"""Rules that compare rows of a corpus: `test_corpus_rules`."""

COUNTED = frozenset({"coverage", "confidence"})


def context(
    rows: list[Judged],
    *,
    underpowered: frozenset[Kind] = frozenset(),
    absolute_thresholds: frozenset[str] = COUNTED,
) -> Context:
    content = {row.id: row.id for row in rows} | {"z-copy": "good-0"}
    domains = {row.domain for row in rows}
    calibration = Calibration(
        thresholds={domain: dict(USUAL) for domain in domains},
        slopes=dict.fromkeys(EVIDENCE, 5.0),
        power={domain: {} for domain in domains},
        underpowered=dict.fromkeys(domains, underpowered),
        tokens_per_second=16.0,
    )
    utterances = [
        Utterance(r.id, r.text, Path("a.wav"), "a.wav", "m:1", lang=r.lang, domain=r.domain)
        for r in (row.measured for row in rows)
    ]
    return Context(
        load_policy(),
        content,
        "en",
        calibration,
        dict.fromkeys(domains, absolute_thresholds),
        Corpus(utterances, ["m"]),
        pairing=Pairing(
            found=[
                FoundRow(
                    id=row.id,
                    text_of=row.measured.others[0].row,
                    ratio=0.1,
                    row=number,
                    text_row=None,
                )
                for number, row in enumerate(rows, start=1)
                if row.measured.others
            ]
        ),
    )


def findings(bad: Judged, **seen: Any) -> list[Finding]:
    """What is found in one utterance among sound ones."""
    rows = [*goods(), bad]
    return [found for found in run_rules(rows, context(rows, **seen)) if found.id == bad.id]


def goods() -> list[Judged]:
    return [but(GOOD, id=f"good-{n}") for n in range(9)]


def test_codes_are_unique_and_every_rule_is_tested() -> None:
    tested = sorted([*DEFECTS, "T004", *OF_THE_CORPUS])
    assert [rule.code for rule in RULES] == tested, "enter it in DEFECTS or OF_THE_CORPUS"
    assert [rule.code for rule in RULES] == list(catalogue())
    assert len({rule.name for rule in catalogue().values()}) == len(RULES)


@pytest.mark.parametrize("code", DEFECTS)
def test_a_rule_finds_its_defect_alone(code: str) -> None:
    bad = but(GOOD, **{"id": "bad", **DEFECTS[code]})
    rows = [*goods(), bad]
    found = [(f.id, f.code) for f in run_rules(rows, context(rows))]
    assert found == [(bad.id, code)]


def test_sound_utterances_have_no_findings() -> None:
    rows = goods()
    assert list(run_rules(rows, context(rows))) == []


def test_mostly_unknown_text_is_low_quality_whatever_else_fits() -> None:
    bad = but(GOOD, id="bad", unknown=4)
    found = list(run_rules([*goods(), bad], context([*goods(), bad])))
    assert [(f.id, f.code, f.severity) for f in found] == [
        ("bad", "T003", "warning"),
        ("bad", "T004", "error"),
    ]


def test_of_what_is_not_recognised_nothing_else_is_said() -> None:
    unlike = {"loss": 0.9, "text_coverage": 0.1, "confidence": 0.1, "words": UNKEPT}
    found = findings(but(GOOD, id="bad", tokens=2, **unlike))
    assert [f.code for f in found] == ["A010"]
    assert found[0].message == (
        "the model recognises 2 letters in 0.8 s of speech, where 13 are usual; nothing can be "
        "said about its transcript"
    )
    # In half a second eight letters are usual, and chance may leave most of them out.
    short = but(GOOD, id="bad", tokens=2, speech_seconds=0.5)
    assert findings(short) == []


def test_unreadable_audio_is_no_duplicate() -> None:
    bad = but(GOOD, id="z-copy", fault=Fault("S001", "missing"))
    assert [f.code for f in run_rules([*goods(), bad], context([*goods(), bad]))] == ["S001"]


def test_messages_say_what_and_how_much() -> None:
    bad = but(GOOD, id="bad", text_coverage=0.25, words=UNKEPT)
    (finding,) = run_rules([*goods(), bad], context([*goods(), bad]))
    assert finding.message == (
        "25% of the text is said ('ten letters here' is not); 95% of the speech is transcribed"
    )


def test_the_domain_sets_the_rate() -> None:
    slow = [but(GOOD, id=f"slow-{n}", domain="slow", letters=4) for n in range(5)]
    rows = [*goods(), *slow]
    assert list(run_rules(rows, context(rows))) == []


def test_words_that_are_not_said_are_one_finding_with_its_time() -> None:
    # Two words of three at an edge are a cut besides; one is not.
    (found, cut) = findings(but(GOOD, id="bad", words=with_words(spoken={0: 0.3, 1: 0.1})))
    assert (found.code, found.severity) == ("A005", "warning")
    assert found.message == "'ten letters' is not said (probability that it is: 0.30)"
    assert (found.start, found.end) == (0.1, 0.6)
    assert cut.code == "A009"


def test_words_apart_are_findings_apart() -> None:
    found = findings(but(GOOD, id="bad", words=with_words(spoken={0: 0.3, 2: 0.1})))
    assert [(f.code, f.start, f.end) for f in found] == [("A005", 0.1, 0.3), ("A005", 0.6, 0.9)]


def test_the_threshold_itself_is_no_finding() -> None:
    for words in (with_words(spoken={1: 0.5}), with_words(replaced={1: 0.5})):
        assert findings(but(GOOD, id="bad", words=words)) == []
    assert findings(but(GOOD, id="bad", gaps=with_gap(1, untranscribed=0.5))) == []


def test_a_replaced_word_has_its_time() -> None:
    (found,) = findings(but(GOOD, id="bad", words=with_words(replaced={1: 0.9, 2: 0.7})))
    assert (found.code, found.severity) == ("A006", "warning")
    assert found.message == "something else is said for 'letters here' (probability: 0.90)"
    assert (found.start, found.end) == (0.3, 0.9)


def test_a_word_that_is_not_said_is_not_replaced_too() -> None:
    (found,) = findings(but(GOOD, id="bad", words=with_words(replaced={1: 0.9}, spoken={1: 0.1})))
    assert found.code == "A005"


def test_untranscribed_speech_has_its_time_and_neighbours() -> None:
    gaps = with_gap(1, start=0.3, end=0.5, untranscribed=0.9)
    (found,) = findings(but(GOOD, id="bad", gaps=gaps))
    assert (found.code, found.severity) == ("A007", "warning")
    assert found.message == (
        "speech between 0.30 and 0.50 s that the transcript lacks, at 'ten letters' "
        "(probability: 0.90)"
    )
    assert (found.start, found.end) == (0.3, 0.5)
    (edge,) = findings(but(GOOD, id="bad", gaps=with_gap(0, untranscribed=0.9)))
    assert "at 'ten' (" in edge.message
    (edge,) = findings(but(GOOD, id="bad", gaps=with_gap(3, untranscribed=0.9)))
    assert "at 'here' (" in edge.message


def test_another_text_hides_what_its_words_say() -> None:
    bad = but(
        GOOD,
        id="bad",
        loss=0.9,
        words=with_words(spoken={0: 0.1, 1: 0.1}, replaced={2: 0.9}),
        gaps=with_gap(0, end=0.5, insertion=20.0, untranscribed=0.9),
        text_coverage=0.3,
        speech_coverage=0.2,
    )
    assert [f.code for f in findings(bad)] == ["A001", "A008"]
    found = findings(bad)[-1]
    assert found.severity == "error"
    assert "(mismatch 0.90; right texts stay under 0.80)" in found.message
    assert (found.start, found.end) == (None, None)


CUT_TEXT = {"gaps": with_gap(3, start=0.4, insertion=20.0), "speech_coverage": 0.4}
CUT_AUDIO = {"words": with_words(spoken={0: 0.1, 1: 0.1}), "text_coverage": 0.3}


@pytest.mark.parametrize("cut", [CUT_TEXT, CUT_AUDIO])
def test_a_cut_that_costs_as_much_as_another_text_is_a_cut(cut: dict[str, Any]) -> None:
    found = findings(but(GOOD, id="bad", loss=0.9, **cut))
    assert [f.code for f in found if f.code in ("A008", "A009")] == ["A009"]
    assert strongest_first(found)[0].code == "A009"


@pytest.mark.parametrize(
    ("changes", "underpowered"),
    [
        # Of another text the rest does not fit either.
        (CUT_TEXT | {"text_coverage": 0.4}, frozenset()),
        (CUT_TEXT | {"speech_coverage": 0.1}, frozenset()),
        (CUT_AUDIO | {"speech_coverage": 0.4}, frozenset()),
        (CUT_AUDIO | {"text_coverage": 0.05}, frozenset()),
        # What the audit cannot detect explains nothing away.
        (CUT_TEXT, frozenset({"cut"})),
        (CUT_AUDIO, frozenset({"inserted"})),
    ],
)
def test_where_a_cut_does_not_explain_the_mismatch_it_is_another_text(
    changes: dict[str, Any], underpowered: frozenset[Kind]
) -> None:
    found = findings(but(GOOD, id="bad", loss=0.9, **changes), underpowered=underpowered)
    assert [f.code for f in found if f.code in ("A008", "A009")] == ["A008"]
    assert excluded_ids(found) == {"bad"}


def test_a_silent_row_is_silent_and_nothing_else() -> None:
    wrong = {"loss": 0.9, "text_coverage": 0.1, "confidence": 0.1, "words": UNKEPT}
    assert [f.code for f in findings(but(GOOD, id="bad", peak_db=-120.0, **wrong))] == ["S003"]


def test_characters_of_markup_are_markup() -> None:
    bad = but(GOOD, id="bad", text="<b>ten letters</b> here", unknown=4)
    assert [f.code for f in findings(bad)] == ["T004", "T008"]
    assert strongest_first(findings(bad))[0].code == "T008"


def test_without_other_texts_nothing_is_another_text() -> None:
    assert findings(but(GOOD, id="bad", loss=9.0, cohort_loss=None)) == []


@pytest.mark.parametrize(
    ("number", "fields", "message"),
    [
        (0, {"end": 0.5}, "0.4 s of speech lie before where the transcript begins"),
        (3, {"start": 0.5}, "0.4 s of speech lie after where the transcript ends"),
    ],
)
def test_a_text_cut_off_at_an_edge(number: int, fields: dict[str, float], message: str) -> None:
    (found,) = findings(but(GOOD, id="bad", gaps=with_gap(number, insertion=20.0, **fields)))
    assert (found.code, found.severity) == ("A009", "error")
    assert found.message == message
    assert (found.start, found.end) == ((0.0, 0.5) if number == 0 else (0.5, 1.0))


def test_little_speech_at_an_edge_or_little_evidence_is_no_cut() -> None:
    # 0.2 of 0.8 s of speech are 0.16 s.
    assert findings(but(GOOD, id="bad", gaps=with_gap(0, end=0.25, insertion=20.0))) == []
    assert findings(but(GOOD, id="bad", gaps=with_gap(0, end=0.5, insertion=5.0))) == []
    assert findings(but(GOOD, id="bad", gaps=with_gap(1, end=0.9, insertion=20.0))) == []


@pytest.mark.parametrize(
    ("deletion", "message", "times"),
    [
        ((0, 1), "the audio begins after 'ten letters'", (0.1, 0.6)),
        ((1, 2), "the audio ends before 'letters here'", (0.3, 0.9)),
    ],
)
def test_audio_cut_off_at_an_edge(
    deletion: tuple[int, ...], message: str, times: tuple[float, float]
) -> None:
    words = with_words(spoken=dict.fromkeys(deletion, 0.1))
    (_, found) = findings(but(GOOD, id="bad", words=words))
    assert (found.code, found.severity, found.message) == ("A009", "error", message)
    assert (found.start, found.end) == times


def test_all_words_unsaid_are_no_edge() -> None:
    words = with_words(spoken=dict.fromkeys(range(3), 0.1))
    assert [f.code for f in findings(but(GOOD, id="bad", words=words))] == ["A005"]


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("A005", ["inserted", "doubled"]),
        ("A006", ["replaced"]),
        ("A007", ["removed"]),
        ("A008", ["swapped"]),
        ("A009", ["cut"]),
    ],
)
def test_findings_that_the_audit_cannot_tell_do_not_count(code: str, kinds: list[Kind]) -> None:
    bad = but(GOOD, **{"id": "bad", **DEFECTS[code]})
    for kind in KINDS:
        (found,) = findings(bad, underpowered=frozenset({kind}))
        assert (found.code, found.counts) == (code, kind not in kinds)
        assert bool(excluded_ids([found])) == (found.counts and found.severity == "error")


@pytest.mark.parametrize("code", sorted(DEFECTS))
def test_where_nothing_can_be_told_only_facts_of_sound_or_text_count(code: str) -> None:
    bad = but(GOOD, **{"id": "bad", **DEFECTS[code]})
    rows = [*goods(), bad]
    usual = context(rows)
    usual.content.update({"bad": "bad"})  # type: ignore[attr-defined]
    compares = {rule.code for rule in RULES if rule.compares}
    for found in run_rules(rows, replace(usual, untold={"d"})):
        assert found.counts == (found.code not in compares)
    assert {"A001", "A003", "A008", "A009", "A010", "D003"} <= compares
    assert not compares & {"A002", "A004", "S001", "S003", "T001", "T002", "T004"}


def test_cut_audio_is_found_by_unsaid_words() -> None:
    bad = but(GOOD, id="bad", words=with_words(spoken={0: 0.1, 1: 0.1}))
    for kind in KINDS:
        found = findings(bad, underpowered=frozenset({kind}))[-1]
        assert (found.code, found.counts) == ("A009", kind not in ("inserted", "doubled"))


@pytest.mark.parametrize(("code", "figure"), [("A001", "coverage"), ("A003", "confidence")])
def test_fixed_figures_count_only_where_they_mean_something(code: str, figure: str) -> None:
    bad = but(GOOD, **{"id": "bad", **DEFECTS[code]})
    (found,) = findings(bad, absolute_thresholds=COUNTED - {figure})
    assert (found.code, found.severity, found.counts) == (code, "error", False)
    assert not excluded_ids([found])
    (found,) = findings(bad, absolute_thresholds=frozenset({figure}))
    assert found.counts
    assert excluded_ids([found])


def test_warnings_make_nothing_low_quality() -> None:
    for code in ("A005", "A006", "A007"):
        found = findings(but(GOOD, **{"id": "bad", **DEFECTS[code]}))
        assert [f.severity for f in found] == ["warning"]
        assert not excluded_ids(found)
