"""The tracker that audit and train log to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from asr_gate.tracking.artifacts import check_aliases, check_paths, new_artifact
from asr_gate.tracking.board import Board
from asr_gate.tracking.charts import Points, bar_image, line_image
from asr_gate.tracking.connection import (
    client_errors,
    find_artifact,
    finish_run,
    log_artifact,
    require_client,
    start_run,
    sync_command,
)
from asr_gate.tracking.differences import difference
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.ledger import FILE as LEDGER
from asr_gate.tracking.ledger import Ledger, read_ledger
from asr_gate.tracking.redact import one_line, plain_dict, redact
from asr_gate.tracking.settings import Mode, TrackerSettings
from asr_gate.tracking.system import system_metrics
from asr_gate.tracking.tables import wandb_table, write_table

if TYPE_CHECKING:
    import wandb
    from torch import nn

    from asr_gate.tracking.charts import Pixels
    from asr_gate.tracking.watch import ModelWatch


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Tracker:
    """One run, logged to W&B and to TensorBoard; nothing, at no cost, where neither is wanted.

    W&B's run is on- or offline. The server never decides what becomes of the work: what it does
    not take stays in the run's folder, and one line says how to send it later. TensorBoard's files
    are written wherever a folder is given, W&B or not. Use it as a context manager; an exception
    that leaves the block marks the run as failed.

        with Tracker(enabled=True, project="speech") as tracker:
            tracker.init(run_name="first", config={"seed": 7})
            tracker.log_metrics({"train/loss": 1.5}, step=10)
    """

    def __init__(
        self,
        settings: TrackerSettings | None = None,
        *,
        tensorboard: str | Path | None = None,
        say: Callable[[str], None] = _print_to_stderr,
        **given: Any,
    ) -> None:
        """Nothing is started yet.

        Args:
            settings: None: what the environment says, else the defaults. WANDB_DISABLED is heeded
                with any: the client does not.
            tensorboard: folder for TensorBoard's files; None: none.
            say: takes each line for the user; the default prints it to stderr.
            given: settings by name (`enabled=True, project="speech"`), over those of `settings`.

        Raises:
            TrackingError: a value of `given`, or of the environment, that does not fit.
        """
        if settings is None:
            settings = TrackerSettings.resolve(**given)
        else:
            off = {k: v for k, v in os.environ.items() if k == "WANDB_DISABLED"}
            if given or (off and settings.mode != "disabled"):
                settings = TrackerSettings.resolve(settings, environment=off, **given)
        self.settings = settings
        self._say = say
        self._mode: Mode = "disabled"
        self._run: wandb.Run | None = None
        self._run_id = ""
        self._run_path: Path | None = None
        self._folder = None if tensorboard is None else Path(tensorboard)
        self._board: Board | None = None
        self._step = 0
        self._ledger: Ledger | None = None
        self._stage = "new"
        self._warned: set[str] = set()
        self._artifacts: dict[str, str] = {}  # digest by NAME:ALIAS
        self._models: set[str] = set()
        self._links: dict[str, str] = {}
        self._watch: ModelWatch | None = None

    @property
    def active(self) -> bool:
        """Whether anything is logged anywhere."""
        return self._run is not None or self._board is not None

    @property
    def mode(self) -> Mode:
        """What W&B's run really is, which may be less than what the settings ask for."""
        return self._mode

    @property
    def run_id(self) -> str:
        """W&B's id of the run; empty where there is none."""
        return self._run_id

    @property
    def run_path(self) -> Path | None:
        """The run's folder on this disk, for `asr sync`; None where there is none."""
        return self._run_path

    def digest_of(self, reference: str) -> str:
        """W&B's digest of what this run logged, by what `log_artifact` returned; else empty."""
        return self._artifacts.get(reference.rpartition("/")[2], "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(exit_code=_exit_code(error))

    def check(self) -> None:
        """Raise TrackingError where `init` could only fail; for callers with hours before it."""
        if self.settings.enabled and self.settings.mode != "disabled":
            require_client()

    def init(
        self,
        *,
        run_name: str | None = None,
        config: Mapping[str, object] | None = None,
        run_id: str | None = None,
        after: int | None = None,
    ) -> Self:
        """Start the run.

        Nest groups in `config` ({"phase0": {"decision": …}}): W&B shows them as `phase0.decision`.

        Args:
            run_name: replaces the one of the settings.
            config: what the run is; secrets in it are hidden.
            run_id: W&B's id of an earlier start, to go on with as `settings.resume` says.
            after: the step that the earlier start got to.

        Raises:
            TrackingError: wandb is not installed, refuses its own settings, or must go on with a
                run and can't.
        """
        if self._stage != "new":
            raise RuntimeError("Tracker.init() was called before; use one tracker a run")
        self._stage = "running"
        plain = plain_dict(config or {})
        self._open_board(plain, after)
        if not self.settings.enabled:
            return self
        if self.settings.mode == "disabled":
            source = self.settings.sources["mode"]
            why = "WANDB_DISABLED is set" if source == "WANDB_DISABLED" else "mode=disabled"
            self._note(f"W&B is off: {'WANDB_MODE=disabled' if source == 'WANDB_MODE' else why}.")
            return self

        started = start_run(self.settings, run_name=run_name, config=plain, run_id=run_id)
        self._run, self._mode = started.run, started.mode
        if started.run is None:
            self._warn("start", f"W&B is off: {started.reason}.")
            return self
        self._run_id = started.run.id
        self._run_path = Path(started.run.dir).parent
        try:
            self._guard("the note for asr sync", self._begin_ledger)
        except TrackingError as error:  # an earlier start's is damaged
            self._warn("ledger", f"W&B: {error}")
        if started.mode == "offline":
            why = f" because {started.reason}" if started.reason else ""
            self._note(f"W&B is offline{why}. Send the run later: {sync_command(self._run_path)}")
        return self

    def define(self, name: str, *, axis: str | None = None, best: str | None = None) -> None:
        """Say how W&B shows a metric.

        Args:
            name: of it, or a pattern such as `train/*`.
            axis: the metric that it is drawn over.
            best: `min` or `max`: which of its values stands in the table of runs; None: the last.
        """
        run = self._live_run()
        if run is not None:
            self._guard(
                "the axes of charts",
                lambda: run.define_metric(name, step_metric=axis, summary=best),
            )

    def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Log values under their names, such as `train/loss`, at a step that never goes back."""
        run = self._live_run()
        self._on_board(lambda board, at: board.metrics(metrics, at), step)
        if step is not None:
            self._step = max(self._step, step)
        if self._watch is not None:
            for histogram, (counts, edges) in self._watch.take().items():
                self.log_histogram(histogram, counts, edges, step=step)
        if run is None:
            return
        if step is not None and step < self._next_step(run):
            # The client drops such a row and says so nowhere that we let it.
            if step >= run.starting_step:
                self._warn(
                    "step",
                    f"W&B keeps no metrics of step {step}: step {run.step} is logged already.",
                )
            return
        self._guard("metrics", lambda: run.log(dict(metrics), step=step))

    def make_up(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Log to W&B what an earlier start logged and the server never got, killed as it was.

        Args:
            rows: in their order, each with its `train/step`; what the server has is left out.
        """
        run = self._live_run()
        if run is None or not run.resumed:
            return
        for row in rows:
            step = int(cast(int, row["train/step"]))
            if step >= self._next_step(run):
                self._to_wandb(dict(row), step)

    def log_training_metrics(
        self,
        loss: float,
        learning_rate: float | Mapping[str, float],
        epoch: float,
        step: int,
        grad_norm: float | None = None,
        **more: float,
    ) -> None:
        """Log one step of a training under `train/`.

        Args:
            loss: in nats.
            learning_rate: one, or one for each group of parameters by its name.
            epoch: counted from 1.
            step: of the optimizer.
            grad_norm: before clipping.
            more: anything else; `batch_time=0.2` becomes `train/batch_time`.
        """
        if not self.active:
            return
        rates = (
            {f"learning_rate/{name}": rate for name, rate in learning_rate.items()}
            if isinstance(learning_rate, Mapping)
            else {"learning_rate": learning_rate}
        )
        norm = {} if grad_norm is None else {"grad_norm": grad_norm}
        values = {"loss": loss, "epoch": epoch, "step": step, **norm, **rates, **more}
        self.log_metrics({f"train/{name}": value for name, value in values.items()}, step=step)

    def log_system_metrics(self, step: int | None = None) -> None:
        """Log how busy processor, memory and GPU are, under `system/`."""
        if self.active:
            self.log_metrics(system_metrics(), step=step)

    def log_summary(self, values: Mapping[str, object]) -> None:
        """Set the run's final figures, shown in W&B's table of runs."""
        run = self._live_run()
        if run is not None:
            summary: Any = run.summary
            plain = plain_dict(values)
            self._guard("the summary", lambda: summary.update(plain))

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None = None
    ) -> None:
        """Log counts (at most 512) between edges, of which there is one more."""
        # Lists of plain numbers: neither client needs numpy for these.
        bins = ([_number(count) for count in counts], [_number(edge) for edge in edges])
        self._on_board(lambda board, at: board.histogram(name, *bins, at), step)
        if self._live_run() is not None:
            import wandb

            self._to_wandb({name: wandb.Histogram(np_histogram=cast(Any, bins))}, step)

    def log_table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        step: int | None = None,
    ) -> None:
        """Log a table; None is an empty cell, a `Clip` one that can be heard."""
        if not self.active:
            self._live_run()
            return
        cells = [list(row) for row in rows]
        self._on_board(lambda board, at: write_table(board, name, columns, cells, at), step)
        if self._run is not None:
            self._to_wandb({name: wandb_table(columns, cells)}, step)

    def log_predictions(
        self,
        predictions: Iterable[Mapping[str, object]],
        step: int | None = None,
        name: str = "eval/predictions",
    ) -> None:
        """Log the first transcripts of an evaluation as a table, as many as the settings say.

        Each has `reference` and `hypothesis`, and what else there is to show; a column
        `difference` marks what was left out ([-so-]) and what was put in ({+so+}).
        """
        if not self.active or not self.settings.log_predictions:
            return
        rows = [
            {**row, "difference": difference(str(row["reference"]), str(row["hypothesis"]))}
            for row in islice(predictions, self.settings.num_predictions)
        ]
        if rows:
            columns = list(rows[0])
            self.log_table(name, columns, [[row.get(c) for c in columns] for row in rows], step)

    def log_lines(
        self,
        name: str,
        title: str,
        series: Mapping[str, Points],
        *,
        axis: str,
        marks: Mapping[str, float] | None = None,
        step: int | None = None,
    ) -> None:
        """Log lines over one axis, as a chart of W&B's and as an image (`…_image`).

        `marks` are positions on the axis, with what begins there; they are in the image alone, as
        W&B's own charts have no place for them.
        """
        if not self.active:
            return
        image = line_image(title, series, axis=axis, marks=marks or {})
        self._log_image(f"{name}_image", image, step)
        if self._run is not None and any(len(positions) for positions, _ in series.values()):
            import wandb

            chart = wandb.plot.line_series(
                xs=[list(positions) for positions, _ in series.values()],
                ys=[list(values) for _, values in series.values()],
                keys=list(series),
                title=title,
                xname=axis,
            )
            self._to_wandb({name: chart}, step)

    def log_bars(
        self,
        name: str,
        title: str,
        labels: Sequence[str],
        values: Sequence[float],
        *,
        axis: str,
        step: int | None = None,
    ) -> None:
        """Log one bar a label, as a chart of W&B's and as an image (`…_image`)."""
        if not self.active:
            return
        self._log_image(f"{name}_image", bar_image(title, labels, values, axis=axis), step)
        if self._run is not None:
            import wandb

            data = [[label, _number(value)] for label, value in zip(labels, values, strict=True)]
            table = wandb.Table(columns=["label", axis], data=data)
            self._to_wandb({name: wandb.plot.bar(table, "label", axis, title=title)}, step)

    def watch_model(self, model: nn.Module, every: int | None = None) -> None:
        """Log histograms of a model's gradients or parameters, as `settings.watch` says.

        They come with the next metrics. Called again, as after a phase thawed other parameters, it
        watches those that train then.

        Args:
            model: those of its parameters that take gradients now are watched.
            every: backward passes between two histograms, of gradients unless the settings say
                otherwise; None: nothing but what the settings ask for.
        """
        watch = self.settings.watch
        if not self.active or not (watch.gradients or watch.parameters or every):
            return
        from asr_gate.tracking.watch import ModelWatch

        if self._watch is not None:
            self._watch.close()
        self._watch = ModelWatch(
            model,
            gradients=watch.gradients or not watch.parameters,
            parameters=watch.parameters,
            every=every or watch.every,
        )

    def alert(self, title: str, text: str, level: str = "INFO") -> None:
        """Tell a person at once; an offline run sends it when it is synced.

        `level` is INFO, WARN or ERROR. Raises TrackingError on another.
        """
        if level not in ("INFO", "WARN", "ERROR"):
            raise TrackingError(f"alert {title!r}: no level {level}; give INFO, WARN or ERROR")
        run = self._live_run()
        title, text = _hidden(title), _hidden(text)
        line = f"**{title}** ({level}): {text}"
        self._on_board(lambda board, at: board.text("alerts", line, at))
        if run is not None:
            self._guard("an alert", lambda: run.alert(title, text, level=level))

    def update_config(self, values: Mapping[str, object]) -> None:
        """Add to the run's config, or change it."""
        run = self._live_run()
        if run is not None:
            config: Any = run.config
            plain = plain_dict(values)
            self._guard("the config", lambda: config.update(plain, allow_val_change=True))

    def log_artifact(
        self,
        path: str | Path | Sequence[str | Path],
        type: str,
        name: str,
        *,
        aliases: str | Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Log files or folders as one version of an artifact, which also becomes its `latest`.

        The result refers to the first alias: `wandb:ENTITY/PROJECT/NAME:ALIAS` online,
        `wandb-offline:RUNID/NAME:ALIAS` offline, and empty where there is no run or where the
        client failed. Files are copied to the client's data folder ($WANDB_DATA_DIR), which an
        offline run needs until it is sent: don't clear it before.
        Raises TrackingError on a missing file, or a name or alias that W&B does not allow.
        """
        run = self._live_run()
        if run is None:
            return ""
        paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(part) for part in path]
        check_paths(name, paths)
        all_aliases = list(dict.fromkeys([*_listed(aliases), "latest"]))
        check_aliases(name, all_aliases)
        artifact = new_artifact(name, type, metadata)

        def log() -> None:
            for part in paths:
                if part.is_dir():
                    artifact.add_dir(str(part))
                else:
                    artifact.add_file(str(part), name=part.name)
            log_artifact(run, artifact, all_aliases)
            self._artifacts[f"{name}:{all_aliases[0]}"] = artifact.digest
            self._note_down(artifacts=dict(self._artifacts))

        kept = "the files stay where they are"
        if self._guard(f"artifact {name}", log, mend=kept) is _FAILED:
            return ""
        if self._mode == "online":
            return f"wandb:{run.entity}/{run.project}/{name}:{all_aliases[0]}"
        return f"wandb-offline:{run.id}/{name}:{all_aliases[0]}"

    def log_model_artifact(
        self,
        path: str | Path,
        name: str,
        aliases: str | Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Log a model's folder; as `log_artifact`, with the type `model`.

        Online, `finish` leaves of this run's versions the newest `settings.keep` and every one with
        an alias that a person gave it, or `best` or `final`; `settings.registry` is linked to.
        """
        aliases = _listed(aliases)
        more = {**(metadata or {}), "run_id": self._run_id}
        reference = self.log_artifact(path, "model", name, aliases=aliases, metadata=more)
        if reference:
            self._models.add(name)
        target = self.settings.registry
        if reference and target and {"best", "final"} & set(aliases):
            # The best one, or the final one where no best one is logged.
            alias = "best" if "best" in aliases or f"{name}:best" in self._links else "final"
            self._links = {f"{name}:{alias}": target}
            self._note_down(links=self._links)
        return reference

    def use_artifact(self, reference: str, digest: str = "") -> bool:
        """Record that this run used an artifact, for W&B's lineage; whether that was possible.

        It is not for an offline run, nor of an artifact that was never sent, nor without an
        answer: the run's folder then keeps what `asr sync` needs to make the link later.

        Args:
            reference: `wandb:ENTITY/PROJECT/NAME:ALIAS`, or what `log_artifact` returned offline.
            digest: of the artifact, or of the report in it, by which its version is found although
                the alias may have moved on.
        """
        run = self._live_run()
        if run is None or not reference:
            return False
        if self._mode == "online" and reference.startswith("wandb:"):
            path = reference.removeprefix("wandb:")

            def use() -> bool:
                found = find_artifact(run._public_api(), path, digest)
                if found is not None:
                    run.use_artifact(found)
                return found is not None

            mend = "asr sync links it later"
            if self._guard(f"the use of {reference}", use, mend=mend) is True:
                return True
        self._note_down(uses=[{"reference": reference, "digest": digest}])
        return False

    def use_reference(
        self, uri: str, type: str, name: str, metadata: Mapping[str, object] | None = None
    ) -> None:
        """Record that this run used something that lies elsewhere, by its address alone.

        It becomes an artifact of one reference, an input of the run in W&B's lineage; no file is
        copied. Raises TrackingError on a name that W&B does not allow, or what is no address.
        """
        run = self._live_run()
        if run is None:
            return
        artifact = new_artifact(name, type, metadata)
        try:
            artifact.add_reference(uri, checksum=False)
        except ValueError as error:
            raise TrackingError(
                f"W&B artifact {name}: {uri!r} is no address, such as s3://…"
            ) from error
        self._guard(
            f"the use of {uri}",
            lambda: log_artifact(run, artifact, ["latest"], use=True),
            mend="the run's config names it",
        )

    def finish(self, exit_code: int = 0) -> None:
        """End the run, within 30 s; a second call does nothing. Not 0: the run failed."""
        board, self._board = self._board, None
        if board is not None:
            try:
                board.close()
            except OSError as error:
                reason = one_line(error)
                self._warn("board", f"{self._folder}: TensorBoard's files lack the end ({reason}).")
        if self._watch is not None:
            self._watch.close()
        run, self._run = self._run, None
        self._stage = "finished"
        if run is None:
            return
        keep = dict.fromkeys(self._models, self.settings.keep)
        end = finish_run(
            run,
            exit_code=exit_code,
            artifacts=self._artifacts,
            links=self._links,
            keep=keep,
        )
        self._note_down(
            state="sent" if end.sent else "unsent",
            links={} if end.sent and end.problem is None else self._links,
        )
        if end.problem is not None:
            folder = self._run_path or Path()
            self._warn(
                "finish",
                f"W&B has not all of this run: {end.problem}."
                f" It is on this disk; send it later: {sync_command(folder)}",
            )

    def _open_board(self, config: Mapping[str, object], after: int | None) -> None:
        if self._folder is None:
            return
        folder = self._folder
        try:
            self._board = Board(folder, after=after)
        except OSError as error:
            reason = error.strerror or one_line(error)
            self._warn("board", f"{folder}: TensorBoard's files cannot be made ({reason}).")
            return
        if config and after is None:
            text = "```json\n" + json.dumps(config, indent=2, default=str) + "\n```"
            self._on_board(lambda board, at: board.text("config", text, at), 0)

    def _on_board(self, write: Callable[[Board, int], object], step: int | None = None) -> None:
        """Write TensorBoard's files, if there are any, at a step or at the last one.

        A disk that does not take them costs one line and the rest of them.
        """
        if self._board is None:
            return
        try:
            write(self._board, self._step if step is None else step)
        except OSError as error:
            self._board = None
            where = self._folder
            self._warn("board", f"{where}: TensorBoard's files end here ({one_line(error)}).")

    def _to_wandb(self, values: dict[str, Any], step: int | None) -> None:
        """Log what only W&B can show; its scalars go through `log_metrics`."""
        run = self._run
        if run is not None and (step is None or step >= self._next_step(run)):
            self._guard("a chart or table", lambda: run.log(values, step=step))

    def _next_step(self, run: wandb.Run) -> int:
        """The first step that the run has no whole row of.

        A run that goes on has the earlier ones already, and they are the same.
        """
        return max(run.step, run.starting_step)

    def _log_image(self, name: str, pixels: Pixels, step: int | None) -> None:
        self._on_board(lambda board, at: board.image(name, pixels, at), step)
        if self._run is not None:
            import wandb

            self._to_wandb({name: wandb.Image(pixels)}, step)

    def _begin_ledger(self) -> None:
        assert self._run is not None and self._run_path is not None
        import psutil

        run = self._run
        self._ledger = Ledger(
            run_id=run.id,
            entity=run.entity or self.settings.entity or "",
            project=run.project or self.settings.project,
            process=os.getpid(),
            began=psutil.Process().create_time(),
            base_url=self.settings.base_url,
        )
        self._ledger.write(self._run_path)
        for path in self._run_path.parent.glob(f"*run-*-{run.id}/{LEDGER}"):
            if path.parent != self._run_path:
                self._take_over(path.parent)

    def _take_over(self, folder: Path) -> None:
        """An earlier start's folder: sent after ours, it would be written over what we log."""
        earlier = read_ledger(folder)
        if earlier.state != "continued":
            replace(earlier, state="continued", uses=[], links={}).write(folder)
            self._note_down(uses=earlier.uses, links={**earlier.links, **self._links})

    def _note_down(self, **changes: Any) -> None:
        """Keep in the run's folder what `asr sync` needs."""
        path, ledger = self._run_path, self._ledger
        if ledger is None or path is None:
            return
        uses = [*ledger.uses, *changes.pop("uses", [])]
        self._ledger = changed = replace(ledger, uses=uses, **changes)
        self._guard("the note for asr sync", lambda: changed.write(path))

    def _live_run(self) -> wandb.Run | None:
        """The run to log to; None where there is none by intent. Raises out of turn."""
        if self._run is None and self.settings.enabled and self._stage != "running":
            turn = "before init()" if self._stage == "new" else "after finish()"
            raise RuntimeError(f"the tracker was used {turn}")
        return self._run

    def _guard(
        self, what: str, call: Callable[[], object], mend: str = "the work goes on without it"
    ) -> object:
        """Call the client; where it fails, warn once for each `what` and return _FAILED."""
        try:
            return call()
        except client_errors() as error:
            self._warn(what, f"W&B did not take {what} ({one_line(error)}); {mend}.")
            return _FAILED

    def _note(self, line: str) -> None:
        if not self.settings.silent:
            self._say(line)

    def _warn(self, kind: str, line: str) -> None:
        """Say a line once for each kind: a lost server would otherwise fill the terminal."""
        if kind not in self._warned:
            self._warned.add(kind)
            self._say(line)


_FAILED = object()


def _exit_code(error: BaseException | None) -> int:
    """0 where the block ended by itself or by `sys.exit()` with success, else 1."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return 0
    return 1


def _hidden(text: str) -> str:
    return cast(str, redact(text))


def _number(value: Any) -> float:
    """A plain number of numpy's or Python's."""
    return cast(float, value.item()) if hasattr(value, "item") else value


def _listed(aliases: str | Sequence[str]) -> Sequence[str]:
    return [aliases] if isinstance(aliases, str) else aliases
