"""One training run from a verified report: what `asr train` calls.

The order matters. Recipe, report, decision and fingerprint are checked before torch is imported;
rows, names and sizes before weights are loaded.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.tracking import Tracker
from asr_gate.tracking.logs import logs
from asr_gate.tracking.redact import redact
from asr_gate.train import recipe as recipes
from asr_gate.train.distributed import choose_device, ranks, together
from asr_gate.train.plan import Plan, PlannedGroup, PlannedPhase
from asr_gate.train.preflight import Clearance, clear
from asr_gate.train.recipe import Recipe
from asr_gate.train.tracked import RUN_FILE, begin, tracked, tracker_of

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration

    from asr_gate.train.data import Selection
    from asr_gate.train.distributed import Ranks
    from asr_gate.train.examples import Encoder
    from asr_gate.train.loop import Milestone
    from asr_gate.train.phases import MatchedGroup

RUNS = Path("runs")
"""Where runs land unless the caller names a folder."""


class Interrupted(UserError):
    """Stopped by Ctrl-C."""

    exit_code = 130


@dataclass(frozen=True)
class TrainResult:
    """What a run left behind."""

    plan: Plan
    out: Path | None
    """The run's folder; None after a dry run."""
    final: Path | None
    """The model to use: loads with plain transformers; None after a dry run, or not there yet."""
    epochs: list[Milestone]
    stopped: int | None = None
    """The step after which SIGTERM stopped the run; it goes on from there with `resume`."""


@dataclass(frozen=True)
class _Prepared:
    """Everything but the weights."""

    plan: Plan
    selection: Selection
    encoder: Encoder
    config: Qwen3ASRConfig
    device: torch.device
    ranks: Ranks


def run(
    recipe: str,
    *,
    data: Sequence[str | Path],
    audio_root: Path | None = None,
    split: str | None = None,
    report: str | None = None,
    accept_caution: bool = False,
    policy: Path | None = None,
    verify_key: Path | None = None,
    dry_run: bool = False,
    resume: bool = False,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    tracking: Mapping[str, Any] | None = None,
    profile: bool = False,
    console: Console | None = None,
) -> TrainResult:
    """Train by a recipe on the audited rows of `data`.

    Args:
        recipe: a name in `train/recipes`, or a YAML file.
        data: manifests, the very ones that were audited.
        audio_root: as given to the audit; see `corpus.read.read_corpus`.
        split: likewise.
        report: `alignment_report.json`, its folder, or `wandb:ENTITY/PROJECT/NAME:ALIAS`; None:
            the latest audit under `reports/`.
        accept_caution: train although the decision is CAUTION.
        policy: file of the policy under which the report must have been judged.
        verify_key: public key that must have signed it.
        dry_run: stop before any weights are built.
        resume: go on with the newest run in `out`, from where its state on disk stands.
        overrides: `key.sub=value` for the recipe.
        out: the run's folder (default `runs/<recipe>`); if it is taken, `-2`, `-3`, … is added.
        tracking: settings of the tracker, over those of the recipe and of the environment.
        profile: write a trace of a few steps, and where their time goes, to `out/profile`.
        console: where plan and progress are printed; None: nowhere.

    Raises:
        NoVerdict: no report, an altered one, or one about other data (exit code 30).
        Stopped: the report says STOP (20).
        CautionNotAccepted: it says CAUTION (10).
        UserError: bad recipe, override, manifest or checkpoint; diverged; disk full (2).
        Interrupted: Ctrl-C (130).
    """
    here = ranks()
    if not here.main:
        console = None
    name, settings = recipes.load(recipe, overrides)
    settings = tracked(settings, overrides, here, tracking or {})
    clearance = clear(
        report,
        data,
        audio_root=audio_root,
        split=split,
        accept_caution=accept_caution,
        policy=policy,
        verify_key=verify_key,
    )
    folder = out or RUNS / name
    Tracker(settings.wandb).check()
    prepared = _prepare(name, settings, clearance, here)
    if console is not None:
        prepared.plan.show(console)
    if dry_run:
        return TrainResult(prepared.plan, None, None, [])
    with together(here, prepared.device):
        earlier = _earlier(folder) if resume else None
        claimed = earlier or (claim(folder) if here.main else folder)
        out = here.from_main(claimed)
        return _train(settings, clearance, prepared, out, profile, console)


