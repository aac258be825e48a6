"""The steps of a round: what decides each, the command that does it, and what came of it."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from asr_gate.audit.gate import read_report
from asr_gate.audit.records.report import REPORT_FILE
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from asr_gate.rounds.cases.sources import from_evaluation
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.rounds.loop.settings import Loaded, Settings, digest_of
from asr_gate.rounds.loop.state import Baseline, Round, Step, StepName, path_digest
from asr_gate.rounds.model_gate.result import GATE_FILE, read_gate
from asr_gate.rounds.model_gate.suite import LoadedSuite, TestSet, load_suite
from asr_gate.rounds.registry.events import Registry
from asr_gate.train import recipes
from asr_gate.train.evaluation.result_file import RESULT_FILE, read_result
from asr_gate.train.files import claim_folder, write_file
from asr_gate.train.record import RUN_FILE, read_record

REPORTS, RUNS, EVALS, GATES, SWEEPS = map(Path, ("reports", "runs", "evals", "gates", "sweeps"))


@dataclass(frozen=True)
class Context:
    """What all steps are given."""

    loaded: Loaded
    labels: Sequence[LabelRule]
    """Rules of `asr.toml` that give rows domains and splits."""
    language: str | None
    """Of rows that name none, by `asr.toml`."""
    rounds: Sequence[Round]
    """All that there are, the oldest first."""

    @property
    def settings(self) -> Settings:
        """What `rounds.toml` says."""
        return self.loaded.content

    def adopted(self, round: Round) -> Path | None:
        """The recipe that a sweep of an earlier round found, if that round's model went into use.

        It belongs to what `rounds.toml` says of training; None: there is none, or that has changed.
        """
        for one in reversed(self.rounds):
            facts = one.steps["sweep"].facts if "sweep" in one.steps else {}
            if one.number < round.number and one.promoted and facts.get("taken"):
                same = facts.get("of") == train_digest(self.settings)
                return Path(facts["recipe"]) if same else None
        return None

    def suite(self) -> LoadedSuite:
        """The gate for models."""
        return load_suite(Path(self.settings.suite))

    def rows_of(self, one: TestSet, suite: LoadedSuite) -> str:
        """Fingerprint of a test set of the suite."""
        return fingerprint(self._test_set(one, suite)).digest

    def check(self) -> None:
        """Read what later steps need, so that a wrong name costs no training.

        Raises:
            UserError: the suite, a manifest of its, or the recipe cannot be read.
        """
        suite = self.suite()
        for one in (suite.content.data, *suite.content.regression):
            self._test_set(one, suite)
        train = self.settings.train
        recipes.load(train.recipe, train.overrides)

    def _test_set(self, one: TestSet, suite: LoadedSuite) -> Corpus:
        return read_corpus(
            suite.manifests(one),
            audio_root=suite.audio_root(one),
            split=one.split,
            labels=self.labels,
        )

    def data_options(self) -> list[str]:
        """How the data is read."""
        data = self.settings.data
        return _options({"--audio-root": data.audio_root, "--split": data.split})


@dataclass(frozen=True)
class Came:
    """What came of a step."""

    says: str
    outputs: Sequence[Path] = ()
    facts: dict[str, Any] | None = None


class Kind(ABC):
    """A kind of step."""

    name: ClassVar[StepName]

    @abstractmethod
    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """All that decides its result."""

    def begin(
        self, context: Context, round: Round, known: Step | None, digest: str
    ) -> dict[str, Any]:
        """Choose where it writes, or where it goes on.

        Args:
            context: of all steps.
            round: so far.
            known: what an earlier start of this step noted; None: there was none.
            digest: of its inputs.

        Returns:
            Facts to note before it starts; with `resume` where it goes on.
        """
        return {}

    @abstractmethod
    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The words after `asr`."""

    @abstractmethod
    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came | None:
        """What came of it, for exit code 0 or that of a refusal; None: it did not get to an end."""


