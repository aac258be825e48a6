"""A run of W&B, online or offline. What the server does not take stays in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asr_gate.tracking.charts import Points
from asr_gate.tracking.environment import Mode
from asr_gate.tracking.notices import Notices
from asr_gate.tracking.redact import one_line, plain_dict
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.sync_state import SyncStateFile
from asr_gate.tracking.tables import wandb_table
from asr_gate.tracking.wandb_artifacts import RunArtifacts
from asr_gate.tracking.wandb_client import client_errors
from asr_gate.tracking.wandb_run import Started, finish_run, start_run, sync_command

if TYPE_CHECKING:
    import wandb

    from asr_gate.tracking.charts import Pixels


def start_wandb(
    settings: TrackerSettings,
    notices: Notices,
    *,
    run_name: str | None,
    config: dict[str, Any],
    run_id: str | None,
) -> WandbSink | None:
    """Start a run and print where it is; None: none could be made.

    Raises:
        TrackingError: as `start_run`.
    """
    started = start_run(settings, run_name=run_name, config=config, run_id=run_id)
    if started.run is None:
        notices.warn("start", f"W&B: off ({started.reason})")
        return None
    sink = WandbSink(started.run, started, settings, notices)
    if started.mode == "offline":
        said = f"W&B: on, offline ({started.reason})" if started.reason else settings.said()
        notices.note(f"{said}; send the run later: {sync_command(sink.run_path)}")
    else:
        notices.note(f"{settings.said()}: {started.run.url}")
    return sink


class WandbSink:
    """Logs to one run. If the client fails, it prints one line for each kind of failure."""

    def __init__(
        self, run: wandb.Run, started: Started, settings: TrackerSettings, notices: Notices
    ) -> None:
        """Take over a run that has started, and write `asr.json` to its folder."""
        self.mode: Mode = started.mode
        self.run_id: str = run.id
        self.run_path = Path(run.dir).parent
        self._run: wandb.Run | None = run
        self._api = started.api
        self._settings = settings
        self._notices = notices
        self._state = SyncStateFile(run, self.run_path, settings, notices)
        self.artifacts = RunArtifacts(run, started.api, self._state, self._attempt)

    @property
    def active(self) -> bool:
        """Whether the run is open."""
        return self._run is not None

    def define(self, name: str, axis: str | None, best: str | None) -> None:
        """Tell W&B the axis of a metric, and whether its least or largest value counts."""
        self._attempt(
            "the axes of charts",
            lambda: self._open_run.define_metric(name, step_metric=axis, summary=best),
        )

    def log_metrics(self, metrics: Mapping[str, object], step: int | None) -> None:
        """Log a row; one whose step is past is dropped with a warning, as W&B keeps none."""
        run = self._open_run
        if step is not None and step < self._next_step:
            # No warning in a resumed run, which repeats steps that the server has.
            if step >= run.starting_step:
                line = f"W&B keeps no metrics of step {step}: step {run.step} is logged already."
                self._notices.warn("step", line)
            return
        self._attempt("metrics", lambda: run.log(dict(metrics), step=step))

    def log_missing(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Log the rows of an earlier start that the server lacks; each has its `train/step`."""
        if self._open_run.resumed:
            for row in rows:
                self._log_object(dict(row), int(cast(int, row["train/step"])))

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None
    ) -> None:
        """Log a histogram of at most 512 bins."""
        import wandb

        bins: Any = (list(counts), list(edges))
        self._log_object({name: wandb.Histogram(np_histogram=bins)}, step)

    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int | None
    ) -> None:
        """Log a table."""
        self._log_object({name: wandb_table(columns, rows)}, step)

    def log_image(self, name: str, pixels: Pixels, step: int | None) -> None:
        """Log an image."""
        import wandb

        self._log_object({name: wandb.Image(pixels)}, step)

    def log_lines(
        self, name: str, title: str, series: Mapping[str, Points], axis: str, step: int | None
    ) -> None:
        """Log lines over one axis as a chart of W&B; nothing if all are empty."""
        if not any(len(positions) for positions, _ in series.values()):
            return
        import wandb

        chart = wandb.plot.line_series(
            xs=[list(positions) for positions, _ in series.values()],
            ys=[list(values) for _, values in series.values()],
            keys=list(series),
            title=title,
            xname=axis,
        )
        self._log_object({name: chart}, step)

    def log_bars(
        self,
        name: str,
        title: str,
        labels: Sequence[str],
        values: Sequence[float],
        axis: str,
        step: int | None,
    ) -> None:
        """Log one bar a label as a chart of W&B."""
        import wandb

        data = [list(pair) for pair in zip(labels, values, strict=True)]
        table = wandb.Table(columns=["label", axis], data=data)
        self._log_object({name: wandb.plot.bar(table, "label", axis, title=title)}, step)

    def log_points(
        self,
        name: str,
        title: str,
        points: Sequence[tuple[object, object]],
        axes: tuple[str, str],
        step: int | None,
    ) -> None:
        """Log points in a plane as a scatter plot of W&B."""
        import wandb

        table = wandb.Table(columns=list(axes), data=[list(point) for point in points])
        self._log_object({name: wandb.plot.scatter(table, *axes, title=title)}, step)

    def log_summary(self, values: Mapping[str, object]) -> None:
        """Set final values, which W&B shows in its table of runs."""
        summary: Any = self._open_run.summary
        plain = plain_dict(values)
        self._attempt("the summary", lambda: summary.update(plain))

    def update_config(self, values: Mapping[str, object]) -> None:
        """Add values to the config, or replace them."""
        config: Any = self._open_run.config
        plain = plain_dict(values)
        self._attempt("the config", lambda: config.update(plain, allow_val_change=True))

    def alert(self, title: str, text: str, level: str) -> None:
        """Have W&B send a message; an offline run sends it when it is synced."""
        self._attempt("an alert", lambda: self._open_run.alert(title, text, level=level))

    def finish(self, exit_code: int) -> None:
        """End the run within 30 s; one line says what the server does not have."""
        run, self._run = self._open_run, None
        artifacts = self.artifacts
        end = finish_run(
            run,
            self._api,
            exit_code=exit_code,
            artifacts=artifacts.digests,
            keep=dict.fromkeys(artifacts.models, self._settings.keep),
        )
        self._state.update(state="sent" if end.sent else "unsent")
        if end.problem is not None:
            self._notices.warn(
                "finish",
                f"W&B has not all of this run: {end.problem}."
                f" It is on this disk; send it later: {sync_command(self.run_path)}",
            )

    @property
    def _open_run(self) -> wandb.Run:
        if self._run is None:
            raise RuntimeError("the W&B run is finished")
        return self._run

    @property
    def _next_step(self) -> int:
        """The first step that has no complete row yet; a resumed run has the earlier ones."""
        return max(self._open_run.step, self._open_run.starting_step)

    def _log_object(self, values: dict[str, Any], step: int | None) -> None:
        """Log a chart, table or row unless its step is past; `log_metrics` warns about that."""
        run = self._open_run
        if step is None or step >= self._next_step:
            self._attempt("a chart or table", lambda: run.log(values, step=step))

    def _attempt(
        self,
        what: str,
        call: Callable[[], object],
        consequence: str = "the work goes on without it",
    ) -> bool:
        """Call the client; if it fails, print one line for each `what`. Whether it worked."""
        try:
            call()
        except client_errors() as error:
            line = f"W&B did not take {what} ({one_line(error)}); {consequence}."
            self._notices.warn(what, line)
            return False
        return True
