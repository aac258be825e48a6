"""Runs a suite: evaluates what is not evaluated yet, compares, checks, and seals what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.settings_file import line_of
from asr_gate.rounds.model_gate.checks import check_model
from asr_gate.rounds.model_gate.result import (
    Data,
    GateResult,
    Model,
    Regression,
    WrongRow,
    outcome_of,
)
from asr_gate.rounds.model_gate.suite import LoadedSuite, TestSet
from asr_gate.train.data.normalise import normalise
from asr_gate.train.evaluation.compare import Comparison, compare
from asr_gate.train.evaluation.result_file import (
    RESULT_FILE,
    Result,
    Transcript,
    predictions_file,
    read_result,
)
from asr_gate.train.evaluation.scoring import count_errors, score
from asr_gate.train.files import folder_digest
from asr_gate.train.recipes import Numbers

EVALS = Path("evals") / "gate"
"""Evaluations that a gate made; the next gate takes them from there."""


class Evaluate(Protocol):
    """`evaluate_checkpoint`, with device and batches chosen."""

    def __call__(
        self,
        checkpoint: str,
        manifests: Sequence[str | Path],
        *,
        audio_root: Path | None,
        labels: Sequence[LabelRule],
        split: str | None,
        language: str | None,
        out: Path | None,
        numbers: Numbers,
    ) -> tuple[Result, Path]:
        """Evaluate, write the result into `out`, and return it and its file."""


@dataclass(frozen=True)
class Gated:
    """What a gate found, and the comparison that it rests on."""

    result: GateResult
    comparison: Comparison


@dataclass(frozen=True)
class _Rows:
    """One test set as it is now."""

    asked: TestSet
    manifests: list[str]
    audio_root: Path | None
    fingerprint: str
    origins: dict[str, str]


@dataclass(frozen=True)
class _Tested:
    """A model on a test set."""

    path: Path
    result: Result
    transcripts: list[Transcript]


class _Tester:
    """Evaluates models on the sets of a suite."""

    def __init__(
        self,
        suite: LoadedSuite,
        evaluate: Evaluate,
        labels: Sequence[LabelRule],
        language: str | None,
    ) -> None:
        self._suite = suite
        self._language = language
        self._evaluate = evaluate
        self._labels = labels

    def rows(self, asked: TestSet, *key: str | int) -> _Rows:
        """Read a set, which has this key in the suite.

        Raises:
            UserError: it cannot be read.
            NoVerdict: it is not what the suite says that it must be.
        """
        manifests, root = self._suite.manifests(asked), self._suite.audio_root(asked)
        path = self._suite.path
        try:
            corpus = read_corpus(manifests, audio_root=root, split=asked.split, labels=self._labels)
        except UserError as error:
            raise UserError(f"{line_of(path, *key, 'manifests')}: {error}") from error
        found = fingerprint(corpus).digest
        if asked.fingerprint not in (None, found):
            raise NoVerdict(
                f"{line_of(path, *key, 'fingerprint')}: {key[0]}.fingerprint: the rows are "
                f"others now ({found[:19]}… in place of {asked.fingerprint[:19]}…); restore them, "
                "or put the new fingerprint into the suite and gate every model again"
            )
        origins = {row.id: row.origin for row in corpus.utterances}
        return _Rows(asked, manifests, root, found, origins)

    def tested(self, given: str, rows: _Rows) -> _Tested:
        """A result that was given, one of an earlier gate, or a new one.

        Raises:
            NoVerdict: the result is about other rows.
        """
        if is_result(given):
            tested = _read(Path(given))
            if tested.result.fingerprint != rows.fingerprint:
                asked = ", ".join(rows.manifests)
                raise NoVerdict(
                    f"{given}: evaluated on other rows than {asked} has now, or by an asr-gate "
                    f"before 0.3; evaluate again: asr eval {tested.result.checkpoint} {asked}"
                )
            return tested
        digest = folder_digest(Path(given))
        if digest is None:  # a hub id: nothing says that it is the same model again
            return self._evaluated(given, rows, None)
        conditions = [rows.fingerprint, self._language_of(rows), self._suite.content.numbers]
        key = digest_of(conditions)
        place = EVALS / f"{digest[7:19]}-{key[:12]}"
        if (place / RESULT_FILE).is_file():
            tested = _read(place)
            known = (tested.result.checkpoint_sha256, tested.result.fingerprint)
            if known == (digest, rows.fingerprint):
                return tested
        return self._evaluated(given, rows, place)

    def _language_of(self, rows: _Rows) -> str | None:
        return rows.asked.language or self._language

    def _evaluated(self, checkpoint: str, rows: _Rows, place: Path | None) -> _Tested:
        _, path = self._evaluate(
            checkpoint,
            rows.manifests,
            audio_root=rows.audio_root,
            labels=self._labels,
            split=rows.asked.split,
            language=self._language_of(rows),
            out=place,
            numbers=self._suite.content.numbers,
        )
        tested = _read(path)
        if tested.result.fingerprint != rows.fingerprint:
            raise NoVerdict(f"{', '.join(rows.manifests)}: changed meanwhile; gate again")
        return tested


def is_result(given: str) -> bool:
    """Whether a side is a result of `asr eval`, and not a checkpoint."""
    path = Path(given)
    if path.is_dir():
        return (path / RESULT_FILE).is_file() and predictions_file(path / RESULT_FILE).is_file()
    return path.suffix == ".json"


def gate_model(
    candidate: str,
    against: str,
    suite: LoadedSuite,
    evaluate: Evaluate,
    labels: Sequence[LabelRule] = (),
    language: str | None = None,
) -> Gated:
    """Hold a model against another one and against what a suite asks.

    Args:
        candidate: checkpoint, or its result on the suite's data.
        against: the same of the baseline.
        suite: what is asked.
        evaluate: evaluates a checkpoint.
        labels: rules that give rows domains and splits.
        language: of the rows whose manifest names none, where the suite names none either.

    Raises:
        NoVerdict: a result is about other rows, or rows are not what the suite says.
        UserError: a manifest, a result or a checkpoint cannot be read.
    """
    tester = _Tester(suite, evaluate, labels, language)
    asked = suite.content
    rows = tester.rows(asked.data, "data")
    sets = [(one, tester.rows(one, "regression", at)) for at, one in enumerate(asked.regression)]
    baseline, tested = (tester.tested(given, rows) for given in (against, candidate))
    (comparison,) = compare(
        [baseline.path, tested.path],
        confidence=asked.confidence,
        seed=asked.seed,
        numbers=asked.numbers,
    )
    regressions = []
    for one, its_rows in sets:
        done = tester.tested(tested.result.checkpoint, its_rows)
        if done.result.checkpoint_sha256 != tested.result.checkpoint_sha256:
            raise NoVerdict(
                f"{tested.result.checkpoint}: is not the model any more that {candidate} is about; "
                "name the checkpoint itself"
            )
        regressions.append(_regression(one.name, one.wer, its_rows, done, asked.numbers))
    checks = check_model(
        suite,
        comparison,
        regressions,
        unfinished=tested.result.unfinished,
        empty=sum(not normalise(one.hypothesis, one.language) for one in tested.transcripts),
    )
    return Gated(
        GateResult(
            outcome=outcome_of(checks),
            candidate=_model(tested),
            baseline=_model(baseline),
            suite=str(suite.path),
            suite_digest=suite.digest,
            data=_data(rows, tested),
            regression=regressions,
            checks=checks,
            comparison=comparison.as_dict(),
            tool=version("asr-gate"),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        ).sealed(),
        comparison,
    )


def _read(path: Path) -> _Tested:
    result, transcripts = read_result(path)
    return _Tested(path / RESULT_FILE if path.is_dir() else path, result, transcripts)


def _model(tested: _Tested) -> Model:
    return Model(
        checkpoint=tested.result.checkpoint,
        sha256=tested.result.checkpoint_sha256,
        result=str(tested.path),
        predictions_sha256=tested.result.predictions.sha256,
    )


def _data(rows: _Rows, tested: _Tested) -> Data:
    return Data(
        manifests=rows.manifests,
        fingerprint=rows.fingerprint,
        utterances=len(tested.transcripts),
        not_evaluated=len(tested.result.not_evaluated),
    )


def _regression(
    name: str, limit: float, rows: _Rows, tested: _Tested, numbers: Numbers
) -> Regression:
    errors = {
        one.id: count_errors(one.reference, one.hypothesis, one.language, numbers)
        for one in tested.transcripts
    }
    if not all(one.words for one in errors.values()):
        raise UserError(f"{tested.path}: a reference holds no word; evaluate again")
    return Regression(
        name=name,
        data=_data(rows, tested),
        wer=score(list(errors.values())).wer,
        limit=limit,
        wrong=[
            WrongRow(
                id=one.id,
                origin=rows.origins.get(one.id, one.id),
                reference=one.reference,
                hypothesis=one.hypothesis,
                errors=errors[one.id].word_errors,
            )
            for one in tested.transcripts
            if errors[one.id].word_errors
        ],
    )
