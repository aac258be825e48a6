"""The gate, passed once before the first trial; all trials are held to what it has found."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.rounds.sweep.base import Base
from asr_gate.rounds.sweep.training import Watched
from asr_gate.train import recipes
from asr_gate.train.data.own_sets import read_own_sets
from asr_gate.train.data.rows import select
from asr_gate.train.files import write_json

ADMISSION_FILE = "admission.json"


class ConfirmRows(BaseModel):
    """The rows that no trial sees, and how they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origins: list[str]
    """Manifest and line of each."""
    manifests: list[str]
    split: str | None
    language: str | None
    """Of rows that name none."""
    numbers: recipes.Numbers


class Admission(BaseModel):
    """What the gate let pass, and which rows choose and confirm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report: str
    decision: str
    digest: str
    """Of the report."""
    fingerprint: str
    """Of the data."""
    choose: list[str]
    """Ids of the rows that every trial is evaluated on."""
    confirm: ConfirmRows

    def require_same(self, found: Watched, folder: Path) -> None:
        """Refuse a trial that rests on another report, or saw other rows.

        Raises:
            NoVerdict: it does.
        """
        if found.phase0.digest != self.digest:
            raise NoVerdict(
                f"{folder}: trained on another report ({found.phase0.digest[:19]}…) than the sweep "
                f"was admitted with ({self.digest[:19]}…); begin another sweep"
            )
        if not set(found.plan.evaluation) <= set(self.choose):
            raise NoVerdict(
                f"{folder}: evaluated other rows than the sweep was admitted with; begin another "
                "sweep"
            )


def admit(folder: Path, base: Base) -> Admission:
    """Read what the gate found when the sweep began, or pass it now.

    Raises:
        UserError: as `authorise_training`; or nothing is left to evaluate on.
    """
    path = folder / ADMISSION_FILE
    try:
        return Admission.model_validate(read_json(path, RECORD_LIMIT))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, ValidationError) as error:
        raise UserError(f"{path}: not the admission of a sweep; begin another sweep") from error
    admission = pass_gate(base)
    write_json(path, admission.model_dump(mode="json"))
    return admission


def pass_gate(base: Base) -> Admission:
    """Pass the gate, and divide the rows that are not trained on; errors as in `admit`."""
    authorised = base.authorised()
    recipe = recipes.load(base.recipe, base.overrides)[1]
    settings = recipe.data
    told = {"split": base.split or settings.split, "language": settings.language or base.language}
    settings = settings.model_copy(update=told)
    own = read_own_sets(
        settings,
        authorised,
        by_user=recipes.overridden(base.overrides, "data"),
        audio_root=base.audio_root,
        labels=base.labels,
    )

    def part(name: recipes.EvaluationPart) -> list[Utterance]:
        asked = settings.model_copy(update={"evaluation_part": name})
        found = select(authorised.corpus.utterances, authorised.excluded, asked, own)
        return [row.utterance for row in found.evaluation]

    confirm = {row.origin for row in part("confirm")}
    sources: list[tuple[Corpus | None, list[str] | tuple[str, ...], str | None]] = [
        (authorised.corpus, base.data, authorised.report.dataset.split),
        (own.test, settings.test, None),
        (own.validation, settings.validation, None),
    ]
    # They are all of one source: a split or held-out rows of the corpus, or manifests of their own.
    manifests, split = next(
        (names, part)
        for corpus, names, part in sources
        if corpus is not None and any(row.origin in confirm for row in corpus.utterances)
    )

    return Admission(
        report=authorised.name,
        decision=authorised.report.decision,
        digest=authorised.report.digest,
        fingerprint=authorised.report.dataset.fingerprint,
        choose=[row.id for row in part("choose")],
        confirm=ConfirmRows(
            origins=sorted(confirm),
            manifests=list(map(str, manifests)),
            split=split,
            language=settings.language,
            numbers=recipe.evaluation.numbers,
        ),
    )
