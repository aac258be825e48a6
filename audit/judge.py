"""From measurements to what they mean beside each other: probabilities, coverage, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.coverage import coverage
from asr_gate.audit.align.times import Delay, measure_delay, sound_times
from asr_gate.audit.checks import run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.controls.absolute_thresholds import absolute_thresholds_in_force
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.untold import false_alarms_by_domain, untold
from asr_gate.audit.pairing.match import Matches, match
from asr_gate.audit.pairing.neighbours import find_moved, patterns_of
from asr_gate.audit.pairing.outside import given_to_many, in_other_files
from asr_gate.audit.pairing.patterns import find_patterns
from asr_gate.audit.pairing.places import Places
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.alignment import AlignedWord, HeardWord
from asr_gate.audit.records.controls import LIKELY
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.judged import Judged, JudgedGap, JudgedWord
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import FoundRow, Pairing, SearchedFile, UnsureRow
from asr_gate.audit.records.power import Calibration
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.utterance import Corpus, Seconds, Span


@dataclass(frozen=True)
class JudgedSample:
    """All sampled utterances, judged beside each other and checked by the rules."""

    rows: list[Judged]
    """By domain, then by id."""
    findings: list[Finding]
    calibration: Calibration
    in_force: dict[str, frozenset[str]]
    """By domain, the absolute thresholds in force."""
    false_alarms: dict[str, float]
    """By domain, the estimated share of right transcripts that look like swapped ones."""
    untold: dict[str, str]
    """Domains of which nothing can be told, and why."""
    delay: Delay
    """The aligner's, taken out of all times."""
    pairing: Pairing = field(default_factory=Pairing)
    """Rows whose text was found elsewhere."""


class SampleJudge:
    """Judges what was measured so far of one corpus, and runs the rules."""

    def __init__(
        self,
        corpus: Corpus,
        fingerprint: Fingerprint,
        policy: Policy,
        model: ModelInfo,
        searched: Sequence[SearchedFile] = (),
    ) -> None:
        """Prepare.

        Args:
            corpus: all rows.
            fingerprint: of the corpus.
            policy: what counts.
            model: that measured.
            searched: files whose texts were searched beside the corpus.
        """
        self._searched = list(searched)
        self._corpus = corpus
        self._content = fingerprint.comparable()
        self._policy = policy
        self._model = model
        self._places = Places(corpus)

    def judge(self, rows: Sequence[Measured], *, errors_only: bool = False) -> JudgedSample:
        """Calibrate on the controls, judge every row, and run the rules.

        Args:
            rows: as measured, in any order.
            errors_only: run only rules that may exclude a row.
        """
        policy = self._policy
        ordered = sorted(rows, key=lambda row: (row.domain, row.id))
        matches = match(ordered, self._corpus, false_alarm=policy.controls.false_alarm)
        calibration = calibrate(
            ordered,
            false_alarm=policy.controls.false_alarm,
            floors=policy.controls.floors(),
            found=matches.mismatches,
        )
        judged, delay = judge(ordered, calibration, self._model.delay)
        in_force = absolute_thresholds_in_force(judged, calibration, policy)
        pairing = _pairing(ordered, matches, calibration, self._places, self._searched)
        # A text that words of a neighbour stand in is no right one, and not like a swapped one.
        moved = {one.id for one in pairing.moved}
        whole = [row for row in ordered if row.id not in moved]
        alarms = false_alarms_by_domain(whole, calibration, matches.mismatches)
        unclear = untold(calibration, alarms, policy.controls)
        context = Context(
            policy=policy,
            corpus=self._corpus,
            content=self._content,
            language=self._model.language,
            calibration=calibration,
            absolute_thresholds=in_force,
            untold=unclear,
            pairing=pairing,
        )
        findings = list(run_rules(judged, context, errors_only=errors_only))
        return JudgedSample(
            judged, findings, calibration, in_force, alarms, unclear, delay, pairing
        )


def _pairing(
    rows: Sequence[Measured],
    matches: Matches,
    calibration: Calibration,
    places: Places,
    files: Sequence[SearchedFile],
) -> Pairing:
    partners = matches.partners
    told = [row for row in rows if row.mismatch is not None and calibration.recognises_enough(row)]
    wrong = {
        row.id for row in told if calibration.passes(row.domain, "mismatch", row.mismatch or 0.0)
    }
    # Many a text of another row is too long for the audio.
    wrong |= {row.id for row in rows if row.fault is not None and row.fault.code == "A002"}
    right = {row.id for row in told} - wrong - partners.keys()
    astray = find_patterns(partners, right, places, matches.unsure)
    moved = find_moved(rows, astray.text_of.keys() | astray.implied.keys(), places)
    patterns = [
        *astray.patterns,
        *in_other_files(partners, files, places),
        *given_to_many(rows, wrong | partners.keys(), places),
        *patterns_of(moved, places),
    ]
    found = [
        FoundRow(
            id=identity,
            text_of=text_of,
            ratio=round(partners[identity].ratio, 6) if identity in partners else None,
            row=places.of[identity] + 1,
            text_row=places.number(text_of),
        )
        for identity, text_of in sorted((astray.text_of | astray.implied).items())
    ]
    return Pairing(
        searched=matches.searched,
        ratio=round(matches.ratio[False], 6),
        ratio_short=round(matches.ratio[True], 6),
        compared=matches.compared,
        found=found,
        patterns=patterns,
        unsure=[
            UnsureRow(id=identity, candidates=list(candidates))
            for identity, candidates in sorted(matches.unsure.items())
            if identity not in right and identity not in astray.implied
        ],
        moved=moved,
        files=list(files),
    )