class Audit(Kind):
    """`asr audit`."""

    name = "audit"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """Rows, audio, policy and aligner."""
        settings = context.settings
        data, audit = settings.data, settings.audit
        root = None if data.audio_root is None else Path(data.audio_root)
        corpus = read_corpus(
            data.manifests, audio_root=root, split=data.split, labels=context.labels
        )
        aligner = (audit.aligner or "").partition(":")[2]
        return {
            "rows": fingerprint(corpus).digest,
            "manifests": data.manifests,
            "options": audit.model_dump(),
            "accept_caution": settings.accept_caution,
            "policy": audit.policy and path_digest(Path(audit.policy)),
            "aligner": aligner and path_digest(Path(aligner)),
            "language": context.language,
        }

    def begin(
        self, context: Context, round: Round, known: Step | None, digest: str
    ) -> dict[str, Any]:
        """A name of its own for other inputs: an unfinished audit of others may be there."""
        if known is not None and known.inputs == digest:
            return {"name": known.facts["name"]}
        return {"name": round.name if known is None else f"{round.name}-{digest[7:13]}"}

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """It goes on by itself if it was begun."""
        settings = context.settings
        audit = settings.audit
        return [
            "audit",
            *settings.data.manifests,
            *context.data_options(),
            *_options(
                {
                    "--name": facts["name"],
                    "--out": REPORTS,
                    "--aligner": audit.aligner,
                    "--language": audit.language,
                    "--policy": audit.policy,
                    "--fraction": audit.fraction,
                    "--controls": audit.controls,
                }
            ),
            *([] if settings.accept_caution else ["--strict"]),
            "--resume",
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The decision."""
        path = REPORTS / facts["name"] / REPORT_FILE
        report = read_report(path)
        says = f"{report.decision}, {report.low_quality_percentage:.1f} % of low quality"
        more = {"report": str(path.parent), "digest": report.digest, "decision": report.decision}
        return Came(says, [path], more)


class SweepStep(Kind):
    """`asr sweep run`, of few trials."""

    name = "sweep"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The audit, the recipe, and how it is looked for."""
        settings = context.settings
        return {
            "report": round.steps["audit"].facts["digest"],
            "recipe": _recipe_inputs(context.adopted(round), settings),
            "sweep": settings.sweep and settings.sweep.model_dump(),
        }

    def begin(
        self, context: Context, round: Round, known: Step | None, digest: str
    ) -> dict[str, Any]:
        """Write the file; of the same inputs it is the same."""
        import yaml

        from asr_gate.rounds.sweep import presets

        settings = context.settings
        assert settings.sweep is not None
        recipe, overrides = _recipe(context.adopted(round), settings)
        options = [
            *_options({"--report": round.steps["audit"].facts["report"]}),
            *_manifests(settings),
            *context.data_options(),
            *["--accept-caution"] * settings.accept_caution,
            *overrides,
        ]
        content = presets.preset(settings.sweep.preset, recipe, options=options)
        content["run_cap"] = settings.sweep.trials
        place = f"{round.name}-{digest[7:13]}"
        file = round.folder / f"sweep-{digest[7:13]}.yaml"
        write_file(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
        return {"file": str(file), "folder": str(SWEEPS / place)}

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The same command goes on."""
        return ["sweep", "run", facts["file"], "--out", facts["folder"]]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came | None:
        """The winner's recipe, if it is better by enough on rows that no trial saw."""
        from asr_gate.rounds.sweep.sweep import Sweep

        settings = context.settings
        assert settings.sweep is not None
        found = Sweep.from_yaml(facts["folder"], labels=context.labels).best()
        confirmed = found.confirmation
        if confirmed is None:
            return None
        below = settings.sweep.below
        taken = confirmed.better and confirmed.wer < below * confirmed.recipe_wer
        says = (
            f"{confirmed.said()}; {'taken' if taken else f'not below {below:g} of it: not taken'}"
        )
        more = {"taken": taken, "recipe": str(found.recipe), "of": train_digest(settings)}
        return Came(says, [found.recipe] if taken else [], more)


class Train(Kind):
    """`asr train`."""

    name = "train"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The audit, the recipe as it will run, and the files that it names."""
        settings = context.settings
        return {
            "report": round.steps["audit"].facts["digest"],
            "recipe": _recipe_inputs(chosen(context, round), settings),
        }

    def begin(
        self, context: Context, round: Round, known: Step | None, digest: str
    ) -> dict[str, Any]:
        """A new folder, or the one that holds something to go on with."""
        if known is not None and known.inputs == digest:
            out = Path(known.facts["out"])
            if (out / RUN_FILE).exists():
                return {"out": str(out), "resume": True}
            # It was killed before there was anything to go on with.
            shutil.rmtree(out, ignore_errors=True)
        return {"out": str(claim_folder(RUNS / round.name))}

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """With all GPUs, as the command does."""
        settings = context.settings
        recipe, overrides = _recipe(chosen(context, round), settings)
        return [
            "train",
            recipe,
            *overrides,
            *_manifests(settings),
            *context.data_options(),
            *_options({"--report": round.steps["audit"].facts["report"], "--out": facts["out"]}),
            *["--accept-caution"] * settings.accept_caution,
            *["--resume"] * facts.get("resume", False),
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came | None:
        """The final model, if the run is finished."""
        out = Path(facts["out"])
        final = out / "final"
        if not (out / RUN_FILE).exists():
            return Came("")  # refused
        record = read_record(out)
        if record.status != "finished":
            return None
        wer = record.best_wer()
        held_out = "" if wer is None else f", WER {100 * wer:.1f} % on held-out rows"
        more = {"checkpoint": str(final), "sha256": path_digest(final)}
        return Came(f"{final}{held_out}", [final], more)


class Evaluate(Kind):
    """`asr eval` on the suite's data, and `asr cases add`."""

    name = "evaluate"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The model and the rows."""
        suite = context.suite()
        data = suite.content.data
        return {
            "model": round.steps["train"].facts["sha256"],
            "rows": context.rows_of(data, suite),
            "language": data.language or context.language,
            "numbers": suite.content.numbers,
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The rows of the suite."""
        suite = context.suite()
        data = suite.content.data
        return [
            "eval",
            round.steps["train"].facts["checkpoint"],
            *suite.manifests(data),
            *_options(
                {
                    "--audio-root": suite.audio_root(data),
                    "--split": data.split,
                    "--language": data.language,
                    "--numbers": suite.content.numbers,
                    "--out": EVALS / round.name,
                }
            ),
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The rates; what is wrong is added to the cases."""
        suite = context.suite()
        place = EVALS / round.name
        result, _ = read_result(place)
        found = from_evaluation(place, suite.audio_root(suite.content.data))
        added = CaseStore(Path(context.settings.cases)).add(found)
        rates = {name: one.wer for name, one in result.domains.items()}
        more = {
            "result": str(place),
            "wer": result.overall.wer,
            "cer": result.overall.cer,
            "domains": rates,
        }
        says = f"WER {100 * result.overall.wer:.1f} %; {added.new} new cases"
        return Came(says, [place / RESULT_FILE], more)


class Gate(Kind):
    """`asr model gate` against the model in use."""

    name = "gate"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """Both models, the suite, and the rows of its regression sets."""
        suite = context.suite()
        assert round.baseline is not None
        return {
            "model": round.steps["train"].facts["sha256"],
            "result": next(iter(round.steps["evaluate"].outputs.values())),
            "baseline": round.baseline.sha256 or round.baseline.checkpoint,
            "suite": suite.digest,
            "regression": [context.rows_of(one, suite) for one in suite.content.regression],
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The candidate by its result, which is there."""
        assert round.baseline is not None
        return [
            "model",
            "gate",
            round.steps["evaluate"].facts["result"],
            *_options(
                {
                    "--against": round.baseline.checkpoint,
                    "--suite": context.settings.suite,
                    "--out": GATES / round.name,
                }
            ),
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The gain, or what failed."""
        path = GATES / round.name / GATE_FILE
        found = read_gate(path)
        told = found.failed or [one for one in found.checks if one.group == "gain"]
        says = "; ".join(f"{one.group} {one.name}: {one.says}" for one in told)
        gain = next((one for one in found.checks if one.group == "gain"), None)
        more = {
            "gate": str(path.parent),
            "outcome": found.outcome,
            "failed": [f"{one.group} {one.name}" for one in found.failed],
            "gain": gain and gain.value,
            "gain_says": gain and gain.says,
        }
        return Came(f"{found.outcome}: {says}", [path], more)


class Promote(Kind):
    """`asr model promote`."""

    name = "promote"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The model and what the gate found."""
        return {
            "model": round.steps["train"].facts["sha256"],
            "gate": round.steps["gate"].outputs,
        }

    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """By this gate alone."""
        return [
            "model",
            "promote",
            round.steps["train"].facts["checkpoint"],
            *_options(
                {"--gate": round.steps["gate"].facts["gate"], "--why": f"round {round.number}"}
            ),
            *["--accept-caution"] * context.settings.accept_caution,
        ]

    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came:
        """The model in use."""
        found = Registry().show()
        return Came("" if found is None else f"in use: {found.model.checkpoint}")


KINDS: tuple[Kind, ...] = (Audit(), SweepStep(), Train(), Evaluate(), Gate(), Promote())
"""In the order of the work."""


def find_baseline(settings: Settings, round: Round) -> Baseline:
    """The model in use; for a model that is in use itself, the one that it was held against."""
    model = round.steps["train"].facts["sha256"]
    production = Registry().show()
    if production is None:
        return Baseline(checkpoint=settings.baseline, sha256=path_digest(Path(settings.baseline)))
    if round.baseline is not None and (round.promoted or production.model.sha256 == model):
        return round.baseline
    return Baseline(checkpoint=production.model.checkpoint, sha256=production.model.sha256)


def chosen(context: Context, round: Round) -> Path | None:
    """The recipe that a sweep found, now or earlier; None: that of `rounds.toml`."""
    step = round.steps.get("sweep")
    if step is not None and step.facts.get("taken"):
        return Path(step.facts["recipe"])
    return context.adopted(round)


def train_digest(settings: Settings) -> str:
    """Of what `rounds.toml` says of training: a recipe that was found belongs to that."""
    return digest_of(settings.train.model_dump())


def _recipe(found: Path | None, settings: Settings) -> tuple[str, list[str]]:
    if found is not None:  # has the overrides in it
        return str(found), []
    return settings.train.recipe, settings.train.overrides


def _recipe_inputs(found: Path | None, settings: Settings) -> dict[str, Any]:
    name, overrides = _recipe(found, settings)
    recipe = recipes.load(name, overrides)[1]
    start = recipe.model.pretrained
    own = [*recipe.data.validation, *recipe.data.test]
    return {
        "content": recipe.model_dump(mode="json", exclude={"wandb", "logging", "budget"}),
        "start": start and path_digest(Path(start)),
        "own": [path_digest(Path(one)) for one in own],
    }


def _manifests(settings: Settings) -> list[str]:
    return [f"--data={one}" for one in settings.data.manifests]


def _options(values: dict[str, Any]) -> list[str]:
    """Each that has a value, as one word: no value is taken for an option."""
    return [f"{name}={value}" for name, value in values.items() if value is not None]