def _earlier(folder: Path) -> Path:
    """The newest run in a folder, or in those that `claim` made beside it.

    Raises:
        UserError: there is none.
    """
    found: dict[int, Path] = {}
    for path in (folder, *folder.parent.glob(f"{folder.name}-*")):
        number = path.name.removeprefix(folder.name).removeprefix("-") or "1"
        if number.isdecimal() and (path / RUN_FILE).is_file():
            found[int(number)] = path
    if not found:
        raise UserError(f"{folder}: no run to go on with; start one without --resume")
    return found[max(found)]


def _prepare(name: str, settings: Recipe, clearance: Clearance, here: Ranks) -> _Prepared:
    """Choose the rows and count everything; torch is imported here, weights are not touched."""
    import torch
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.data import refuse_long_texts, select
    from asr_gate.train.examples import Encoder
    from asr_gate.train.loop import count_steps, plan_batches
    from asr_gate.train.lora import add_adapters
    from asr_gate.train.model import (
        build_on_meta,
        is_tied,
        load_config,
        load_processor,
        tiny_config,
    )
    from asr_gate.train.phases import match
    from asr_gate.train.tokenizer import build_processor

    # Its bars would write across ours.
    transformers_logging.disable_progress_bar()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device, here, "device=")
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
    if settings.model.lora is not None:
        add_adapters(model, settings.model.lora, seed=settings.seed)
    matched = match(model, settings.phases)
    size = settings.optimizer.accumulate * here.world
    steps = count_steps(plan_batches(selection, settings), size)
    audio = sum(row.seconds for row in selection.training)
    speed, price = settings.budget.realtime, settings.budget.price
    hours = None if speed is None else audio * settings.epochs / (speed * here.world) / 3600
    plan = Plan(
        recipe=name,
        report=clearance.name,
        decision=clearance.report.decision,
        corpus=len(clearance.corpus.utterances),
        training=len(selection.training),
        training_audio=audio,
        evaluation=[row.utterance.id for row in selection.evaluation],
        condemned=selection.dropped,
        weighted=[
            row.utterance.id
            for row in selection.training
            if row.utterance.id in clearance.condemned
        ],
        condemned_weight=settings.data.condemned_weight,
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
                phase.gradient_checkpointing,
            )
            for phase in settings.phases
        ],
        steps=steps,
        device=str(device),
        arithmetic="bfloat16" if device.type == "cuda" else "float32",
        processes=here.world,
        sharding=settings.sharding,
        memory=_memory(model, matched.values())
        // (here.world if settings.sharding == "fsdp2" else 1),
        hours=hours,
        cost=None if hours is None or price is None else hours * here.world * price,
    )
    return _Prepared(plan, selection, encoder, config, device, here)


