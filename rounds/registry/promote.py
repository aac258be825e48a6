"""Promotion: a model goes into use if a gate passed it, on data that it was not made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.audit.gate import NoVerdict, Stopped, authorise
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.rounds.model_gate.result import GATE_FILE, GateResult, read_gate
from asr_gate.rounds.model_gate.suite import load_suite
from asr_gate.rounds.registry.events import (
    Event,
    Grounds,
    LoggedArtifact,
    Production,
    PromotedModel,
    Registry,
    production_of,
)
from asr_gate.rounds.registry.lineage import Ancestor, Seen, lineage
from asr_gate.train.files import folder_digest
from asr_gate.train.record import RunRecord, logged_model

GATES = Path("gates")


@dataclass(frozen=True)
class Promotion:
    """What was done."""

    production: Production
    event: Event | None
    """None: the model was in use already."""


def promote(
    checkpoint: Path,
    registry: Registry,
    *,
    gate: Path | None = None,
    report: str | None = None,
    accept_caution: bool = False,
    why: str = "",
    labels: Sequence[LabelRule] = (),
) -> Promotion:
    """Put a model into use.

    Args:
        checkpoint: folder of the model, in the folder of its run.
        registry: where it is noted.
        gate: what `asr model gate` found about it; None: the newest under `gates`.
        report: the audit of what it was trained on; None: where the run's record says.
        accept_caution: whether that audit may say CAUTION.
        why: for the log.
        labels: rules that give rows domains and splits, as they were given to the gate.

    Raises:
        NoVerdict: nothing shows that the model is fit (exit code 30).
        Stopped: the gate refused it, or its audit says STOP (20).
        CautionNotAccepted: its audit says CAUTION (10).
        UserError: bad input, or a file that cannot be read or written.
    """
    digest = folder_digest(checkpoint, cached=False)
    if digest is None:
        raise UserError(f"{checkpoint}: no such folder; name a checkpoint on this disk")
    with registry.writing():
        before = registry.show()
        if before is not None and before.model.sha256 == digest:
            return Promotion(before, None)
        path = gate or _newest(digest)
        result = read_gate(path)
        _require_passed(result, path, digest, before)
        ancestors = list(lineage(checkpoint, report))
        authorise(ancestors[0].report, ancestors[0].name, accept_caution=accept_caution)
        _require_fresh_tests(result, path, ancestors, labels)
        event = registry.add(
            "promote",
            PromotedModel(
                checkpoint=registry.place(checkpoint),
                sha256=digest,
                artifact=_logged(checkpoint, ancestors[0].record),
            ),
            Grounds(
                gate=str(path),
                gate_seal=result.seal,
                suite_digest=result.suite_digest,
                report=ancestors[0].name,
                report_digest=ancestors[0].report.digest,
                decision=ancestors[0].report.decision,
            ),
            why,
        )
        return Promotion(_now(registry), event)


def _logged(checkpoint: Path, record: RunRecord) -> LoggedArtifact | None:
    found = logged_model(checkpoint)
    if found is None:
        return None
    wandb = record.config.wandb
    return LoggedArtifact(
        reference=found[0],
        digest=found[1],
        entity=wandb.entity,
        project=wandb.project,
        registry=wandb.registry,
    )


def roll_back(registry: Registry, why: str = "") -> Promotion:
    """Put the model back into use that was in use before.

    Raises:
        UserError: there is none.
        NoVerdict: its folder is gone or holds another model.
    """
    with registry.writing():
        before = registry.show()
        if before is None or before.predecessor is None:
            raise UserError(f"{registry.folder}: no model was in use before; nothing to go back to")
        model = before.predecessor
        if folder_digest(registry.find(model), cached=False) != model.sha256:
            raise NoVerdict(
                f"{registry.find(model)}: gone, or not the model any more that was in use "
                f"({model.sha256[:19]}…); restore it"
            )
        event = registry.add("rollback", model, None, why)
        return Promotion(_now(registry), event)


def _now(registry: Registry) -> Production:
    found = production_of(registry.events())
    assert found is not None, "an event was just added"
    return found


def _newest(digest: str) -> Path:
    """The newest result of a gate about a model; an older one that passed does not count."""
    found: list[tuple[str, int, str]] = []
    for path in GATES.glob(f"*/{GATE_FILE}"):
        try:
            result = read_gate(path)
        except NoVerdict:
            continue
        if result.candidate.sha256 == digest:
            found.append((result.created_at, path.stat().st_mtime_ns, str(path)))
    if not found:
        raise NoVerdict(
            f"{GATES}: no result about this model ({digest[:19]}…); make one with: asr model gate "
            "CHECKPOINT --against BASELINE --suite suite.toml, or name it with --gate"
        )
    return Path(max(found)[2])


def _require_passed(result: GateResult, path: Path, digest: str, before: Production | None) -> None:
    if result.candidate.sha256 != digest:
        raise NoVerdict(
            f"{path}: is about another model ({result.candidate.checkpoint}) than this one "
            f"({digest[:19]}…); gate this one"
        )
    reasons = "; ".join(f"{one.group} {one.name}: {one.says}" for one in result.failed[:3])
    if result.outcome == "fail":
        raise Stopped(f"{path}: the gate refused the model: {reasons}")
    if result.outcome == "no decision":
        raise NoVerdict(f"{path}: the gate could not decide: {reasons}")
    if before is not None and result.baseline.sha256 != before.model.sha256:
        raise NoVerdict(
            f"{path}: compared with {result.baseline.checkpoint}, which is not the model in use; "
            f"gate it again, --against {before.model.checkpoint}"
        )


def _require_fresh_tests(
    result: GateResult, path: Path, ancestors: Sequence[Ancestor], labels: Sequence[LabelRule]
) -> None:
    """Refuse a suite or rows that are others now, and rows that the model was made from."""
    suite = load_suite(Path(result.suite))
    if suite.digest != result.suite_digest:
        raise NoVerdict(f"{suite.path}: changed since {path} was written; gate the model again")
    sets = suite.content.regression
    asked = [(suite.content.data, result.data.fingerprint)]
    asked += [
        (one, done.data.fingerprint) for one, done in zip(sets, result.regression, strict=True)
    ]
    for one, known in asked:
        manifests = suite.manifests(one)
        corpus = read_corpus(
            manifests, audio_root=suite.audio_root(one), split=one.split, labels=labels
        )
        if fingerprint(corpus, cached=False).digest != known:
            raise NoVerdict(
                f"{', '.join(manifests)}: changed since {path} was written; gate the model again"
            )
        seen = Seen(corpus)
        for ancestor in ancestors:
            seen.require_apart(ancestor)
