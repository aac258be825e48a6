"""The tracker that audit and train log to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from tracking.connection import (
    client_errors,
    finish_run,
    log_artifact,
    require_client,
    start_run,
    sync_command,
)
from tracking.errors import TrackingError
from tracking.redact import one_line, redact
from tracking.settings import Mode, TrackerSettings

if TYPE_CHECKING:
    import wandb


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Tracker:
    """One W&B run, on- or offline; or nothing, at no cost, where it is not enabled.

    The server never decides what becomes of the work: what it does not take stays in the run's
    folder, and one line says how to send it later. Use it as a context manager; an exception that
    leaves the block marks the run as failed.

        with Tracker(settings) as tracker:
            tracker.init(config={"seed": 7})
            tracker.log_metrics({"train/loss": 1.5}, step=10)

    `say` takes each line for the user; the default prints it to stderr.
    """

    def __init__(
        self,
        settings: TrackerSettings | None = None,
        *,
        say: Callable[[str], None] = _print_to_stderr,
    ) -> None:
        self.settings = settings if settings is not None else TrackerSettings()
        self._say = say
        self._mode: Mode = "disabled"
        self._run: wandb.Run | None = None
        self._run_id = ""
        self._run_path: Path | None = None
        self._stage = "new"
        self._warned: set[str] = set()
        self._artifacts: dict[str, str] = {}  # digest by NAME:ALIAS

    @property
    def mode(self) -> Mode:
        """What the run really is, which may be less than what the settings ask for."""
        return self._mode

    @property
    def run_id(self) -> str:
        """W&B's id of the run; empty where there is none."""
        return self._run_id

    @property
    def run_path(self) -> Path | None:
        """The run's folder on this disk, for `wandb sync`; None where there is none."""
        return self._run_path

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
        self, *, run_name: str | None = None, config: Mapping[str, object] | None = None
    ) -> Self:
        """Start the run. `run_name` replaces the one of the settings.

        Nest groups in `config` ({"phase0": {"decision": …}}): W&B shows them as `phase0.decision`.
        Raises TrackingError where wandb is not installed or refuses its own settings.
        """
        if self._stage != "new":
            raise RuntimeError("Tracker.init() was called before; use one tracker a run")
        self._stage = "running"
        if not self.settings.enabled:
            return self
        if self.settings.mode == "disabled":
            self._note(f"W&B is off: {self.settings.off_because or 'mode=disabled'}.")
            return self

        started = start_run(self.settings, run_name=run_name, config=_plain_dict(config or {}))
        self._run, self._mode = started.run, started.mode
        if started.run is None:
            self._warn("start", f"W&B is off: {started.reason}.")
            return self
        self._run_id = started.run.id
        self._run_path = Path(started.run.dir).parent
        if started.mode == "offline":
            why = f" because {started.reason}" if started.reason else ""
            self._note(f"W&B is offline{why}. Send the run later: {sync_command(self._run_path)}")
        return self

    def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Log values under their names, such as `train/loss`, at a step that never goes back."""
        run = self._live_run()
        if run is None:
            return
        if step is not None and step < run.step:
            # The client drops such a row and says so nowhere that we let it.
            self._warn(
                "step", f"W&B keeps no metrics of step {step}: step {run.step} is logged already."
            )
            return
        self._guard("metrics", lambda: run.log(dict(metrics), step=step))

    def log_summary(self, values: Mapping[str, object]) -> None:
        """Set the run's final figures, shown in the table of runs."""
        run = self._live_run()
        if run is not None:
            summary: Any = run.summary
            self._guard("the summary", lambda: summary.update(dict(values)))

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None = None
    ) -> None:
        """Log counts (at most 512) between edges, of which there is one more."""
        if self._live_run() is None:
            return
        import wandb

        # Lists of plain numbers: the client needs no numpy for these.
        bins = ([_number(count) for count in counts], [_number(edge) for edge in edges])
        self.log_metrics({name: wandb.Histogram(np_histogram=cast(Any, bins))}, step=step)

    def log_table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        step: int | None = None,
    ) -> None:
        """Log a table; None is an empty cell."""
        if self._live_run() is None:
            return
        import wandb

        # Mixed types: a column of figures in which one cell says "n/a" is no reason to fail.
        table = wandb.Table(
            columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True
        )
        self.log_metrics({name: table}, step=step)

    def update_config(self, values: Mapping[str, object]) -> None:
        """Add to the run's config, or change it."""
        run = self._live_run()
        if run is not None:
            config: Any = run.config
            plain = _plain_dict(values)
            self._guard("the config", lambda: config.update(plain, allow_val_change=True))

    def log_artifact(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        name: str,
        type: str,
        aliases: Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Log files or folders as one version of an artifact, which also becomes its `latest`.

        The result refers to the first alias: `wandb:ENTITY/PROJECT/NAME:ALIAS` online,
        `wandb-offline:RUNID/NAME:ALIAS` offline, and empty where there is no run or where the
        client failed. Files are copied to the client's data folder ($WANDB_DATA_DIR), which an
        offline run needs until it is sent: don't clear it before.
        Raises TrackingError on a missing file or a name that W&B does not allow.
        """
        run = self._live_run()
        if run is None:
            return ""
        import wandb

        paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(part) for part in path]
        _check_paths(name, paths)
        try:
            artifact = wandb.Artifact(name, type, metadata=_plain_dict(metadata or {}))
        except ValueError as error:
            raise TrackingError(f"W&B artifact {name!r} (type {type!r}): {error}") from error
        all_aliases = list(dict.fromkeys([*aliases, "latest"]))

        def log() -> None:
            for part in paths:
                if part.is_dir():
                    artifact.add_dir(str(part))
                else:
                    artifact.add_file(str(part), name=part.name)
            log_artifact(run, artifact, all_aliases)
            self._artifacts[f"{name}:{all_aliases[0]}"] = artifact.digest

        kept = "the files stay where they are"
        if self._guard(f"artifact {name}", log, mend=kept) is _FAILED:
            return ""
        if self._mode == "online":
            return f"wandb:{run.entity}/{run.project}/{name}:{all_aliases[0]}"
        return f"wandb-offline:{run.id}/{name}:{all_aliases[0]}"

    def use_artifact(self, reference: str) -> bool:
        """Record that this run used an artifact, for W&B's lineage; whether that was possible.

        It is not for an offline run, nor of an artifact that was never sent, nor without an
        answer: the caller keeps `reference` in the config, from which the link can be made later.
        """
        run = self._live_run()
        if run is None or self._mode != "online" or not reference.startswith("wandb:"):
            return False
        done = self._guard(
            f"the use of {reference}",
            lambda: run.use_artifact(reference.removeprefix("wandb:")),
            mend="the run's config names it",
        )
        return done is not _FAILED

    def finish(self, exit_code: int = 0) -> None:
        """End the run, within 30 s; a second call does nothing. Not 0: the run failed."""
        run, self._run = self._run, None
        self._stage = "finished"
        if run is None:
            return
        problem = finish_run(run, exit_code=exit_code, artifacts=self._artifacts)
        if problem is not None:
            folder = self._run_path or Path()
            self._warn(
                "finish",
                f"W&B has not all of this run: {problem}."
                f" It is on this disk; send it later: {sync_command(folder)}",
            )

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


def _plain_dict(values: Mapping[str, object]) -> dict[str, Any]:
    return cast(dict[str, Any], redact(values))


def _number(value: Any) -> float:
    """A plain number of numpy's or Python's."""
    return cast(float, value.item()) if hasattr(value, "item") else value


def _check_paths(name: str, paths: Sequence[Path]) -> None:
    for part in paths:
        if not part.exists():
            raise TrackingError(f"W&B artifact {name}: {part} does not exist")
    file_names = [part.name for part in paths if not part.is_dir()]
    for file_name in file_names:
        if file_names.count(file_name) > 1:
            raise TrackingError(f"W&B artifact {name}: two files are named {file_name}")
