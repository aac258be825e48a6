"""The policy: every threshold that turns measurements into a decision, as one typed file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from asr_gate.audit.records.controls import KINDS, Kind
from asr_gate.audit.records.rules import catalogue
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.settings_file import checked, read_content
from asr_gate.corpus.speech.detector import Detector

DEFAULT_FILE = Path(__file__).with_name("policy.toml")

Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_DOMAIN_LINE = "decision.domain_caution_above"


class DecisionPolicy(_Section):
    """When the corpus is fit; percentages of low-quality utterances."""

    stop_above: Percent
    proceed_below: Percent
    domain_caution_above: Percent
    domains: dict[str, Percent]
    skipped_caution_above: Percent
    skipped_stop_above: Percent
    untold_caution_above: Percent
    untold_no_verdict_above: Percent
    decide_by: Literal["point", "bound"]
    confidence: Annotated[float, Field(gt=0.5, le=0.9999)]
    correct_for_controls: Annotated[bool, Field(strict=True)]
    review_decides_from: Annotated[int, Field(ge=0, le=1_000_000)]
    min_sampled: Annotated[int, Field(ge=1)]
    max_unalignable: Percent

    def domain_limit(self, domain: str) -> Percent:
        """Percent of low quality above which this domain makes it at least CAUTION."""
        return self.domains.get(domain, self.domain_caution_above)

    def domain_line(self, domain: str) -> str:
        """The line of the policy that sets it."""
        return f"decision.domains.{domain}" if domain in self.domains else _DOMAIN_LINE

    @model_validator(mode="after")
    def _ordered(self) -> DecisionPolicy:
        if self.proceed_below > self.stop_above:
            raise ValueError("proceed_below is above stop_above")
        return self


class QualityPolicy(_Section):
    """When an utterance is of low quality."""

    min_coverage: Share
    min_confidence: Share
    rate_band: Annotated[float, Field(gt=1)]
    max_unknown: Share
    max_cut: Share
    max_speaker_deviations: Annotated[float, Field(gt=0)]
    min_speaker_rows: Annotated[int, Field(ge=3)]


class ControlsPolicy(_Section):
    """What power the audit must show to detect planted defects."""

    per_kind: Annotated[int, Field(ge=0)]
    false_alarm: Annotated[float, Field(ge=1e-6, lt=0.5)]
    min_power_swapped: Share
    max_false_alarm: Share
    min_power: Share
    absolute_false_alarm: Share

    def floors(self) -> dict[Kind, float]:
        """Least power of each kind."""
        return {k: self.min_power_swapped if k == "swapped" else self.min_power for k in KINDS}


class SignalPolicy(_Section):
    """Limits of the audio itself: dB of full scale, shares, seconds."""

    speech_activity: Detector
    silent_below_db: float
    max_clipped: Share
    min_duration: Annotated[float, Field(ge=0)]
    max_duration: Annotated[float, Field(gt=0)]
    min_sample_rate: Annotated[int, Field(ge=0)]
    min_bandwidth: Annotated[float, Field(ge=0)]
    max_dc_offset: Share
    max_channel_gap_db: Annotated[float, Field(ge=0)]
    min_channel_correlation: Annotated[float, Field(ge=-1, le=1)]
    min_speech_to_noise_db: float
    max_edge_silence: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> SignalPolicy:
        if self.min_duration > self.max_duration:
            raise ValueError("min_duration is above max_duration")
        return self


class TextPolicy(_Section):
    """What a transcript may hold: shares of its letters, nats of evidence."""

    max_other_script: Share
    max_latin: Share
    language_margin: Annotated[float, Field(gt=0)]


class CorpusPolicy(_Section):
    """What the rows of a corpus may have to do with each other."""

    near_duplicate: Annotated[float, Field(gt=0, le=1)]
    near_duplicate_letters: Annotated[int, Field(ge=1)]
    same_speaker_letters: Annotated[int, Field(ge=1)]
    max_speaker_share: Share
    min_domain_share: Share
    unsampled_listed: Annotated[int, Field(ge=0)]


class ModelLimitsPolicy(_Section):
    """What the model that is to be trained can take."""

    max_seconds: Annotated[float, Field(gt=0)]
    max_characters: Annotated[int, Field(ge=1)]


class SamplingPolicy(_Section):
    """How much is sampled."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    minimum: Annotated[int, Field(ge=1)]
    quotas: dict[str, Share]

    @model_validator(mode="after")
    def _whole(self) -> SamplingPolicy:
        if self.quotas and abs(sum(self.quotas.values()) - 1) > 1e-6:
            raise ValueError("quotas do not sum to 1")
        return self


