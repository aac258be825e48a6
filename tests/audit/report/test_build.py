"""The report and its tables, from rows whose truth is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.times import Delay
from asr_gate.audit.decide.outcome import conclude
from asr_gate.audit.gate import read_report
from asr_gate.audit.judge import JudgedSample, SampleJudge
from asr_gate.audit.records.controls import EVIDENCE, THRESHOLD_KINDS, Evidence
from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.pairing import OtherText
from asr_gate.audit.records.report import SCHEMA_VERSION, Report, Tool
from asr_gate.audit.report.build import AuditResult, build
from asr_gate.audit.report.schemas import GAPS, UTTERANCES, WORDS
from asr_gate.audit.report.write import write
from asr_gate.audit.sample.plan import Plan, Stratum
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import POLICY, normal_rows, row, spoken_digits
from tests.audit.report.reports import finding as a_finding

MODEL = ModelInfo("m", "r", "0", "en", ("-", "a"), 0, None, 0.02, 16000, 0.0)


def result_of(rows: list[Measured], delay: Delay | None = None) -> AuditResult:
    """What an audit of all of a corpus makes of its measurements."""
    sample = judged(rows)
    return built(replace(sample, delay=delay or sample.delay))


def corpus_of(rows: Sequence[Measured]) -> Corpus:
    sample = [
        Utterance(r.id, r.text, Path("a.wav"), "a.wav", "m:1", duration=1.0, domain=r.domain)
        for r in rows
    ]
    return Corpus(sample, ["m.jsonl"])


def fingerprint_of(rows: Sequence[Measured]) -> Fingerprint:
    return Fingerprint("sha256:0", {}, {r.id: r.id for r in rows})


def judged(rows: Sequence[Measured]) -> JudgedSample:
    return SampleJudge(corpus_of(rows), fingerprint_of(rows), POLICY, MODEL).judge(rows)


def built(sample: JudgedSample) -> AuditResult:
    rows = [row.measured for row in sample.rows]
    counts = Counter(row.domain for row in rows)
    corpus = corpus_of(rows)
    plan = Plan(
        corpus.utterances,
        {d: Stratum(n, n) for d, n in counts.items()},
        seed=0,
        fraction=1.0,
        content="",
    )
    lengths = {row.id: row.duration for row in rows}
    outcome = conclude(corpus, plan, sample, lengths, MODEL, POLICY, None)
    tool = Tool(version="0", git_commit=None)
    return build(corpus, plan, sample, outcome, MODEL, POLICY, fingerprint_of(rows), tool)


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    found = pyarrow.parquet.read_table(folder / name).to_pylist()
    assert isinstance(found, list)
    return found


def test_a_sound_corpus_proceeds() -> None:
    report = result_of(normal_rows(60, 0)).report
    assert (report.schema_version, report.decision) == (SCHEMA_VERSION, "PROCEED")
    assert len(report.reasons) == 1
    assert (report.rules, report.low_quality_count) == ({}, 0)
    assert set(report.controls) == set(THRESHOLD_KINDS)
    for power in report.controls.values():
        assert power.n == 60
        assert power.power == pytest.approx(power.detected / power.n, abs=1e-6)
        assert power.low <= power.power <= power.high
        assert not power.underpowered
    assert report.domain_controls == {"d": report.controls}
    assert set(report.thresholds["d"]) == set(EVIDENCE)
    assert report.absolute_thresholds == {"d": ["confidence", "coverage"]}


def test_findings_that_count_make_low_quality_and_others_do_not() -> None:
    sample = judged(normal_rows(60, 0))

    def finding(n: int, code: str, severity: Any, counts: bool) -> Finding:
        fields = {"severity": severity, "start": 0.123456789, "end": 0.5, "counts": counts}
        return a_finding(f"d-{n}", code, **fields)

    findings = [
        finding(1, "A008", "error", True),
        finding(2, "A008", "error", False),
        finding(3, "A005", "warning", True),
        finding(3, "A005", "warning", True),
        finding(4, "A005", "warning", False),
        finding(5, "A009", "error", False),
        finding(5, "A001", "error", True),
    ]
    result = built(replace(sample, findings=findings, in_force={"d": frozenset()}))
    report = result.report
    assert report.low_quality_count == 2
    assert [r.id for r in result.rows if result.low_quality(r)] == ["d-1", "d-5"]
    assert report.rules == {"A001": 1, "A005": 1, "A008": 1}, "utterances, not findings"
    assert report.domain_statistics["d"].low_quality_count == 2
    assert len(report.findings) == 7, "those that do not count are listed too"
    assert {f.start for f in report.findings} == {0.123457}
    assert sum(not f.counts for f in report.findings) == 3


def test_an_unfit_aligner_has_no_verdict_and_its_findings_do_not_count() -> None:
    deaf = normal_rows(100, 0, apart=dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"swapped": 0.0})
    wrong = [replace(row(n, mismatch=5.0), id=f"w{n}") for n in range(2)]
    result = result_of([*deaf, *wrong])
    report = result.report
    assert report.decision == "NO_VERDICT"
    assert "cannot tell right transcripts from wrong ones" in report.reasons[0]
    assert "aligner" in report.recommendation
    assert report.controls["swapped"].underpowered
    assert not report.controls["inserted"].underpowered
    assert [(f.id, f.counts) for f in report.findings if f.code == "A008"][-2:] == [
        ("w0", False),
        ("w1", False),
    ]
    assert "A008" not in report.rules
    assert report.low_quality_count == 0


def test_where_planted_cuts_are_not_seen_it_is_no_proceed() -> None:
    seen = normal_rows(100, 0)
    assert result_of(seen).report.decision == "PROCEED"
    blind = normal_rows(100, 0, apart=dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"cut": 0.0})
    report = result_of(blind).report
    assert report.controls["cut"].underpowered
    assert report.decision == "CAUTION"
    assert "planted cuts are not detected in 100 %" in " ".join(report.reasons)


@pytest.mark.parametrize(
    ("evidence", "share", "says"),
    [
        ("deletion", 1.0, "look as if they had inserted words or doubled words"),
        ("insertion", 1.0, "look as if they had missing words"),
        ("deletion", 0.4, "have words that are not what is said (A005 40): more than 30%"),
        ("deletion", 0.2, ""),
    ],
)
def test_word_errors_in_many_rows_are_at_least_caution(
    evidence: Evidence, share: float, says: str
) -> None:
    apart = dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"removed": 20.0}
    report = result_of(normal_rows(100, 0, apart=apart, defects={evidence: share})).report
    assert report.decision == ("CAUTION" if says else "PROCEED")
    assert says in " ".join(report.reasons)
    assert ("training would keep" in " ".join(report.reasons)) is bool(says)


def test_rows_whose_audio_cannot_be_read_are_named_first() -> None:
    rows = normal_rows(100, 0)
    for count, decision in ((4, "PROCEED"), (8, "CAUTION"), (22, "STOP")):
        lost = [
            replace(row, words=(), gaps=(), controls=(), fault=Fault("S001", "truncated"))
            for row in rows[:count]
        ]
        report = result_of([*lost, *rows[count:]]).report
        assert report.decision == decision
        said = f"the audio of {count} sampled rows cannot be read"
        assert (said in report.reasons[0]) is (decision != "PROCEED")


def test_texts_that_cannot_be_exchanged_have_no_verdict() -> None:
    rows = [replace(row, text="one text") for row in normal_rows(40, 0, per_kind=0)]
    report = result_of(rows).report
    assert report.decision == "NO_VERDICT"
    assert "40 sampled rows have 1 different text:" in report.reasons[0]


@pytest.mark.parametrize(("found", "hears"), [(60, True), (20, True), (3, False)])
def test_no_verdict_tells_a_deaf_aligner_from_wrong_texts(found: int, hears: bool) -> None:
    """One that hears finds what is said, in whichever row it stands; if most is, that decides."""
    deaf = normal_rows(60, 0, apart=dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"swapped": 0.0})
    rows = [
        replace(
            row,
            text=f"{chr(97 + number % 26) * 9} {chr(97 + number // 3) * 9}",
            loss=1.0,
            others=tuple(
                OtherText(deaf[(number + n) % 60].id, 40, loss)
                for n, loss in ((1, 0.1 if number < found else 0.85), (20, 0.9), (30, 0.95))
            ),
        )
        for number, row in enumerate(deaf)
    ]
    report = result_of(rows).report
    assert ("shifted" in " ".join(report.reasons)) == (found > 2)
    if found == 60:
        assert report.decision == "STOP"
        assert "60 of 60" in report.reasons[0]
        return
    assert report.decision == "NO_VERDICT"
    assert ("It hears this speech" in report.reasons[0]) is hears
    assert ("does not hear this speech" in report.reasons[0]) is not hears
    assert ("manifest" in report.recommendation) is hears


def test_a_domain_of_which_nothing_can_be_told_is_not_judged() -> None:
    silent = replace(
        row(99, "digits", mismatch=None), peak_db=-120.0, speech_seconds=0.0, words=(), gaps=()
    )
    longer = [replace(r, letters=12) for r in spoken_digits()]
    report = result_of([*normal_rows(89, 0, domain="sentences"), *longer, silent]).report
    assert report.decision == "CAUTION"
    assert any("cannot tell in domain digits" in reason for reason in report.reasons)
    assert any("decision.untold_caution_above" in reason for reason in report.reasons)
    digits, sentences = (report.domain_statistics[d] for d in ("digits", "sentences"))
    assert digits.cannot_tell is not None
    assert "controls.max_false_alarm" in digits.cannot_tell
    assert (digits.low_quality_pct, digits.low, digits.high) == (None, None, None)
    assert digits.low_quality_hours is None
    assert set(excluded(report)) == {silent.id}, "that it is silent is no matter of the aligner's"
    assert (digits.low_quality_count, report.rules) == (1, {"S003": 1})
    assert sum(f.code == "A008" for f in report.findings) >= 5, "listed all the same"
    assert sentences.cannot_tell is None
    assert report.estimate.judged == pytest.approx(89 / 120, abs=1e-6)
    assert report.estimate.rate == pytest.approx((sentences.low_quality_pct or 0) / 100)


def test_reasons_tell_what_the_audit_cannot_detect() -> None:
    rows = normal_rows(100, 0, apart=dict.fromkeys(THRESHOLD_KINDS, 8.0) | {"removed": 0.0})
    report = result_of(rows).report
    assert report.decision == "PROCEED"
    assert report.reasons[1].startswith("cannot detect missing words: ")
    assert report.controls["removed"].underpowered
    assert report.domain_controls["d"]["removed"].underpowered


def test_delays_are_told_apart() -> None:
    report = result_of(normal_rows(20, 0), Delay(0.2399999999, 0.04, True)).report
    assert (report.aligner.delay, report.aligner.delay_measured) == (0.24, True)
    assert not result_of(normal_rows(20, 0)).report.aligner.delay_measured


def test_tables_hold_every_utterance_word_and_gap(tmp_path: Path) -> None:
    rows = [*normal_rows(20, 0), row(98, deletion=9.0), row(99, speech=12.0)]
    result = write(result_of(rows), corpus_of(rows), tmp_path)
    assert read_report(tmp_path) == result.report
    assert set(result.report.tables) == {
        "utterances.parquet",
        "words.parquet",
        "gaps.parquet",
        "heard.parquet",
        "rows.jsonl",
    }
    for name, schema in (("utterances", UTTERANCES), ("words", WORDS), ("gaps", GAPS)):
        found = pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet")
        assert found.names == schema.names
    utterances = {r["id"]: r for r in table(tmp_path, "utterances.parquet")}
    words, gaps = table(tmp_path, "words.parquet"), table(tmp_path, "gaps.parquet")
    ids = sorted(r.id for r in rows)
    assert list(utterances) == ids
    assert [(w["id"], w["index"]) for w in words] == [(i, n) for i in ids for n in range(2)]
    assert [(g["id"], g["index"]) for g in gaps] == [(i, n) for i in ids for n in range(3)]
    for w in words:
        assert 0 <= w["start"] <= w["end"] <= 1
        assert 0 < w["spoken"] < 1
        assert 0 < w["replaced"] < 1
        assert (w["spoken"] < 0.5) == (w["id"] == "d-98")
    for g in gaps:
        assert 0 <= g["start"] <= g["end"] <= 1
        assert 0 < g["untranscribed"] < 1
        assert (g["untranscribed"] > 0.5) == ((g["id"], g["index"]) == ("d-99", 1))
    assert utterances["d-98"]["rules"] == ["A005"]
    assert utterances["d-99"]["rules"] == ["A007"]
    assert not any(r["low_quality"] for r in utterances.values())


def test_where_a_page_finds_no_room_there_is_no_report(tmp_path: Path) -> None:
    def full(report: Report) -> None:
        assert (tmp_path / "report.md").is_file() and (tmp_path / "clean.jsonl").is_file()
        raise OSError(ENOSPC, "no space left")

    rows = normal_rows(20, 0)
    with pytest.raises(OSError, match="no space"):
        write(result_of(rows), corpus_of(rows), tmp_path, full)
    assert not (tmp_path / "alignment_report.json").exists()


def test_planted_defects_stand_in_no_table(tmp_path: Path) -> None:
    rows = normal_rows(20, 0)
    bare = [replace(r, controls=()) for r in rows]
    assert {r.id for r in result_of(rows).rows} == {r.id for r in bare}
    result = write(result_of(rows), corpus_of(rows), tmp_path)
    assert result.report.total_samples == 20
    assert len(table(tmp_path, "words.parquet")) == 40


def test_the_digest_is_over_all_that_the_controls_say(tmp_path: Path) -> None:
    rows = normal_rows(20, 0)
    report = write(result_of(rows), corpus_of(rows), tmp_path).report
    content = json.loads((tmp_path / "alignment_report.json").read_text())
    for name in ("controls", "domain_controls", "thresholds", "absolute_thresholds"):
        other = report.model_copy(update={name: {}})
        assert content[name]
        assert other.compute_digest() != report.digest
