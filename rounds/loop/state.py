"""What is known of each round: a small file that is replaced as a whole after every step.

rounds/round-2/round.json    steps: digest of their inputs, outcome, digests of their outputs
rounds/round-2/train.log     what a step printed
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.digests import digests
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_json
from asr_gate.train.files import folder_digest, write_json

ROUNDS = Path("rounds")
ROUND_FILE = "round.json"
StepName = Literal["audit", "sweep", "train", "evaluate", "gate", "promote"]
STEPS: tuple[StepName, ...] = ("audit", "sweep", "train", "evaluate", "gate", "promote")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Section):
    """One step of a round."""

    inputs: str
    """Digest of all that decides its result."""
    status: Literal["begun", "done", "refused"]
    exit_code: int = 0
    says: str = ""
    """What came of it, or why it refused."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Files and folders with their digests."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What later steps and `asr rounds status` need of it."""
    seconds: float = 0.0
    """Of its last start; 0: another round made it."""
    ended: str = ""


class Baseline(_Section):
    """The model that the round's model must be better than."""

    checkpoint: str
    sha256: str | None


class Round(_Section):
    """One round."""

    schema_version: Literal[1] = 1
    number: int
    began: str
    cases: int
    """Cases when it began."""
    sweep: bool
    """Whether a sweep was due when it began."""
    baseline: Baseline | None = None
    """None: the gate was not reached."""
    steps: dict[StepName, Step] = Field(default_factory=dict)
    statuses: dict[str, int] = Field(default_factory=dict)
    """Cases by status when it ended."""

    @property
    def folder(self) -> Path:
        """From the folder of `rounds.toml`."""
        return ROUNDS / self.name

    @property
    def name(self) -> str:
        """Of its folders."""
        return f"round-{self.number}"

    @property
    def promoted(self) -> bool:
        """Whether its model went into use."""
        step = self.steps.get("promote")
        return step is not None and step.status == "done"

    @property
    def refused(self) -> StepName | None:
        """The step that refused; None: none did."""
        return next((name for name, step in self.steps.items() if step.status == "refused"), None)

    @property
    def closed(self) -> bool:
        """Whether it has ended, well or not."""
        return self.promoted or self.refused is not None

    @property
    def outcome(self) -> str:
        """In a word or two."""
        if self.promoted:
            return "promoted"
        return f"refused: {self.refused}" if self.refused else "not finished"

    def with_step(self, name: StepName, step: Step) -> Round:
        """The same with another step; in the order of the work."""
        steps = {**self.steps, name: step}
        ordered = {one: steps[one] for one in STEPS if one in steps}
        return self.model_copy(update={"steps": ordered})

    def until(self, name: StepName) -> Round:
        """The same without this step and what follows from it."""
        before = STEPS[: STEPS.index(name)]
        kept = {one: step for one, step in self.steps.items() if one in before}
        return self.model_copy(update={"steps": kept})


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_round(found: Round) -> None:
    """Replace the file of a round.

    Raises:
        UserError: it cannot be written.
    """
    write_json(found.folder / ROUND_FILE, found.model_dump(mode="json"))


def read_rounds() -> list[Round]:
    """Every round, the oldest first.

    Raises:
        UserError: a file is none of a round.
    """
    found = []
    for path in ROUNDS.glob(f"round-*/{ROUND_FILE}"):
        try:
            found.append(Round.model_validate(read_json(path)))
        except (OSError, ValueError) as error:  # ValidationError is one
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise UserError(
                f"{path}: not the file of a round ({reason}); restore it, or remove its folder"
            ) from error
    return sorted(found, key=lambda one: one.number)


def path_digest(path: Path) -> str | None:
    """`sha256:…` of a file, or of the files of a folder; None: there is neither."""
    if path.is_file():
        return digests([path], "full", cached=False)[path]
    return folder_digest(path, cached=False)


def unchanged(outputs: Mapping[str, str]) -> bool:
    """Whether the outputs of a step are still what they were."""
    return all(path_digest(Path(name)) == digest for name, digest in outputs.items())
