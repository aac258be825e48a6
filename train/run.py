"""One training run from a verified report: what `asr train` calls.

The order matters. Recipe, report, decision and fingerprint are checked before torch is imported;
rows, names and sizes before weights are loaded.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from corpus.errors import UserError
from train import recipe as recipes
from train.plan import Plan, PlannedGroup, PlannedPhase
from train.preflight import Clearance, clear
from train.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration

    from tracking import Tracker
    from train.data import Selection
    from train.examples import Encoder
    from train.loop import EpochRecord

RUNS = Path("runs")
"""Where runs land unless the caller names a folder."""


class Interrupted(UserError):
    """Stopped by Ctrl-C or SIGTERM."""

    exit_code = 130


class _Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be."""


@dataclass(frozen=True)
class TrainResult:
    """What a run left behind."""

    plan: Plan
    out: Path | None
    """The run's folder; None after a dry run."""
    final: Path | None
    """The model to use: loads with plain transformers; None after a dry run."""
    epochs: list[EpochRecord]


@dataclass(frozen=True)
class _Prepared:
    """Everything but the weights."""

    plan: Plan
    selection: Selection
    encoder: Encoder
    config: Qwen3ASRConfig
    device: torch.device


def run(
    recipe: str,
    *,
    data: Sequence[str | Path],
    audio_root: Path | None = None,
    split: str | None = None,
    report: str | None = None,
    accept_caution: bool = False,
    dry_run: bool = False,
    resume: bool = False,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    wandb: bool | None = None,
    console: Console | None = None,
) -> TrainResult:
    """Train by a recipe on the audited rows of `data`.

    Args:
        recipe: a name in `train/recipes`, or a YAML file.
        data: manifests, the very ones that were audited.
        audio_root: as given to the audit; see `corpus.readers.read_corpus`.
        split: likewise.
        report: `alignment_report.json`, its folder, or `wandb:ENTITY/PROJECT/NAME:ALIAS`; None:
            the latest audit under `reports/`.
        accept_caution: train although the decision is CAUTION.
        dry_run: stop before any weights are built.
        overrides: `key.sub=value` for the recipe.
        out: the run's folder (default `runs/<recipe>`); if it is taken, `-2`, `-3`, … is added.
        wandb: log to W&B, or not; None: as the environment says.
        console: where plan and progress are printed; None: nowhere.

    Raises:
        NoVerdict: no report, an altered one, or one about other data (exit code 30).
        Stopped: the report says STOP (20).
        CautionNotAccepted: it says CAUTION (10).
        UserError: bad recipe, override, manifest or checkpoint; diverged; disk full (2).
        Interrupted: Ctrl-C or SIGTERM (130).
    """
    if resume:
        raise UserError("training cannot be resumed yet: start it again without --resume")
    name, settings = recipes.load(recipe, overrides)
    clearance = clear(
        report, data, audio_root=audio_root, split=split, accept_caution=accept_caution
    )
    folder = out or RUNS / name
    tracker = _tracker(settings, folder.name, wandb, console)
    tracker.check()
    prepared = _prepare(name, settings, clearance)
    if console is not None:
        prepared.plan.show(console)
    if dry_run:
        return TrainResult(prepared.plan, None, None, [])
    return _train(settings, clearance, prepared, claim(folder), tracker, console)


def _prepare(name: str, settings: Recipe, clearance: Clearance) -> _Prepared:
    """Choose the rows and count everything; torch is imported here, weights are not touched."""
    import torch
    from transformers.utils import logging as transformers_logging

    from train.data import refuse_long_texts, select
    from train.examples import Encoder
    from train.loop import count_steps, plan_batches
    from train.model import build_on_meta, is_tied, load_config, load_processor, tiny_config
    from train.phases import match
    from train.tokenizer import build_processor

    # Its bars would write across ours.
    transformers_logging.disable_progress_bar()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    selection = select(clearance.corpus.utterances, clearance.condemned, settings.data)
    if settings.model.tiny is not None:
        texts = (row.utterance.text for row in selection.training)
        processor = build_processor(texts, settings.model.tiny.vocabulary)
        config = tiny_config(settings.model.tiny, processor)
        source = "tiny random Qwen3-ASR"
    else:
        source = str(settings.model.pretrained)
        # One file first: without a network, each file looked for costs the hub client's retries.
        config = load_config(source, settings.model.revision)
        processor = load_processor(source, settings.model.revision)
    encoder = Encoder(processor, settings.data)
    selection = refuse_long_texts(selection, encoder.count_tokens, settings.data)
    model = build_on_meta(config, untie=settings.model.untie_embeddings)
    matched = match(model, settings.phases)
    steps = count_steps(plan_batches(selection, settings), settings.optimizer.accumulate)
    plan = Plan(
        recipe=name,
        report=clearance.name,
        decision=clearance.report.decision,
        corpus=len(clearance.corpus.utterances),
        training=len(selection.training),
        training_audio=sum(row.seconds for row in selection.training),
        evaluation=[row.utterance.id for row in selection.evaluation],
        condemned=selection.dropped,
        refused=[
            {"id": row.id, "rule": row.rule, "reason": row.reason} for row in selection.refused
        ],
        model=source,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        tokens=len(processor.tokenizer),
        embeddings="tied" if is_tied(model) else "untied",
        phases=[
            PlannedPhase(
                phase.name,
                phase.epochs,
                [
                    PlannedGroup(group.name, group.learning_rate, group.size)
                    for group in matched[phase.name]
                ],
            )
            for phase in settings.phases
        ],
        steps=steps,
        device=str(device),
        arithmetic="bfloat16" if device.type == "cuda" else "float32",
    )
    return _Prepared(plan, selection, encoder, config, device)


