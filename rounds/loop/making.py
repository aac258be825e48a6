"""The steps that make a model: audit, sweep, training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from asr_gate.audit.gate import read_report
from asr_gate.audit.records.report import REPORT_FILE
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.rounds.cases.dataset import note_dataset
from asr_gate.rounds.loop.recipe import adopted, chosen, recipe_inputs, recipe_of, train_digest
from asr_gate.rounds.loop.settings import Settings
from asr_gate.rounds.loop.state import Round, Step, path_digest
from asr_gate.rounds.loop.step import Came, Context, Kind, options
from asr_gate.tracking import Tracker, TrackerSettings
from asr_gate.train.files import claim_folder, write_file
from asr_gate.train.record import RUN_FILE, read_record

REPORTS, RUNS, SWEEPS = map(Path, ("reports", "runs", "sweeps"))


class Audit(Kind):
    """`asr audit`."""

    name = "audit"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """Rows, audio, policy and aligner."""
        settings = context.settings
        data, audit = settings.data, settings.audit
        aligner = (audit.aligner or "").partition(":")[2]
        return {
            "rows": fingerprint(context.corpus()).digest,
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
            *options(
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
        """The decision; what was audited is a version of the dataset."""
        path = REPORTS / facts["name"] / REPORT_FILE
        report = read_report(path)
        name = context.settings.data.name
        tracker = Tracker(
            TrackerSettings.resolve(
                TrackerSettings(run_name=f"dataset-{name}", job_type="dataset"),
                asr_toml=context.tracking,
            )
        )
        noted, _ = note_dataset(name, context.corpus(), Path(context.settings.cases), tracker)
        version = f"{name} v{noted.number}"
        says = f"{report.decision}, {report.low_quality_percentage:.1f} % of low quality; {version}"
        more = {
            "report": str(path.parent),
            "digest": report.digest,
            "decision": report.decision,
            "dataset": version,
        }
        return Came(says, [path], more)


class SweepStep(Kind):
    """`asr sweep run`, of few trials."""

    name = "sweep"

    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """The audit, the recipe, and how it is looked for."""
        settings = context.settings
        return {
            "report": round.steps["audit"].facts["digest"],
            "recipe": recipe_inputs(adopted(context, round), settings),
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
        recipe, overrides = recipe_of(adopted(context, round), settings)
        words = [
            *options({"--report": round.steps["audit"].facts["report"]}),
            *_manifests(settings),
            *context.data_options(),
            *["--accept-caution"] * settings.accept_caution,
            *overrides,
        ]
        content = presets.preset(settings.sweep.preset, recipe, options=words)
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
            "recipe": recipe_inputs(chosen(context, round), settings),
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
        recipe, overrides = recipe_of(chosen(context, round), settings)
        return [
            "train",
            recipe,
            *overrides,
            *_manifests(settings),
            *context.data_options(),
            *options({"--report": round.steps["audit"].facts["report"], "--out": facts["out"]}),
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


def _manifests(settings: Settings) -> list[str]:
    return [f"--data={one}" for one in settings.data.manifests]
