"""The tracker that audit, train and eval log to: it passes each call on to its sinks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from asr_gate.tracking.charts import Points, line_image
from asr_gate.tracking.environment import Mode, disabled
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.notices import Notices
from asr_gate.tracking.redact import plain_dict, redact
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.sink import Sink
from asr_gate.tracking.system import system_metrics
from asr_gate.tracking.tensorboard_sink import TensorBoardSink
from asr_gate.tracking.wandb_client import require_client, require_harmless_folder
from asr_gate.tracking.wandb_sink import WandbSink, start_wandb
from asr_gate.tracking.word_diff import word_diff

if TYPE_CHECKING:
    from torch import nn

    from asr_gate.tracking.watch import ModelWatch


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Tracker:
    """One run, logged to W&B and to TensorBoard; if neither is wanted, every call does nothing.

    The W&B run is online or offline. A server that fails costs no work: what it does not take stays
    in the run's folder, and one line says how to send it later. TensorBoard's files are written
    whenever a folder is given. Use the tracker as a context manager: an exception that leaves the
    block marks the run as failed.

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
        """Read the settings; nothing is started yet.

        Args:
            settings: None: from the environment, else the defaults. `WANDB_DISABLED` is obeyed in
                any case; the client ignores it.
            tensorboard: folder for TensorBoard's files; None: write none.
            say: takes each line for the user; by default it is printed to stderr.
            given: settings by name (`enabled=True, project="speech"`); they beat `settings`.

        Raises:
            TrackingError: a value of `given` or of the environment is not valid.
        """
        if settings is None:
            settings = TrackerSettings.resolve(**given)
        else:
            if given or (disabled(os.environ) and settings.mode != "disabled"):
                off = {k: v for k, v in os.environ.items() if k == "WANDB_DISABLED"}
                settings = TrackerSettings.resolve(settings, environment=off, **given)
        self.settings = settings
        self.tensorboard_folder = None if tensorboard is None else Path(tensorboard)
        self._notices = Notices(say, silent=settings.silent)
        self._stage = "new"
        self._tensorboard: TensorBoardSink | None = None
        self._wandb: WandbSink | None = None
        self._watch: ModelWatch | None = None

    @property
    def active(self) -> bool:
        """Whether anything is logged anywhere."""
        return bool(self._sinks())

    @property
    def mode(self) -> Mode:
        """What the W&B run is, which may be less than what the settings ask for."""
        return "disabled" if self._wandb is None else self._wandb.mode

    @property
    def run_id(self) -> str:
        """W&B's id of the run; empty if there is none."""
        return "" if self._wandb is None else self._wandb.run_id

    @property
    def run_path(self) -> Path | None:
        """The W&B run's folder on this disk, for `asr sync`; None if there is no run."""
        return None if self._wandb is None else self._wandb.run_path

    def digest_of(self, reference: str) -> str:
        """W&B's digest of an artifact, by what `log_artifact` returned; empty if unknown."""
        key = reference.rpartition("/")[2]
        return "" if self._wandb is None else self._wandb.artifacts.digests.get(key, "")

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
        """Raise TrackingError if `init` could only fail; call it before hours of work."""
        if self.settings.on:
            require_client()
            require_harmless_folder(self.settings)

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
            run_name: replaces the name in the settings.
            config: describes the run; secrets in it are hidden.
            run_id: resume this W&B run of an earlier start, as `settings.resume` says.
            after: the last step of that earlier start.

        Raises:
            TrackingError: wandb is not installed or refuses its own settings, or a run that must
                be resumed cannot be.
        """
        if self._stage != "new":
            raise RuntimeError("Tracker.init() was called before; use one tracker a run")
        self._stage = "running"
        plain = plain_dict(config or {})
        if self.tensorboard_folder is not None:
            self._tensorboard = TensorBoardSink(
                self.tensorboard_folder, self._notices, config=plain, resumed_after=after
            )
        if self.settings.on:
            self._wandb = start_wandb(
                self.settings, self._notices, run_name=run_name, config=plain, run_id=run_id
            )
        elif self.settings.enabled is not None:
            self._notices.note(self.settings.said())
        return self

    def define(self, name: str, *, axis: str | None = None, best: str | None = None) -> None:
        """Say how W&B shows a metric.

        Args:
            name: of the metric, or a pattern such as `train/*`.
            axis: the metric on the horizontal axis of its chart.
            best: `min` or `max`: which value W&B's table of runs shows; None: the last.
        """
        if run := self._open_wandb():
            run.define(name, axis, best)

    def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Log values by name, such as `train/loss`, at a step that never goes back."""
        self._require_running()
        if self._watch is not None:
            for name, (counts, edges) in self._watch.take().items():
                self.log_histogram(name, counts, edges, step=step)
        for sink in self._sinks():
            sink.log_metrics(metrics, step)

    def make_up(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Log to W&B what an earlier start logged and could not send before it was killed.

        Args:
            rows: in order, each with its `train/step`; rows that the server has are left out.
        """
        if run := self._open_wandb():
            run.log_missing(rows)

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
            learning_rate: one value, or one for each group of parameters by its name.
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
        """Set the run's final values, which W&B shows in its table of runs."""
        if run := self._open_wandb():
            run.log_summary(values)

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None = None
    ) -> None:
        """Log counts (at most 512) between edges; there is one more edge than counts."""
        self._require_running()
        # Plain numbers: neither sink needs numpy for these.
        plain_counts, plain_edges = _numbers(counts), _numbers(edges)
        for sink in self._sinks():
            sink.log_histogram(name, plain_counts, plain_edges, step)

    def log_table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        step: int | None = None,
    ) -> None:
        """Log a table. A cell that is None is empty; a `Clip` is audio."""
        self._require_running()
        if not self.active:
            return
        cells = [list(row) for row in rows]
        for sink in self._sinks():
            sink.log_table(name, columns, cells, step)

    def log_predictions(
        self,
        predictions: Iterable[Mapping[str, object]],
        step: int | None = None,
        name: str = "eval/predictions",
    ) -> None:
        """Log the first transcripts of an evaluation as a table, as many as the settings say.

        Each prediction has `reference` and `hypothesis`, and any other columns. The column
        `difference` is added: it marks deletions [-so-] and insertions {+so+}.
        """
        if not self.active or not self.settings.log_predictions:
            return
        rows = [
            {**row, "difference": word_diff(str(row["reference"]), str(row["hypothesis"]))}
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
        """Log lines over one axis, as a chart of W&B and as an image (`NAME_image`).

        `marks` are named positions on the axis. Only the image has them, since W&B's own charts
        have no place for them.
        """
        if not self.active:
            return
        pixels = line_image(title, series, axis=axis, marks=marks or {})
        for sink in self._sinks():
            sink.log_image(f"{name}_image", pixels, step)
        if run := self._open_wandb():
            run.log_lines(name, title, series, axis, step)

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
        """Log one bar a label, as a chart of W&B."""
        if run := self._open_wandb():
            run.log_bars(name, title, labels, _numbers(values), axis, step)

    def log_points(
        self,
        name: str,
        title: str,
        points: Sequence[tuple[object, object]],
        *,
        axes: tuple[str, str],
        step: int | None = None,
    ) -> None:
        """Log points in a plane, as a scatter plot of W&B."""
        if run := self._open_wandb():
            run.log_points(name, title, points, axes, step)

    def watch_model(self, model: nn.Module, every: int | None = None) -> None:
        """Log histograms of a model's gradients or parameters, as `settings.watch` says.

        They are logged with the next metrics. Call it again when other parameters train, as after a
        phase unfroze them.

        Args:
            model: those of its parameters that take gradients now are watched.
            every: backward passes between two histograms; gradients, unless the settings say
                otherwise. None: only what the settings ask for.
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
        """Send a message to a person; an offline run sends it when it is synced.

        `level` is INFO, WARN or ERROR. Raises TrackingError on another.
        """
        if level not in ("INFO", "WARN", "ERROR"):
            raise TrackingError(f"alert {title!r}: no level {level}; give INFO, WARN or ERROR")
        self._require_running()
        title, text = cast(str, redact(title)), cast(str, redact(text))
        for sink in self._sinks():
            sink.alert(title, text, level)

    def update_config(self, values: Mapping[str, object]) -> None:
        """Add to the run's config, or change it."""
        if run := self._open_wandb():
            run.update_config(values)

    def log_artifact(
        self,
        path: str | Path | Sequence[str | Path],
        type: str,
        name: str,
        *,
        aliases: str | Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
        use: bool = False,
    ) -> str:
        """Log files or folders as one version of an artifact; it also gets the alias `latest`.

        With `use` it is an input of this run, too, for W&B's lineage.

        Returns a reference to the first alias: `wandb:ENTITY/PROJECT/NAME:ALIAS` online,
        `wandb-offline:RUNID/NAME:ALIAS` offline, empty if there is no run or the client failed.
        Files are copied to the client's data folder ($WANDB_DATA_DIR). An offline run needs these
        copies until it is sent.

        Raises:
            TrackingError: a missing file, or a name or alias that W&B does not allow.
        """
        run = self._open_wandb()
        if run is None:
            return ""
        paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(part) for part in path]
        return run.artifacts.log(paths, type, name, _as_list(aliases), metadata, use=use)

    def log_model_artifact(
        self,
        path: str | Path,
        name: str,
        aliases: str | Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Log a model's folder; as `log_artifact`, with the type `model`.

        Online, `finish` deletes versions of this run beyond the newest `settings.keep`, but none
        with an alias that a person gave it, or `best` or `final`.
        """
        run = self._open_wandb()
        if run is None:
            return ""
        return run.artifacts.log_model(Path(path), name, _as_list(aliases), metadata)

    def is_there(self, reference: str, digest: str) -> bool:
        """Whether an artifact is on the server, or waits on this disk for `asr sync`.

        Arguments are those of `use_artifact`.
        """
        run = self._open_wandb()
        return run is not None and run.artifacts.is_there(reference, digest)

    def use_artifact(self, reference: str, digest: str = "") -> bool:
        """Record that this run used an artifact, for W&B's lineage; returns whether that worked.

        It cannot work in an offline run, for an artifact that was never sent, or without an answer
        from the server. The run's folder then keeps what `asr sync` needs to make the link.

        Args:
            reference: `wandb:ENTITY/PROJECT/NAME:ALIAS`, or what `log_artifact` returned offline.
            digest: of the artifact or of the report in it: finds the version even if the alias
                names another one by now.
        """
        run = self._open_wandb()
        return run is not None and bool(reference) and run.artifacts.use(reference, digest)

    def use_reference(
        self, uri: str, type: str, name: str, metadata: Mapping[str, object] | None = None
    ) -> None:
        """Record that this run used something that lies elsewhere, by its address alone.

        It becomes an artifact that holds one reference, an input in W&B's lineage. No file is
        copied.

        Raises:
            TrackingError: a name that W&B does not allow, or no address.
        """
        if run := self._open_wandb():
            run.artifacts.use_reference(uri, type, name, metadata)

    def finish(self, exit_code: int = 0) -> None:
        """End the run within 30 s. Not 0: the run failed. A second call does nothing."""
        self._stage = "finished"
        if self._watch is not None:
            self._watch.close()
        for sink in self._sinks():
            sink.finish(exit_code)

    def _sinks(self) -> list[Sink]:
        sinks: list[Sink | None] = [self._tensorboard, self._wandb]
        return [sink for sink in sinks if sink is not None and sink.active]

    def _open_wandb(self) -> WandbSink | None:
        """The W&B run; None if there is none by intent. Raises RuntimeError out of turn."""
        self._require_running()
        return self._wandb if self._wandb is not None and self._wandb.active else None

    def _require_running(self) -> None:
        """Raise RuntimeError if W&B is wanted and the run has not begun or is finished."""
        if self.settings.enabled and self._stage != "running":
            turn = "before init()" if self._stage == "new" else "after finish()"
            raise RuntimeError(f"the tracker was used {turn}")


def _exit_code(error: BaseException | None) -> int:
    """0 if the block ended by itself or by `sys.exit()` with success, else 1."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return 0
    return 1


def _numbers(values: Iterable[Any]) -> list[float]:
    """Plain numbers in place of numpy's."""
    return [value.item() if hasattr(value, "item") else value for value in values]


def _as_list(aliases: str | Sequence[str]) -> Sequence[str]:
    return [aliases] if isinstance(aliases, str) else aliases
