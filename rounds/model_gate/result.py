"""`gate.json`: what a gate found, sealed, so that a promotion can rely on it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json

GATE_FILE = "gate.json"
SCHEMA_VERSION: Literal[1] = 1

Outcome = Literal["pass", "fail", "no decision"]
CheckOutcome = Literal["pass", "fail", "no decision", "skipped"]


class Section(BaseModel):
    """Base of every part."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Check(Section):
    """One thing that was asked of the model."""

    group: Literal["usable", "gain", "worse", "limit", "regression"]
    name: str
    """`overall`, a domain, or a regression set; of limits with the rate: `phone wer`."""
    outcome: CheckOutcome
    """`skipped`: nothing can be told, and that holds nothing up."""
    says: str
    value: float | None = None
    limit: float | None = None


class Model(Section):
    """One side."""

    checkpoint: str
    sha256: str | None
    """Of its folder; None: a hub id."""
    result: str
    """File of its evaluation on the suite's data."""
    predictions_sha256: str
    """Of the transcripts, which the result vouches for."""


class Data(Section):
    """Rows that were tested on."""

    manifests: list[str]
    fingerprint: str
    utterances: int
    """Rows with a transcript."""
    not_evaluated: int


class WrongRow(Section):
    """A row of a regression set that the candidate got wrong."""

    id: str
    origin: str
    reference: str
    hypothesis: str
    errors: int


class Regression(Section):
    """The candidate on one regression set."""

    name: str
    data: Data
    wer: float
    limit: float
    wrong: list[WrongRow]


class GateResult(Section):
    """What a gate found."""

    schema_version: Literal[1] = SCHEMA_VERSION
    outcome: Outcome
    candidate: Model
    baseline: Model
    suite: str
    """Path of the suite."""
    suite_digest: str
    data: Data
    regression: list[Regression]
    checks: list[Check]
    comparison: dict[str, Any]
    """Rates, changes and intervals, overall and by domain; as `asr eval compare --json`."""
    tool: str
    created_at: str
    seal: str = ""
    """Over all of this; no signature: it shows changes, not who made them."""

    def compute_seal(self) -> str:
        """The seal that belongs to the content."""
        content = self.model_dump(mode="json", exclude={"seal"})
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def sealed(self) -> GateResult:
        """The same with its seal."""
        return self.model_copy(update={"seal": self.compute_seal()})

    @property
    def failed(self) -> list[Check]:
        """The checks that did not pass and were not skipped."""
        return [check for check in self.checks if check.outcome in ("fail", "no decision")]

    @property
    def pass_rate(self) -> float:
        """Share of the checks that passed, of those that tell anything."""
        told = [check for check in self.checks if check.outcome != "skipped"]
        return sum(check.outcome == "pass" for check in told) / max(1, len(told))


def outcome_of(checks: list[Check]) -> Outcome:
    """What the checks come to: one that failed decides, then one that could not tell."""
    outcomes = {check.outcome for check in checks}
    if "fail" in outcomes:
        return "fail"
    return "no decision" if "no decision" in outcomes else "pass"


def read_gate(path: Path) -> GateResult:
    """Read what a gate found, by its file or folder, and check its seal.

    Raises:
        NoVerdict: missing, not such a file, or altered.
    """
    if path.is_dir():
        path = path / GATE_FILE
    try:
        content = read_json(path, RECORD_LIMIT)
        result = GateResult.model_validate(content)
    except OSError as error:
        raise NoVerdict(
            f"{path}: cannot be read ({error.strerror}); make one with: asr model gate CANDIDATE "
            "--against BASELINE --suite suite.toml"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NoVerdict(f"{path}: not the result of a gate ({where}: {first['msg']})") from error
    except ValueError as error:
        raise NoVerdict(f"{path}: not the result of a gate ({error})") from error
    consistent = outcome_of(result.checks) == result.outcome and result.checks
    if result.seal != result.compute_seal() or not consistent:
        raise NoVerdict(f"{path}: altered since it was written (its seal differs); gate again")
    return result
