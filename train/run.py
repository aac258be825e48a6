"""One training run from a verified report, for `asr train`.

The order matters. Recipe, report, decision and fingerprint are checked before torch is imported;
rows, parameter names and sizes are checked before weights are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import held
from asr_gate.corpus.heard import HEARD_FILE, read_heard
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.text.plain import plain
from asr_gate.tracking import Tracker
from asr_gate.tracking.logs import logs
from asr_gate.tracking.redact import redact
from asr_gate.train import recipes
from asr_gate.train.authorise import REPORTS, Authorisation, authorise_training
from asr_gate.train.data.own_sets import read_own_sets
from asr_gate.train.distributed import Ranks, ranks, together
from asr_gate.train.files import claim_folder, write_json
from asr_gate.train.launch import choose_processes, started, why_ended
from asr_gate.train.observe.refusal import refusals_logged
from asr_gate.train.observe.tracking import build_tracker, start_tracking, with_tracker_settings
from asr_gate.train.plan import Plan
from asr_gate.train.record import RUN_FILE, RunRecord, read_record
from asr_gate.train.signals import asked_to_stop

if TYPE_CHECKING:
    from rich.console import Console

    from asr_gate.train.loop.events import Milestone
    from asr_gate.train.prepare import Prepared

RUNS = Path("runs")
"""Default folder of runs."""

PATIENCE = 10.0
"""Seconds until the loaders of a run that was killed are gone too, which hold its folder."""


class Interrupted(UserError):
    """Stopped by Ctrl-C."""

    exit_code = 130


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a run."""

    plan: Plan
    out: Path | None
    """The run's folder; None after a dry run."""
    final: Path | None
    """The trained model, which plain transformers can load; None: there is none (yet)."""
    epochs: list[Milestone]
    """The epochs that were finished."""
    stopped: int | None = None
    """The step after which SIGTERM stopped the run; `resume` continues it."""


@dataclass(frozen=True)
class ProjectSettings:
    """What a project says once, for all its trainings."""

    labels: Sequence[LabelRule] = ()
    """Rules that give rows domains and splits; the same as in the audit."""
    language: str | None = None
    """Of rows that name none, where the recipe names none either."""
    reports: Path = REPORTS
    """Folder of the audits, whose latest of this data is used unless one is named."""
    runs: Path = RUNS
    """Folder of the trainings."""
    tracking: Mapping[str, Any] | None = None
    """Settings of the tracker; the environment takes precedence, the recipe does not."""


