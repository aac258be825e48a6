"""`asr.json` in a W&B run's folder: what the server does not have yet, for `asr sync`."""

from __future__ import annotations

import contextlib
import glob
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.notices import Notices
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings

if TYPE_CHECKING:
    import wandb

FILE = "asr.json"


@dataclass(frozen=True)
class SyncState:
    """One run, and what the server does not have of it."""

    run_id: str
    entity: str
    """W&B user or team; empty: the account's default."""
    project: str
    process: int
    """Id of the process that writes the run."""
    began: float
    """When that process began, in seconds since 1970: the system reuses process ids."""
    base_url: str | None = None
    """Address of the server; None: what the client is configured for."""
    state: str = "running"
    """`running`, `sent`, `unsent`, or `continued`: a later folder continues the same run."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """The artifacts that the run logged: digest by NAME:ALIAS."""
    uses: list[dict[str, str]] = field(default_factory=list)
    """Artifacts that the run used and that are still to be linked: `reference` and `digest`."""

    @property
    def is_being_written(self) -> bool:
        """Whether the process that makes the run still runs."""
        import psutil

        if self.state != "running":
            return False
        try:
            began: float = psutil.Process(self.process).create_time()
        except (psutil.Error, ValueError, OverflowError):  # no such process, or no such number
            return False
        # Setting the clock moves the time a little.
        return abs(began - self.began) <= 2

    @property
    def is_pending(self) -> bool:
        """Whether something is left to send or to link, and no process is writing the run."""
        if self.state == "running":
            return not self.is_being_written
        if self.state == "continued":
            return False
        return self.state == "unsent" or bool(self.uses)

    def write(self, folder: Path) -> None:
        """Write it to a run's folder in one step: the file is never half written.

        Raises:
            OSError: the disk does not take it.
        """
        path = folder / FILE
        write_atomically(path, (json.dumps(asdict(self), indent=2) + "\n").encode())


def read_sync_state(folder: Path) -> SyncState:
    """Read the state from a run's folder.

    Raises:
        TrackingError: there is none, or it is damaged.
    """
    from pydantic import TypeAdapter

    try:
        content = read_regular(folder / FILE, SETTINGS_LIMIT)
        state = TypeAdapter(SyncState).validate_json(content)
        for use in state.uses:
            _ = use["reference"] + use["digest"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TrackingError(
            f"{folder}: not a run of asr (no {FILE}); name a folder such as wandb/offline-run-…"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        # wandb sync needs no asr.json; only the link to the artifacts used is lost with it.
        raise TrackingError(
            f"{folder}: {FILE} is damaged ({type(error).__name__}); send the run with wandb sync"
        ) from error
    return state


def waiting_run(root: Path | None, run_id: str) -> Path | None:
    """The folder of an offline run that waits for `asr sync`; None: there is none.

    Args:
        root: where run folders are, as `TrackerSettings.folder` says.
        run_id: of the run.
    """
    for folder in find_runs((root or Path()) / "wandb", run_id):
        with contextlib.suppress(TrackingError):
            if read_sync_state(folder).is_pending:
                return folder
    return None


def find_runs(folder: Path, run_id: str) -> list[Path]:
    """The folders of a run among those in `<root>/wandb`."""
    return [path.parent for path in folder.glob(f"*run-*-{glob.escape(run_id)}/{FILE}")]


class SyncStateFile:
    """The state of the run that this process makes; each change is written at once."""

    def __init__(
        self, run: wandb.Run, folder: Path, settings: TrackerSettings, notices: Notices
    ) -> None:
        """Write the first state, and take over what earlier starts of the same run left open."""
        import psutil

        self._folder = folder
        self._notices = notices
        self._state = SyncState(
            run_id=run.id,
            entity=run.entity or settings.entity or "",
            project=run.project or settings.project,
            process=os.getpid(),
            began=psutil.Process().create_time(),
            base_url=settings.base_url,
        )
        self._write(self._state, folder)
        for path in find_runs(folder.parent, run.id):
            if path != folder:
                self._take_over(path)

    def update(self, **changes: Any) -> None:
        """Change fields; `uses` are added to those that are there."""
        uses = [*self._state.uses, *changes.pop("uses", [])]
        self._state = replace(self._state, uses=uses, **changes)
        self._write(self._state, self._folder)

    def has_run_beside(self, run_id: str) -> bool:
        """Whether an offline run of this project lies beside this one, for `asr sync`."""
        for folder in find_runs(self._folder.parent, run_id):
            with contextlib.suppress(TrackingError):
                if read_sync_state(folder).project == self._state.project:
                    return True
        return False

    def _take_over(self, folder: Path) -> None:
        """Mark an earlier start's folder as continued.

        If it were sent after ours, its rows would overwrite what we log.
        """
        try:
            earlier = read_sync_state(folder)
        except TrackingError as error:
            self._notices.warn("earlier start", f"W&B: {error}")
            return
        if earlier.state != "continued":
            self._write(replace(earlier, state="continued", uses=[]), folder)
            self.update(uses=earlier.uses)

    def _write(self, state: SyncState, folder: Path) -> None:
        try:
            state.write(folder)
        except OSError as error:
            reason = one_line(error)
            line = f"{folder / FILE} cannot be written ({reason}); asr sync may miss this run."
            self._notices.warn("sync state", line)