def _memory(model: torch.nn.Module, phases: Iterable[Sequence[MatchedGroup]]) -> int:
    """Bytes of float32 weights, and of gradients and AdamW's two moments in the largest phase."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    trained = max(sum(group.size for group in groups) for groups in phases)
    return 4 * (weights + 3 * trained)


def _train(
    settings: Recipe,
    clearance: Clearance,
    prepared: _Prepared,
    out: Path,
    profile: bool,
    console: Console | None,
) -> TrainResult:
    from asr_gate.train import resume
    from asr_gate.train.journal import Journal
    from asr_gate.train.loop import Diverged, Stopped, train
    from asr_gate.train.profile import StepProfile
    from asr_gate.train.progress import reporter

    plan, here = prepared.plan, prepared.ranks
    header: dict[str, Any] = {
        "recipe": plan.recipe,
        "config": redact(settings.model_dump(mode="json")),
        **clearance.run_config(),
        "plan": plan.as_dict(),
    }
    earlier = _read_run(out, header)
    if earlier is not None and earlier["status"] == "finished":
        return TrainResult(plan, out, out / "final", [])
    state = resume.newest(out)
    at = resume.position(state) if state else resume.Position()
    if state:
        resume.require_chunk_size(state, at, settings.optimizer.accumulate * here.world)
    shown = reporter(console, settings.wandb.log_interval)
    # Through the reporter, so that its lines go above the progress bar.
    tracker = tracker_of(settings, plan, out if here.main else None, say=shown.note)
    logging = settings.logging
    try:
        with (
            logs(
                "train", out if here.main else None, say=shown.note, **logging.model_dump()
            ) as log,
            tracker,
            _sigterm() as stop,
        ):
            log.info(f"run {out}" + (f", going on after step {at.step}" if state else ""))
            begin(
                tracker,
                header,
                clearance,
                settings,
                plan,
                prepared.config,
                out,
                earlier,
                at.step if earlier else None,
            )
            model = _build(settings, prepared).to(prepared.device)
            journal = Journal(
                out if here.main else None,
                header,
                tracker,
                shown,
                log,
                recipe=settings,
                model=model,
                steps=plan.steps,
                profile=StepProfile(out) if profile and here.main else None,
                earlier=earlier,
                at=at if state else None,
            )
            try:
                records = train(
                    model,
                    prepared.encoder,
                    prepared.selection,
                    settings,
                    device=prepared.device,
                    out=out,
                    observer=journal,
                    ranks=here,
                    state=state,
                    stop=stop.is_set,
                )
            except Stopped as stopped:
                journal.end("stopped", f"by SIGTERM after step {stopped.step}")
                return TrainResult(plan, out, None, [], stopped.step)
            except KeyboardInterrupt as error:
                journal.end("interrupted")
                raise _interrupted(out) from error
            except Diverged as error:
                journal.diverged(str(error))
                raise
            except Exception as error:
                journal.end("failed", str(error))
                raise
            journal.end("finished")
    finally:
        shown.close()
    return TrainResult(plan, out, out / "final", records)


def _read_run(out: Path, header: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier start of this very run told; None: it is new.

    Raises:
        UserError: it is another run.
    """
    path = out / RUN_FILE
    if not path.is_file():
        return None
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        config, audited = earlier["config"], earlier["phase0"]
        _ = [earlier[key] for key in ("status", "steps", "epochs", "evaluations")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); start anew without --resume") from error
    changed = [
        key
        for key, value in header["config"].items()
        # Where and how it is told changes nothing of the run.
        if config.get(key) != value and key not in ("wandb", "logging", "budget")
    ]
    changed += [
        f"phase0.{key}"
        for key in ("digest", "dataset_fingerprint")
        if audited.get(key) != header["phase0"][key]
    ]
    if changed:
        raise UserError(
            f"{out}: was begun with another {', '.join(changed)}; go on with the same, or start "
            "anew without --resume"
        )
    assert isinstance(earlier, dict)
    return earlier


def _build(settings: Recipe, prepared: _Prepared) -> Qwen3ASRForConditionalGeneration:
    from asr_gate.train.lora import add_adapters
    from asr_gate.train.model import build_random, load_pretrained

    source, untie = settings.model, settings.model.untie_embeddings
    if source.pretrained is not None:
        model = load_pretrained(source.pretrained, source.revision, untie=untie)
    else:
        model = build_random(prepared.config, untie=untie, seed=settings.seed)
    if source.lora is not None:
        add_adapters(model, source.lora, seed=settings.seed)
    return model


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
def _sigterm() -> Iterator[threading.Event]:
    """SIGTERM asks the run to stop where it can go on; only the main thread may listen."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupted(out: Path) -> Interrupted:
    from asr_gate.train import resume

    state = resume.newest(out)
    if state is None:
        return Interrupted(f"stopped by Ctrl-C: {out} holds nothing to go on from yet")
    return Interrupted(
        f"stopped by Ctrl-C: step {resume.position(state).step} is kept; go on with the same "
        "command and --resume"
    )