def judge(
    rows: Sequence[Measured], calibration: Calibration, stated_delay: Seconds
) -> tuple[list[Judged], Delay]:
    """Judge every utterance beside all others.

    Args:
        rows: as measured, with the model's own times.
        calibration: what the controls of these rows showed.
        stated_delay: the model's delay as its maker states it, for data that says too little.

    Returns:
        The utterances in the same order, and the delay that was taken out of their times.
    """
    delay = measure_delay(
        [row.lags for row in rows if row.lags], (row.words for row in rows), stated_delay
    )
    return [_judge_one(row, calibration, delay) for row in rows], delay


def _judge_one(row: Measured, calibration: Calibration, delay: Delay) -> Judged:
    before, after = delay.delay + delay.half_letter, delay.delay - delay.half_letter
    heard = tuple(
        HeardWord(word.text, max(0.0, word.start - before), max(0.0, word.end - after))
        for word in row.heard
    )
    if not row.words:
        return Judged(row, heard=heard)
    word_times, gap_times = sound_times(row.words, row.gaps, row.activity, delay, row.duration)
    of_another = row.mismatch is not None and calibration.passes(
        row.domain, "mismatch", row.mismatch
    )
    words = tuple(
        _judge_word(word, times, row.domain, calibration, of_another=of_another)
        for word, times in zip(row.words, word_times, strict=True)
    )
    gaps = tuple(
        JudgedGap(
            start,
            end,
            gap.insertion,
            calibration.probability(row.domain, "insertion", gap.insertion),
        )
        for gap, (start, end) in zip(row.gaps, gap_times, strict=True)
    )
    # Unaligned speech lies in the gaps between words that the path keeps. It counts where a word
    # beside it is left out, or where it is probably not transcribed.
    counts = [
        (own.start, own.end)
        for own, gap, word in zip_longest(row.gaps, gaps, words)
        if gap.untranscribed > LIKELY or (word and not word.kept)
    ]
    unaligned = tuple(
        (max(0.0, start - before), end - after)
        for start, end in row.unaligned
        if any(_overlap((start, end), span) for span in counts)
    )
    found = coverage(words, unaligned, row.activity)
    self_match = 1.0
    if row.mismatch is not None:
        self_match = 1 - calibration.probability(row.domain, "mismatch", row.mismatch)
    return Judged(
        row,
        words,
        gaps,
        unaligned,
        heard,
        text_coverage=found.text,
        speech_coverage=found.speech,
        confidence=found.confidence,
        quality=self_match * _said(words) * found.speech,
    )


def _judge_word(
    word: AlignedWord, times: Span, domain: str, calibration: Calibration, *, of_another: bool
) -> JudgedWord:
    """A word with its probabilities; one that the path left out is kept unless they say so too.

    The path's penalties are the same for all models; a weak one loses more right words to them than
    to the thresholds of its own controls. Where those are underpowered, or the text as a whole is
    not what is said (`of_another`), the path stands. A masked word is as likely said as not, and
    kept.
    """
    spoken = (
        LIKELY if word.masked else 1 - calibration.probability(domain, "deletion", word.deletion)
    )
    replaced = calibration.probability(domain, "substitution", word.substitution)
    cleared = (
        not of_another
        and calibration.can_detect(domain, "deletion")
        and spoken >= LIKELY
        and replaced <= LIKELY
    )
    start, end = times
    return JudgedWord(
        text=word.text,
        letters=word.letters,
        start=start,
        end=end,
        kept=word.kept or word.masked or cleared,
        confidence=word.confidence,
        masked=word.masked,
        spoken=spoken,
        replaced=replaced,
    )


def _overlap(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _said(words: Sequence[JudgedWord]) -> float:
    """Expected share of the letters that are said, and said as they are written."""
    letters = sum(word.letters for word in words)
    said = sum(word.letters * min(word.spoken, 1 - word.replaced) for word in words)
    return said / letters if letters else 0.0
