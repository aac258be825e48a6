"""The report of an audit: `alignment_report.json`, as typed data.

The names are a contract; `docs/report.md` describes each field.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from asr_gate.audit.records.finding import Finding, Frozen
from asr_gate.audit.records.opinion import SecondOpinion
from asr_gate.audit.records.pairing import Pairing

SCHEMA_VERSION = "7"

REPORT_FILE = "alignment_report.json"
AUDITED_FILE = "alignment_report.audited.json"
"""Beside a report that people's verdicts were put into: the report as the audit made it."""
AUDITED_SIGNATURE_FILE = "alignment_report.audited.intoto.jsonl"
ROWS_FILE = "rows.jsonl"
"""Beside the report: the digests of the rows it speaks of."""
SIGNATURE_FILE = "alignment_report.intoto.jsonl"
"""Beside a report that was signed."""
LINK_FILE = "wandb.json"
"""Beside a report that was logged: the reference of its artifact."""

Decision = Literal["PROCEED", "CAUTION", "STOP", "NO_VERDICT"]


class Share(Frozen):
    """A share from 0 to 1 with its interval."""

    rate: float
    low: float
    high: float


class Corrected(Share):
    """The share of defects behind the share of findings, by the power of the controls."""

    power: float
    """Share of planted defects found, of the kinds that condemn an utterance."""
    false_alarm: float
    """Share of right transcripts that pass the thresholds, as the policy sets it."""


class Estimate(Share):
    """Share of low-quality utterances in the corpus (0 to 1), with its interval."""

    confidence: float
    method: str
    judged: float
    """Share of the corpus, 0 to 1, that lies in domains that could be judged: what this is of. 0:
    none could be, and this means nothing."""
    hours: Share | None
    """The same as a share of the audio; null where no length is known."""
    corrected: Corrected | None
    """Null where nothing was planted, or the controls say next to nothing."""


class Distribution(Frozen):
    """Percentiles of coverage (0 to 1) over the corpus, each utterance by its sampling weight."""

    p10: float
    p25: float
    p50: float
    p75: float
    p90: float
    mean: float
    intervals: dict[str, tuple[float, float]]
    """Of the percentiles, by name."""


class SplitStatistics(Frozen):
    """One split of the corpus; percentages are 0 to 100."""

    count: int
    population: int
    low_quality_count: int
    low_quality_pct: float | None
    low: float | None
    high: float | None
    """The estimate and its interval; null where nothing was judged."""


class DomainStatistics(SplitStatistics):
    """One domain: the same and more; coverage and confidence are 0 to 1."""

    cannot_tell: str | None
    """Why nothing can be told of this domain: its findings by the aligner do not count. Null: it
    was judged."""
    mean_coverage: float
    median_coverage: float
    mean_confidence: float
    length_mismatch_pct: float
    hours: float
    """Of the whole domain."""
    low_quality_hours: Share | None
    """Share of these hours, 0 to 1."""


class ControlPower(Frozen):
    """What the audit measured of its own power on one kind of planted defect."""

    n: int
    detected: int
    power: float
    low: float
    high: float
    """Wilson interval of the power."""
    false_alarm_rate: float
    """Share of the utterances as they are that pass the same threshold; real defects among them."""
    false_alarm_high: float | None = Field(default=None, exclude_if=lambda one: one is None)
    """Upper bound of the share of right transcripts that pass, at the policy's confidence, whatever
    their law; null in reports of earlier versions, and where nothing was unplanted."""
    underpowered: bool
    """Its power is under the policy's floor: findings of its kind do not count."""


class Skipped(Frozen):
    """A row that could not be audited, and why."""

    id: str
    origin: str
    reason: str


class Dataset(Frozen):
    """The data that the report speaks of."""

    fingerprint: str
    fingerprint_audio: Literal["full", "sampled"]
    """Whether the fingerprint is over every byte of the audio, or over blocks of it."""
    fingerprint_from: dict[Literal["bytes", "checksum", "etag"], int] = Field(
        default_factory=dict, exclude_if=lambda one: not one
    )
    """Utterances whose audio lies in a store, by what the fingerprint was taken from: bytes that
    were read, a SHA-256 that the store keeps, or bytes that an earlier command read, of which the
    store's ETag says that they are the same. Left out where all audio lies on disk."""
    utterances: int
    hours: float
    manifests: list[str]
    split: str | None = None
    """The split that was chosen; null: all rows."""


class Stratum(Frozen):
    """How one domain was sampled."""

    population: int
    sampled: int
    weight: float


class Sequential(Frozen):
    """How an audit ended that hears until the decision is settled."""

    budget: int
    """Utterances that might have been heard."""
    looks: int
    settled: Decision | None
    """The decision that the intervals leave; null: the budget ended first."""
    open: list[str]
    """Domains that leave it open; empty with no settled decision: the corpus as a whole does."""


class Sampling(Frozen):
    """How the audited utterances were chosen."""

    seed: int
    fraction: float
    method: str
    strata: dict[str, Stratum]
    sequential: Sequential | None


LOCAL = "local"
"""Revision of a model in a folder that has no other."""


class Lineage(Frozen):
    """The run of `asr train` that made an aligner, as its `run.json` says."""

    recipe: str = Field(max_length=300)
    dataset: str = Field(max_length=200)
    """Fingerprint of the data that it was trained on."""
    report: str = Field(max_length=200)
    """Digest of the audit that allowed the run."""
    began_with: str = Field(max_length=1000)
    """The model that the training began with."""
    heard: int = Field(default=0, ge=0, exclude_if=lambda rows: not rows)
    """How many recordings or segments of this corpus it was trained on, as far as is known."""