def _train(
    settings: Recipe,
    clearance: Clearance,
    prepared: _Prepared,
    out: Path,
    tracker: Tracker,
    console: Console | None,
) -> TrainResult:
    from train.journal import Journal
    from train.loop import train
    from train.phases import match
    from train.progress import reporter

    plan = prepared.plan
    header: dict[str, Any] = {
        "recipe": plan.recipe,
        "config": settings.model_dump(mode="json"),
        **clearance.run_config(),
        "plan": plan.as_dict(),
    }
    shown = reporter(console, settings.logging.every_steps)
    shown.note(f"run {out}")
    try:
        with tracker, _sigterm():
            # Ids of rows belong to `run.json`; a run's config on a server is no place for lists.
            tracker.init(config={**header, "plan": plan.summary()})
            tracker.use_artifact(clearance.artifact)
            journal = Journal(
                out,
                header,
                tracker,
                shown,
                steps=plan.steps,
                epochs=settings.epochs,
                every_steps=settings.logging.every_steps,
                samples=settings.logging.samples,
            )
            try:
                model = _build(settings, prepared).to(prepared.device)
                records = train(
                    model,
                    prepared.encoder,
                    prepared.selection,
                    settings,
                    match(model, settings.phases),
                    device=prepared.device,
                    out=out,
                    observer=journal,
                )
            except KeyboardInterrupt as error:
                journal.end("interrupted")
                raise _interrupted(error, out) from error
            except Exception as error:
                journal.end("failed", str(error))
                raise
            journal.end("finished")
    finally:
        shown.close()
    return TrainResult(plan, out, out / "final", records)


def _build(settings: Recipe, prepared: _Prepared) -> Qwen3ASRForConditionalGeneration:
    from train.model import build_random, load_pretrained

    untie = settings.model.untie_embeddings
    if settings.model.pretrained is not None:
        return load_pretrained(settings.model.pretrained, settings.model.revision, untie=untie)
    return build_random(prepared.config, untie=untie, seed=settings.seed)


def _device(wanted: str) -> torch.device:
    import torch

    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise UserError("device=cuda: torch finds no CUDA device here; use device=auto")
    return torch.device("cuda" if found and wanted != "cpu" else "cpu")


def _tracker(
    settings: Recipe, run_name: str, wandb: bool | None, console: Console | None
) -> Tracker:
    """The run's tracker; names by the environment, then the recipe, then the defaults."""
    from tracking import Tracker, TrackerSettings

    recipe = settings.tracking
    defaults = TrackerSettings(
        run_name=recipe.run_name or run_name,
        group=recipe.group,
        job_type="train",
        tags=tuple(recipe.tags),
    )
    if recipe.project is not None:
        defaults = replace(defaults, project=recipe.project)
    resolved = TrackerSettings.resolve(defaults, enabled=wandb)
    if console is None:
        return Tracker(resolved)
    # Through the console, so that its lines go above the progress bar.
    return Tracker(
        resolved, say=partial(console.print, markup=False, highlight=False, soft_wrap=True)
    )


def claim(folder: Path) -> Path:
    """Make the run's folder; one that holds anything is left alone and `-2`, `-3`, … is made.

    Raises:
        UserError: the folder cannot be made.
    """
    if not folder.name:
        folder = folder.resolve()
    if not folder.name:
        raise UserError(
            f"--out {folder}: is no folder that a run can have to itself; name one in it"
        )
    number = 1
    while True:
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            if candidate.is_dir() and not any(candidate.iterdir()):
                return candidate
            number += 1
        except OSError as error:
            raise UserError(f"{candidate}: cannot be made ({error.strerror})") from error


@contextmanager
def _sigterm() -> Iterator[None]:
    """Let SIGTERM stop the run as Ctrl-C does; only the main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupted(error: KeyboardInterrupt, out: Path) -> Interrupted:
    saved = [path.name for path in out.glob("epoch-*")]
    last = max(saved, key=lambda name: int(name.removeprefix("epoch-")), default=None)
    left = f"the last whole epoch is {out / last}" if last else "no epoch was complete"
    by = "SIGTERM" if isinstance(error, _Terminated) else "Ctrl-C"
    return Interrupted(f"stopped by {by}: {left}")
