"""How a training appears in the tracker: its name and tags, its config, what came into it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.tracking import Tracker, TrackerSettings
from asr_gate.tracking.system import git_state, gpu_names, hardware, hardware_tag
from asr_gate.train import recipe as recipes
from asr_gate.train.distributed import Ranks
from asr_gate.train.plan import Plan
from asr_gate.train.preflight import Clearance
from asr_gate.train.recipe import Recipe
from asr_gate.train.results import Result, Transcript, predictions_file
from asr_gate.train.scoring import normalise

if TYPE_CHECKING:
    from transformers import Qwen3ASRConfig

RUN_FILE = "run.json"
"""What a run tells of itself, in its folder."""
RECIPE_FILE = "recipe.yaml"
"""The recipe as it was run, in the run's folder; `asr train` takes it again."""


def tracked(
    settings: Recipe, overrides: Sequence[str], here: Ranks, flags: Mapping[str, Any]
) -> Recipe:
    """The recipe with the tracker's settings as command line and environment have them.

    Args:
        settings: with its overrides.
        overrides: `key.sub=value`, of which `wandb.…` beat the environment.
        here: only the main process tracks.
        flags: of the command line, as `TrackerSettings.resolve` takes them.

    Raises:
        TrackingError: a bad value.
    """
    fixed = recipes.overridden(overrides, "wandb")
    flags = dict(flags) if here.main else {"enabled": False}
    block = TrackerSettings.resolve(settings.wandb, origin="recipe", fixed=fixed, **flags)
    return settings.model_copy(update={"wandb": block})


def tracker_of(
    settings: Recipe, plan: Plan, out: Path | None, *, say: Callable[[str], None]
) -> Tracker:
    """The run's tracker: named after its folder, with the hardware's tag (`2xA100`).

    Args:
        settings: of the run.
        plan: likewise.
        out: the run's folder; None: another process tracks.
        say: takes a line for the user.
    """
    block = settings.wandb
    gpus = gpu_names() if plan.device.startswith("cuda") else []
    tag = hardware_tag(plan.processes, gpus[0] if gpus else None)
    update = {
        "run_name": block.run_name or (out.name if out else None),
        "job_type": block.job_type or "train",
        "tags": tuple(dict.fromkeys([*block.tags, tag])),
    }
    named = block.model_copy(update=update)
    return Tracker(named, tensorboard=out / "tensorboard" if out else None, say=say)


def begin(
    tracker: Tracker,
    header: dict[str, Any],
    clearance: Clearance,
    settings: Recipe,
    plan: Plan,
    config: Qwen3ASRConfig,
    out: Path,
    earlier: dict[str, Any] | None,
    after: int | None,
) -> None:
    """Start the tracked run, say what it is, and draw its lineage.

    Args:
        tracker: not begun yet.
        header: what `run.json` begins with.
        clearance: the report that allowed the run.
        settings: of the run.
        plan: likewise.
        config: of the model.
        out: the run's folder.
        earlier: what an earlier start told.
        after: the step that it got to; None: the run is new.
    """
    told = (earlier or {}).get("tracking", {})
    goes_on = told.get("mode") == "online" and settings.wandb.resume != "never"
    tracker.init(
        config={
            **header,
            # Ids of rows belong to `run.json`; a config on a server is no place for lists.
            "plan": plan.summary(),
            "architecture": architecture(config),
            "hardware": hardware(),
            "git": git_state(),
        },
        run_id=str(told["run_id"]) if goes_on else None,
        after=after,
    )
    if not tracker.active:
        return
    recipes.write(out / RECIPE_FILE, settings)
    if not tracker.run_id:
        return
    tracker.use_artifact(clearance.artifact, clearance.report.digest)
    _use_base(tracker, settings)
    metadata = {"report_digest": clearance.report.digest}
    tracker.log_artifact(out / RECIPE_FILE, "config", f"{plan.recipe}-config", metadata=metadata)


def log_result(
    tracker: Tracker, result: Result, transcripts: Sequence[Transcript], path: Path
) -> None:
    """Log what `asr eval` found, at step 0.

    Args:
        tracker: whose run has begun.
        result: of the evaluation.
        transcripts: likewise, of all rows.
        path: the result's file.
    """
    if not tracker.active:
        return
    metrics: dict[str, object] = {
        "eval/loss": result.overall.loss,
        "eval/wer": result.overall.wer,
        "eval/cer": result.overall.cer,
    }
    for name, rates in result.domains.items():
        metrics |= {f"eval/{name}/wer": rates.wer, f"eval/{name}/cer": rates.cer}
    tracker.log_metrics(metrics)
    tracker.log_predictions(
        {
            "id": one.id,
            "domain": one.domain,
            "reference": normalise(one.reference, one.language),
            "hypothesis": normalise(one.hypothesis, one.language),
        }
        for one in transcripts
    )
    if logged := _logged_as(Path(result.checkpoint)):
        tracker.use_artifact(*logged)
    overall = result.overall
    metadata = {"checkpoint": result.checkpoint, "wer": overall.wer, "cer": overall.cer}
    files = [path, predictions_file(path)]
    tracker.log_artifact(files, "evaluation", "eval-result", metadata=metadata)


def architecture(config: Qwen3ASRConfig) -> dict[str, dict[str, object]]:
    """The numbers of both towers' configurations: layers, widths, heads, vocabulary."""
    return {
        part: {
            key: value
            for key, value in getattr(config, f"{part}_config").to_dict().items()
            if type(value) is int and not key.endswith("_token_id")
        }
        for part in ("audio", "text")
    }


def _use_base(tracker: Tracker, settings: Recipe) -> None:
    """The model that training began from, as an input of the run."""
    source = settings.model.pretrained
    if source is None:
        return
    if Path(source).exists():
        if logged := _logged_as(Path(source)):
            tracker.use_artifact(*logged)
        return
    revision = settings.model.revision or "main"
    uri = f"https://huggingface.co/{source}/tree/{revision}"
    metadata = {"source": source, "revision": revision}
    tracker.use_reference(uri, "model", re.sub(r"[^\w.-]", "_", source), metadata)


def _logged_as(checkpoint: Path) -> tuple[str, str] | None:
    """Reference and digest of the artifact that a run of ours logged a checkpoint as."""
    folder = checkpoint.resolve()
    try:
        told = json.loads((folder.parent / RUN_FILE).read_text(encoding="utf-8"))
        logged = told["tracking"]["models"][folder.name]
        return str(logged["reference"]), str(logged["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
