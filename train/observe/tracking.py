"""How a training run appears in the tracker: name and tags, config, inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from asr_gate.audit.records.report import Report
from asr_gate.tracking import Tracker, TrackerSettings
from asr_gate.tracking.datasets import use_dataset
from asr_gate.tracking.git import git_state
from asr_gate.tracking.system import gpu_names, hardware, hardware_tag
from asr_gate.train import recipes
from asr_gate.train.authorise import Authorisation
from asr_gate.train.distributed import Ranks
from asr_gate.train.plan import Plan
from asr_gate.train.recipes import Recipe
from asr_gate.train.record import RunRecord, logged_model

DOMAINS = 50
"""Domains of the audit in a run's config."""

RECIPE_FILE = "recipe.yaml"
"""The recipe as it ran, in the run's folder; `asr train` can run it again."""


def with_tracker_settings(
    recipe: Recipe,
    overrides: Sequence[str],
    here: Ranks,
    flags: Mapping[str, Any],
    project: Mapping[str, Any],
) -> Recipe:
    """The recipe with the tracker's settings of command line, environment and `asr.toml`.

    Args:
        recipe: with its overrides applied.
        overrides: `key.sub=value`; those of `wandb.…` take precedence over the environment.
        here: this process; only the main process tracks.
        flags: of the command line, as `TrackerSettings.resolve` takes them.
        project: of `asr.toml`.

    Raises:
        TrackingError: a bad value.
    """
    fixed = recipes.overridden(overrides, "wandb")
    flags = dict(flags) if here.main else {"enabled": False}
    block = TrackerSettings.resolve(
        recipe.wandb, origin="recipe", fixed=fixed, asr_toml=project, command="train", **flags
    )
    return recipe.model_copy(update={"wandb": block})


def build_tracker(
    recipe: Recipe, plan: Plan, out: Path | None, *, say: Callable[[str], None]
) -> Tracker:
    """The run's tracker, named after the run's folder, with tags for model, method and hardware.

    Args:
        recipe: of the run.
        plan: of the run.
        out: the run's folder; None: another process tracks.
        say: prints a line for the user.
    """
    block = recipe.wandb
    gpus = gpu_names() if plan.device.startswith("cuda") else []
    tag = hardware_tag(plan.processes, gpus[0] if gpus else None)
    update = {
        "run_name": block.run_name or (out.name if out else None),
        "job_type": block.job_type or "train",
        "tags": tuple(dict.fromkeys([*block.tags, *model_tags(recipe), tag])),
    }
    named = block.model_copy(update=update)
    return Tracker(named, tensorboard=out / "tensorboard" if out else None, say=say)


def start_tracking(
    tracker: Tracker,
    record: RunRecord,
    authorised: Authorisation,
    recipe: Recipe,
    architecture: Mapping[str, Any],
    out: Path,
    *,
    earlier: RunRecord | None,
    after: int | None,
) -> RunRecord:
    """Start the tracked run, and log its config and its inputs.

    Args:
        tracker: not started yet.
        record: what the run is.
        authorised: the report that allowed the run.
        recipe: of the run.
        architecture: numbers of the model.
        out: the run's folder.
        earlier: record of an earlier start of this run; None: the run is new.
        after: the step that the run is resumed after; None: the run is new.

    Returns:
        The record, which names the report's artifact as W&B has it.
    """
    resumed = (
        earlier is not None and earlier.tracking.mode == "online" and recipe.wandb.resume != "never"
    )
    tracker.init(
        config={
            "recipe": record.recipe,
            "config": record.config.model_dump(mode="json"),
            "phase0": {**record.phase0.model_dump(mode="json"), **quality(authorised.report)},
            # The ids of the rows are in `run.json`; long lists do not belong into a config.
            "plan": record.plan.counts(),
            "architecture": architecture,
            "hardware": hardware(),
            "folder": out.name,
            "git": git_state(),
        },
        run_id=earlier.tracking.run_id if resumed and earlier is not None else None,
        after=after,
    )
    if not tracker.active:
        return record
    recipes.write(out / RECIPE_FILE, recipe)
    if not tracker.run_id:
        return record
    record = use_report(tracker, record, authorised)
    _use_base_model(tracker, recipe)
    use_dataset(tracker, record.phase0.dataset_fingerprint)
    for own in record.plan.own.values():
        use_dataset(tracker, own.fingerprint)
    metadata = {"report_digest": authorised.report.digest}
    tracker.log_artifact(out / RECIPE_FILE, "config", f"{record.recipe}-config", metadata=metadata)
    return record


def use_report(tracker: Tracker, record: RunRecord, authorised: Authorisation) -> RunRecord:
    """Make the report an input of the run, and log it first if W&B does not have it."""
    digest, to_log = authorised.report.digest, authorised.to_log()
    if to_log is None or tracker.is_there(authorised.artifact, digest):
        tracker.use_artifact(authorised.artifact, digest)
        return record
    reference = tracker.log_artifact(**to_log, use=True)
    if not reference:
        return record
    phase0 = record.phase0.model_copy(update={"artifact": reference})
    told = {**phase0.model_dump(mode="json"), **quality(authorised.report)}
    tracker.update_config({"phase0": told})
    return record.model_copy(update={"phase0": phase0})


def model_tags(recipe: Recipe) -> list[str]:
    """Tags for the model and what trains: its family, its size as in its name, and the method."""
    source = recipe.model.pretrained
    found = re.findall(r"\d+(?:\.\d+)?B", "" if source is None else Path(source).name)
    size = "tiny" if source is None else found[-1] if found else None
    trained = [
        {pattern for group in phase.groups for pattern in group.parameters}
        for phase in recipe.phases
    ]
    method = "lora" if recipe.model.lora else None
    if method is None and any(one < two for one, two in pairwise(trained)):
        method = "gradual-unfreezing"
    return [tag for tag in (recipe.model.family, size, method) if tag is not None]


def quality(report: Report) -> dict[str, object]:
    """What the audit found, for a run's config: coverage over the corpus, and each domain.

    Of at most DOMAINS domains, as a config is a small thing.
    """
    domains = islice(report.domain_statistics.items(), DOMAINS)
    return {
        "coverage": report.coverage_distribution.model_dump(mode="json"),
        "domains": {name: one.model_dump(mode="json") for name, one in domains},
    }


def _use_base_model(tracker: Tracker, recipe: Recipe) -> None:
    """Log the model that training begins with as an input of the run."""
    source = recipe.model.pretrained
    if source is None:
        return
    if Path(source).exists():
        if logged := logged_model(Path(source)):
            tracker.use_artifact(*logged)
        return
    revision = recipe.model.revision or "main"
    uri = f"https://huggingface.co/{source}/tree/{revision}"
    metadata = {"source": source, "revision": revision}
    tracker.use_reference(uri, "model", re.sub(r"[^\w.-]", "_", source), metadata)
