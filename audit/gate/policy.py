"""The policy: every threshold that turns measurements into a decision, as one typed file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.controls.kinds import KINDS, Kind
from corpus.errors import UserError

DEFAULT_FILE = Path(__file__).with_name("policy.toml")

Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DecisionPolicy(_Section):
    """When the corpus is fit; percentages of low-quality utterances."""

    stop_above: Percent
    proceed_below: Percent
    domain_caution_above: Percent
    skipped_caution_above: Percent
    skipped_stop_above: Percent
    decide_by: Literal["point", "bound"]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]

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


class ControlsPolicy(_Section):
    """What the audit must show of its own sight."""

    per_kind: Annotated[int, Field(ge=0)]
    false_alarm: Annotated[float, Field(gt=0, lt=0.5)]
    min_power_swapped: Share
    min_power: Share
    figure_false_alarm: Share

    def floors(self) -> dict[Kind, float]:
        """Least power of each kind."""
        return {k: self.min_power_swapped if k == "swapped" else self.min_power for k in KINDS}


class SignalPolicy(_Section):
    """Limits of the audio itself: dB of full scale, shares, seconds."""

    silent_below_db: float
    max_clipped: Share
    min_duration: Annotated[float, Field(ge=0)]
    max_duration: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ordered(self) -> SignalPolicy:
        if self.min_duration > self.max_duration:
            raise ValueError("min_duration is above max_duration")
        return self


class SamplingPolicy(_Section):
    """How much is heard."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    minimum: Annotated[int, Field(ge=1)]
    quotas: dict[str, Share]

    @model_validator(mode="after")
    def _whole(self) -> SamplingPolicy:
        if self.quotas and abs(sum(self.quotas.values()) - 1) > 1e-6:
            raise ValueError("quotas do not sum to 1")
        return self


class Policy(_Section):
    """One policy file; `policy.toml` beside this module is the default and says what each means."""

    decision: DecisionPolicy
    quality: QualityPolicy
    controls: ControlsPolicy
    signal: SignalPolicy
    sampling: SamplingPolicy


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy file; without one, the default. What a file leaves out is the default's.

    Raises:
        UserError: missing, not TOML, an unknown key, or a value out of range.
    """
    values = tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    if path is not None:
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such policy file; check the path") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from error
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{path}: not TOML ({error})") from error
        for section, entries in given.items():
            if isinstance(entries, dict) and isinstance(values.get(section), dict):
                values[section] |= entries
            else:
                values[section] = entries
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {where}: {what}; see the default policy") from error
