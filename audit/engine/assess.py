"""From all that was measured to what is wrong with it: thresholds, judgement, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.times import Delay
from asr_gate.audit.checks import run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.controls.calibrate import Sight, calibrate
from asr_gate.audit.controls.figures import figures_that_count
from asr_gate.audit.engine.judge import judge
from asr_gate.audit.gate.policy import Policy
from asr_gate.audit.measured import Measured
from asr_gate.audit.report.schema import Finding
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.utterance import Corpus


@dataclass(frozen=True)
class Assessed:
    """Utterances beside each other."""

    rows: list[Measured]
    """Judged; by domain, then by id."""
    findings: list[Finding]
    sight: Sight
    figures: dict[str, frozenset[str]]
    """By domain: which of the policy's fixed figures count."""
    delay: Delay


class Assessor:
    """Judges what was heard of one corpus."""

    def __init__(
        self, corpus: Corpus, prints: Fingerprint, policy: Policy, model: ModelInfo
    ) -> None:
        self._corpus = corpus
        self._prints = prints
        self._policy = policy
        self._model = model
        self._origins = corpus.places()

    def assess(self, rows: Sequence[Measured], *, errors_only: bool = False) -> Assessed:
        """Calibrate on the controls, judge every row, and run the rules.

        Args:
            rows: as measured, in any order.
            errors_only: run only rules that may make an utterance one of low quality.
        """
        policy = self._policy
        ordered = sorted(rows, key=lambda row: (row.domain, row.id))
        ordered = [replace(row, origin=self._origins[row.id]) for row in ordered]
        sight = calibrate(
            ordered,
            false_alarm=policy.controls.false_alarm,
            floors=policy.controls.floors(),
        )
        judged, delay = judge(ordered, sight, self._model.delay)
        figures = figures_that_count(judged, sight, policy)
        context = Context(
            policy=policy,
            corpus=self._corpus,
            content=self._prints.content,
            origins=self._origins,
            language=self._model.language,
            sight=sight,
            figures=figures,
        )
        findings = list(run_rules(judged, context, errors_only=errors_only))
        return Assessed(judged, findings, sight, figures, delay)