def run(
    recipe: str,
    *,
    data: Sequence[str | Path],
    audio_root: Path | None = None,
    split: str | None = None,
    report: str | None = None,
    accept_caution: bool = False,
    accept_leaks: bool = False,
    policy: Path | None = None,
    verify_key: Path | None = None,
    dry_run: bool = False,
    resume: bool = False,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    tracking: Mapping[str, Any] | None = None,
    project: ProjectSettings | None = None,
    profile: bool = False,
    console: Console | None = None,
    processes: int | None = None,
    start: Callable[[int], NoReturn] | None = None,
) -> TrainResult:
    """Train by a recipe on the audited rows of `data`.

    Args:
        recipe: a name in `train/recipes`, or a YAML file.
        data: manifests, the same that were audited, or some of them.
        audio_root: as given to the audit; see `corpus.read.read_corpus`.
        split: to train on; the same as `data.split` of the recipe.
        report: `alignment_report.json`, its folder, or `wandb:ENTITY/PROJECT/NAME:ALIAS`; None:
            the latest audit of this data, or else of any.
        accept_caution: train although the decision is CAUTION.
        accept_leaks: train although rows stand in several splits.
        policy: file with the policy that the audit must have used.
        verify_key: public key that must have signed the report.
        dry_run: stop before any weights are loaded.
        resume: continue the newest run in `out` from its state on disk.
        overrides: `key.sub=value` for the recipe.
        out: the run's folder (default `runs/<recipe>`, or in the project's folder of runs); if it
            is taken, `-2`, `-3`, … is added.
        tracking: settings of the tracker; they take precedence over recipe and environment.
        project: what `asr.toml` says.
        profile: write a trace of a few steps, and where their time goes, to `out/profile`.
        console: where the plan and the progress are printed; None: nowhere.
        processes: that train together; None: as many as a launcher started, or else one for each
            GPU that torch sees.
        start: starts so many processes that do the same, and ends this one with their exit code;
            None: this process trains alone, unless a launcher has started it.

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
    project = project or ProjectSettings()
    settings = with_tracker_settings(
        settings, overrides, here, tracking or {}, project.tracking or {}
    )
    told = {"split": split, "language": settings.data.language or project.language}
    update = {name: value for name, value in told.items() if value is not None}
    settings = settings.model_copy(update={"data": settings.data.model_copy(update=update)})

    def logged() -> AbstractContextManager[None]:
        if dry_run or not here.main:
            return nullcontext()
        return refusals_logged(settings.wandb, name, report, data, project.runs)

    with logged():
        authorised = authorise_training(
            report,
            data,
            audio_root=audio_root,
            labels=project.labels,
            reports=project.reports,
            accept_caution=accept_caution,
            policy=policy,
            verify_key=verify_key,
        )
    if console is not None and report is None and not started():
        console.print(plain(f"report: {authorised.name}"), markup=False, highlight=False)
    folder = out or project.runs / name
    Tracker(settings.wandb).check()
    own = read_own_sets(
        settings.data,
        authorised,
        by_user=recipes.overridden(overrides, "data"),
        audio_root=audio_root,
        labels=project.labels,
    )
    if start is not None:
        count = choose_processes(processes, settings.device, here)
        if count > here.world and dry_run:
            here = Ranks(world=count)
        elif count > here.world:
            if console is not None:
                console.print(f"processes: {count} (--processes chooses)", highlight=False)
            start(count)

    from asr_gate.train.devices import explain
    from asr_gate.train.observe.plan_table import show_plan
    from asr_gate.train.prepare import prepare

    if dry_run and settings.budget.processes is not None:
        here = replace(here, world=settings.budget.processes)
    earlier = _newest_run(folder) if resume else None
    if earlier is not None:
        before = read_record(earlier)
        settings = recipes.resolve_as_before(
            settings, before.config, processes=here.world, earlier=before.plan.processes
        )
    with logged():
        prepared = prepare(
            name,
            settings,
            authorised,
            here,
            own,
            accept_leaks=accept_leaks,
            declared=settings.budget.gpu if dry_run else None,
        )
    if console is not None:
        why = explain(prepared.device, here) if settings.device == "auto" else None
        show_plan(prepared.plan, console, why)
    if dry_run:
        if console is not None:
            line = plain(settings.wandb.said())
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return TrainResult(prepared.plan, None, None, [])
    with together(here, prepared.device):
        chosen = earlier or (claim_folder(folder) if here.main else folder)
        out = here.from_main(chosen)
        with _held(out) if here.main else nullcontext():
            return _train(prepared.recipe, authorised, prepared, out, profile, console)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the run's folder: no two trainings write into one, and `asr runs` sees that it runs."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder, PATIENCE))
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another training is writing here; wait for it, or choose another --out"
            ) from error
        yield


def _newest_run(folder: Path) -> Path:
    """The newest run in a folder and in those that `claim_folder` made beside it.

    Raises:
        UserError: there is none.
    """
    found: dict[int, Path] = {}
    for path in (folder, *folder.parent.glob(f"{folder.name}-*")):
        number = path.name.removeprefix(folder.name).removeprefix("-") or "1"
        if number.isdecimal() and (path / RUN_FILE).is_file():
            found[int(number)] = path
    if not found:
        raise UserError(f"{folder}: no run to resume; start one without --resume")
    return found[max(found)]


def _train(
    recipe: recipes.Recipe,
    authorised: Authorisation,
    prepared: Prepared,
    out: Path,
    profile: bool,
    console: Console | None,
) -> TrainResult:
    """Train, or resume, in the run's folder."""
    from asr_gate.train.families.registry import family
    from asr_gate.train.loop.clock import Clock
    from asr_gate.train.loop.events import Diverged, Stopped
    from asr_gate.train.loop.fit import fit
    from asr_gate.train.loop.resume import newest, read_position
    from asr_gate.train.model.memory import OutOfMemory, memory_explained
    from asr_gate.train.observe.progress import reporter
    from asr_gate.train.observe.run_recorder import RunRecorder
    from asr_gate.train.observe.step_profile import StepProfile
    from asr_gate.train.prepare import build_model

    plan, here = prepared.plan, prepared.ranks
    clock = Clock()
    record = RunRecord(
        recipe=plan.recipe,
        config=recipes.Recipe.model_validate(redact(recipe.model_dump(mode="json"))),
        phase0=authorised.phase0(),
        plan=plan,
    )
    earlier = read_record(out) if (out / RUN_FILE).is_file() else None
    changed: list[str] = []
    if earlier is not None:
        changed = record.require_same_run(earlier, out)
        if earlier.status == "finished":
            return TrainResult(plan, out, out / "final", [])
    state = newest(out)
    at = read_position(state) if state else None
    after = 0 if at is None else at.step
    folder = out if here.main else None
    if folder is not None:
        began = Path(str(recipe.model.pretrained))
        before = read_heard(began.resolve().parent) if began.is_dir() else None
        heard = authorised.audio.heard(row.utterance for row in prepared.selection.training)
        write_json(folder / HEARD_FILE, heard.also(before).model_dump())
    shown = reporter(console, recipe.wandb.log_interval)
    # The tracker prints through the reporter, so that its lines appear above the progress bar.
    tracker = build_tracker(recipe, plan, folder, say=shown.note)
    logging = logs("asr_gate.train", folder, say=shown.note, **recipe.logging.model_dump())
    try:
        with logging as log, tracker, asked_to_stop() as stop:
            log.info(f"run {out}" + (f", resumed after step {after}" if state else ""))
            if changed:
                log.info(f"resumed with {', '.join(changed)}")
            record = start_tracking(
                tracker,
                record,
                authorised,
                recipe,
                family(recipe.model.family).architecture(prepared.source.config),
                out,
                earlier=earlier,
                after=None if earlier is None else after,
            )
            with memory_explained(lambda: f"while the weights were loaded to {plan.device}"):
                model = build_model(recipe, prepared.source).to(prepared.device)
            recorder = RunRecorder(
                folder,
                record,
                tracker,
                shown,
                log,
                recipe=recipe,
                model=model,
                clock=clock,
                profile=StepProfile(out) if profile and here.main else None,
                earlier=earlier,
                at=at,
                utterances={
                    row.utterance.id: row.utterance for row in prepared.selection.evaluation
                },
            )
            try:
                epochs = fit(
                    model,
                    prepared.encoder,
                    prepared.selection,
                    recipe,
                    device=prepared.device,
                    out=out,
                    observer=recorder,
                    ranks=here,
                    state=state,
                    stop=stop.is_set,
                    clock=clock,
                )
            except Stopped as stopped:
                recorder.end("stopped", f"by SIGTERM after step {stopped.step}")
                return TrainResult(plan, out, None, [], stopped.step)
            except KeyboardInterrupt as error:
                recorder.end("interrupted")
                raise _interrupted(out) from error
            except Diverged as error:
                recorder.diverged(str(error))
                raise
            except Exception as error:
                unfit = isinstance(error, OutOfMemory)
                recorder.end("failed", why_ended() or str(error), unfit=unfit)
                raise
            recorder.end("finished")
    finally:
        shown.close()
    return TrainResult(plan, out, out / "final", epochs)


def _interrupted(out: Path) -> Interrupted:
    from asr_gate.train.loop.resume import newest, read_position

    state = newest(out)
    if state is None:
        return Interrupted(f"stopped by Ctrl-C: {out} holds no state to resume from yet")
    return Interrupted(
        f"stopped by Ctrl-C: the state after step {read_position(state).step} is kept; continue "
        "with the same command and --resume"
    )