class Aligner(Frozen):
    """The acoustic model that aligned."""

    name: str
    revision: str
    weights_sha256: str
    language: str
    stride: float
    delay: float
    """How late its letters come behind the sound, measured on the data where it says enough."""
    delay_measured: bool
    precision: Literal["float32", "float16", "bfloat16", "int8"] = Field(
        default="float32", exclude_if=lambda one: one == "float32"
    )
    """Of its matrix products; left out where it is float32."""
    romanized: bool = Field(default=False, exclude_if=lambda one: not one)
    """Whether it was given all texts in Latin letters; left out where not."""
    trained: Lineage | None = Field(default=None, exclude_if=lambda lineage: lineage is None)
    """Null where no record of a run lies beside the model."""


class Blind(Frozen):
    """How many rows people judged without knowing what the audit had found in them."""

    flagged: int
    flagged_wrong: int
    others: int
    others_wrong: int
    unsure: int
    """Of both, those of which nobody is sure."""


class Review(Frozen):
    """What people say of audited rows; `asr review --apply` puts it into a report."""

    audited: str
    """Digest of the report as the audit made it."""
    decision: Decision
    """Of the audit, before the review."""
    verdicts: str
    """SHA-256 over the verdicts that count."""
    reviewers: list[str]
    counts: dict[str, int]
    """Rows by verdict, `unsure` and `conflict` among them."""
    right: dict[str, str]
    """Rows that people call right, and who: no finding excludes them but one about copies."""
    wrong: dict[str, str]
    """Rows that people call wrong as they are, and who and why: excluded."""
    conflicts: list[str]
    """Rows about which people want different things."""
    blind: Blind
    estimate: Share | None
    """Wrong rows in the corpus, by the blind sample; null: too little of it was judged."""
    precision: Share | None
    """Wrong rows among those that the audit excludes."""
    recall: Share | None
    """Rows that the audit excludes among the wrong ones."""
    missed: Share | None
    """Wrong rows among those that the audit does not exclude."""
    domains: dict[str, Share]
    """As `estimate`, of the domains of which enough was judged."""
    method: str
    decides: bool
    """Whether the decision rests on `estimate` (decision.review_decides_from)."""


class AdaptedFold(Frozen):
    """The model that judged one fold, and what it learned from."""

    rows: int
    """That it judged."""
    learned: int
    """Rows of other folds that it learned from, all trusted by the first pass."""
    seconds: float
    """Of their audio."""
    passes: int
    """Over these rows."""
    weights_sha256: str


class Adaptation(Frozen):
    """How the aligner was trained for this corpus before it judged."""

    by: Literal["speaker", "recording"]
    """What no two folds share."""
    trusted: int
    """Rows with which the first pass found nothing wrong."""
    folds: list[AdaptedFold]
    """By number; `utterances.parquet` says which fold a row is of."""
    before: dict[str, ControlPower]
    """What the same planted defects showed in the first pass; `controls` says it of the second."""


class Tool(Frozen):
    """What wrote the report."""

    version: str
    git_commit: str | None


class Report(Frozen):
    """One audit: the decision, why, and everything that it rests on."""

    schema_version: str
    decision: Decision
    recommendation: str
    reasons: list[str]
    total_samples: int
    low_quality_count: int
    low_quality_percentage: float
    estimate: Estimate
    coverage_distribution: Distribution
    domain_statistics: dict[str, DomainStatistics]
    split_statistics: dict[str, SplitStatistics] = Field(default_factory=dict)
    """By the name of the split, which is empty for rows without one; empty: no row has one."""
    rules: dict[str, int]
    findings: list[Finding]
    pairing: Pairing = Field(default_factory=Pairing)
    """Rows whose audio says the text of another row."""
    controls: dict[str, ControlPower]
    domain_controls: dict[str, dict[str, ControlPower]]
    thresholds: dict[str, dict[str, float]]
    absolute_thresholds: dict[str, list[str]]
    """By domain, which of the policy's fixed figures count on this data."""
    skipped: list[Skipped]
    dataset: Dataset
    sampling: Sampling
    aligner: Aligner
    policy: dict[str, Any]
    tables: dict[str, str]
    adaptation: Adaptation | None = Field(default=None, exclude_if=lambda one: one is None)
    """Null where the aligner stayed as it was."""
    second_opinion: SecondOpinion | None = Field(default=None, exclude_if=lambda one: one is None)
    """Null where no other aligner was asked. It decides nothing, and no digest covers it but the
    seal."""
    review: Review | None = None
    """Null until people's verdicts are put in."""
    tool: Tool
    created_at: str
    digest: str
    seal: str

    def compute_seal(self) -> str:
        """SHA-256 over everything else in the report, times and paths too."""
        return _sha256(self.model_dump(mode="json", exclude={"seal"}))

    @property
    def audit_digest(self) -> str:
        """The digest of the report as the audit made it: verdicts of people name it."""
        return self.digest if self.review is None else self.review.audited

    def sealed(self) -> Report:
        """The report with the digests that make it whole."""
        report = self.model_copy(update={"digest": self.compute_digest()})
        return report.model_copy(update={"seal": report.compute_seal()})

    def to_bytes(self) -> bytes:
        """The one spelling of the report: any other byte in a file is an alteration."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    def compute_digest(self) -> str:
        """SHA-256 over what the data, the policy and the seed decide; not over times or places."""
        beside = {"digest", "seal", "created_at", "tool", "second_opinion"}
        content = self.model_dump(mode="json", exclude=beside)
        content["dataset"].pop("manifests")
        content["dataset"].pop("fingerprint_from", None)
        return _sha256(content)


def _sha256(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