class PagePolicy(_Section):
    """What `report.html` holds."""

    rows: Annotated[int, Field(ge=1)]
    clips: Annotated[int, Field(ge=0)]
    inline_megabytes: Annotated[float, Field(ge=1)]


class GatePolicy(_Section):
    """What a report must show before anyone relies on it."""

    require_signature: Annotated[bool, Field(strict=True)]
    max_age_days: Annotated[float, Field(ge=0, le=100_000)]
    audio: Literal["full", "sampled"]
    min_reviewed: Annotated[int, Field(ge=0, le=1_000_000)]


class Policy(_Section):
    """One policy file; `policy.toml` beside this module is the default and says what each means."""

    decision: DecisionPolicy
    quality: QualityPolicy
    controls: ControlsPolicy
    signal: SignalPolicy
    text: TextPolicy
    corpus: CorpusPolicy
    model_limits: ModelLimitsPolicy
    rules: dict[str, Literal["off", "info", "warning", "error"]]
    """Severity of every rule; a policy file names those that it changes."""
    sampling: SamplingPolicy
    report: PagePolicy
    gate: GatePolicy

    def with_controls(self, per_kind: int | None) -> Policy:
        """The policy with another number of planted defects of each kind; None: its own.

        The report's policy then says what was done, so that a check against the policy file sees
        the difference.
        """
        if per_kind is None:
            return self
        planted = self.controls.model_copy(update={"per_kind": per_kind})
        return self.model_copy(update={"controls": planted})

    @field_validator("rules", mode="before")
    @classmethod
    def _every_rule(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        known = {code: rule.severity for code, rule in catalogue().items()}
        for code in given:
            if code not in known:
                names = [*known, *(rule.name for rule in catalogue().values())]
                near = difflib.get_close_matches(str(code), names, n=1)
                meant = f", the nearest is {near[0]}" if near else ""
                raise ValueError(f"there is no rule {code}{meant} (asr rules lists them)")
        return known | given


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy file; without one, the default. What a file leaves out is the default's.

    Raises:
        UserError: missing, not TOML, an unknown key, or a value out of range; names the line.
    """
    values = tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    text = ""
    if path is not None:
        text, given = _read(path)
        for section, entries in given.items():
            if isinstance(entries, dict) and isinstance(values.get(section), dict):
                values[section] |= entries
            else:
                values[section] = entries
    return checked(path or DEFAULT_FILE, text, values, Policy)


def origins(policy: Policy, path: Path | None) -> list[tuple[str, object, bool]]:
    """Every line of a policy, its value, and whether the file gives it.

    Args:
        policy: as `load_policy` read it.
        path: from where; None: the default.
    """
    given = {} if path is None else _read(path)[1]
    return [
        (f"{section}.{key}", value, key in given.get(section, {}))
        for section, entries in policy.model_dump(mode="json").items()
        for key, value in entries.items()
    ]


def doubts(path: Path) -> list[str]:
    """Lines about values of a policy file that are in range and hardly meant.

    Raises:
        UserError: as `load_policy`, which has to have taken the file.
    """
    given = _read(path)[1].get("decision", {})
    percentages = {
        name: value
        for name, field in DecisionPolicy.model_fields.items()
        if any(getattr(one, "le", None) == 100 for one in field.metadata)
        and (value := given.get(name)) is not None
    }
    percentages |= {f"domains.{name}": value for name, value in given.get("domains", {}).items()}
    return [
        f"{path}: decision.{name} = {value:g} means {value:g} %: percentages are 0 to 100; if "
        f"{100 * value:g} % is meant, write {100 * value:g}"
        for name, value in percentages.items()
        if 0 < value < 1
    ]


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a policy file; rules may be named by code or by name, and are known by
    code.
    """
    missing = "no such policy file; check the path"
    text, found = read_content(path, missing=missing, shell_pipe=True)
    if isinstance(found.get("rules"), dict):
        codes = {rule.name: code for code, rule in catalogue().items()}
        rules: dict[str, Any] = {}
        for name, severity in found["rules"].items():
            code = codes.get(name, name)
            if code in rules:
                raise UserError(f"{path}: rules.{name}: {code} is there twice; remove one of them")
            rules[code] = severity
        found["rules"] = rules
    return text, found
