"""Send runs later, and add the lineage that an offline run cannot: `asr sync`, `asr link`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.sync_state import FILE, SyncState, read_sync_state
from asr_gate.tracking.wandb_client import open_api, server_errors
from asr_gate.tracking.wandb_run import sync_command
from asr_gate.tracking.wandb_server import find_artifact, missing_artifacts

if TYPE_CHECKING:
    import wandb

TIMEOUT_SECONDS = 20
"""What the server is given for each answer."""
CHECK_SECONDS = 20.0
"""While a run is sent, the server is asked this often whether it is still there."""


@dataclass(frozen=True)
class Synced:
    """The result for one run."""

    folder: str
    """What the caller named."""
    run: str
    """`ENTITY/PROJECT/RUN`; empty if it could not be sent."""
    host: str
    """Address of the server; empty if it could not be sent."""
    sent: bool
    """Whether it was sent by this call; False if the server had it already."""
    linked: list[str]
    """The artifacts that it was linked to by this call."""
    problem: str
    """What is left to do, and how; empty: nothing."""


def pending(root: Path | None = None) -> list[Path]:
    """The folders in `<root>/wandb` whose runs a server does not have completely, oldest first.

    Runs that a process is still writing are left out. A run with a damaged `asr.json` is included,
    so that `sync` names it.
    """
    root = root or TrackerSettings.resolve().folder or Path()
    folders = [path.parent for path in root.glob(f"wandb/*run-*/{FILE}")]
    return [folder for folder in sorted(folders, key=_date) if _is_pending(folder)]


def sync(folders: Iterable[Path]) -> Iterator[Synced]:
    """Send runs, the oldest first (an audit before its training), and link what they used.

    Each run that was sent is noted in its folder at once. A second call continues where this one
    was stopped, and sends nothing twice.

    Raises:
        TrackingError: W&B is switched off or not installed, there is no login, or no server that
            answers.
    """
    for folder in sorted(folders, key=_date):
        try:
            state = read_sync_state(folder)
        except TrackingError as error:
            problem = str(error).removeprefix(f"{folder}: ")
            yield Synced(str(folder), "", "", False, [], problem)
            continue
        if state.is_being_written:
            problem = "is still being written; send it when its command has ended"
            yield Synced(str(folder), "", "", False, [], problem)
            continue
        api = open_api(timeout=TIMEOUT_SECONDS)
        host = host_of(api)
        if problem := _other_host(state, host):
            yield Synced(str(folder), "", "", False, [], problem)
            continue
        must_send = state.state != "sent"
        if must_send:
            problem = _send(folder, state, api)
            if problem:
                yield Synced(str(folder), "", "", False, [], problem)
                continue
            state = replace(state, state="sent", entity=_entity(state, api))
            state.write(folder)
        project = f"{state.entity}/{state.project}"
        run = f"{project}/{state.run_id}"
        linked, unlinked, problem = _link(api, run, state.uses)
        if linked:
            replace(state, uses=unlinked).write(folder)
        yield Synced(str(folder), run, host, must_send, linked, problem)


def link(run: str) -> Synced:
    """Link a training's W&B run to the audit that its config names.

    Args:
        run: the folder of a training (`runs/round2`) or of its W&B run, or `ENTITY/PROJECT/RUN`.

    Raises:
        TrackingError: no such run, or as in `sync`.
    """
    folder = Path(run)
    if not folder.is_dir() and run.count("/") != 2:
        raise TrackingError(_no_run(run))
    if (folder / FILE).is_file():
        state = read_sync_state(folder)
        if state.state != "sent":
            raise TrackingError(f"{folder}: was not sent yet; send it: {sync_command(folder)}")
        api = open_api(timeout=TIMEOUT_SECONDS)
        if problem := _other_host(state, host_of(api)):
            raise TrackingError(f"{folder}: {problem}")
        path = f"{state.entity}/{state.project}/{state.run_id}"
    else:
        api = open_api(timeout=TIMEOUT_SECONDS)
        # The client leaves empty folders ENTITY/PROJECT/RUN in $WANDB_DIR.
        is_address = run.count("/") == 2 and not (folder / "run.json").is_file()
        path = _run_of_training(folder, api) if folder.is_dir() and not is_address else run
    if path.count("/") != 2:
        raise TrackingError(_no_run(run))
    try:
        phase0 = api.run(path).config["phase0"]
        uses = [{"reference": str(phase0["artifact"]), "digest": str(phase0["digest"])}]
    except (KeyError, TypeError) as error:
        raise TrackingError(f"{path}: its config has no phase0: not a training by asr") from error
    except server_errors() as error:
        raise TrackingError(
            f"{path}: the server has no such run ({one_line(error)}); if it was made offline,"
            " send it with asr sync"
        ) from error
    linked, _, problem = _link(api, path, uses)
    return Synced(run, path, host_of(api), False, linked, problem)


def _no_run(name: str) -> str:
    return f"{name}: not a run; name its folder, such as runs/round2, or ENTITY/PROJECT/RUN"


def host_of(api: wandb.Api) -> str:
    """The address that a server's API talks to."""
    return str(api.settings["base_url"]).rstrip("/")


def _other_host(state: SyncState, host: str) -> str:
    """Why a run is not sent to a host; empty: it may be.

    The host that stands in a run's folder is never asked: the folder may be anybody's, and the
    login goes along. Nor does a run of one server go to another unless the user names that.
    """
    theirs = (state.base_url or host).rstrip("/")
    if theirs == host or os.environ.get("WANDB_BASE_URL"):
        return ""
    return f"was made for {theirs}, not for {host}; name the server to send it to: WANDB_BASE_URL=…"


def _date(folder: Path) -> tuple[str, int]:
    """When a run began: its folder is called `run-DATE_TIME-ID` or `offline-run-DATE_TIME-ID`.

    Of two that began in one second, the one whose state was written last comes last.
    """
    name = folder.name.partition("run-")[2]
    state = folder / FILE
    return name.rpartition("-")[0] or name, state.stat().st_mtime_ns if state.is_file() else 0


def _is_pending(folder: Path) -> bool:
    try:
        return read_sync_state(folder).is_pending
    except TrackingError:
        return True


def _entity(state: SyncState, api: wandb.Api) -> str:
    return state.entity or api.default_entity or ""


def _run_of_training(folder: Path, api: wandb.Api) -> str:
    """`ENTITY/PROJECT/RUN` from the `run.json` of a training's folder."""
    try:
        content = read_json(folder / "run.json", RECORD_LIMIT)
        run_id, block = content["tracking"]["run_id"], content["config"]["wandb"]
        entity, project = block["entity"] or api.default_entity, block["project"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{folder}: not the folder of a run (it has neither {FILE} nor a run.json of asr train)"
        ) from error
    if not run_id:
        raise TrackingError(f"{folder}: was not tracked by W&B; there is nothing to link")
    return f"{entity}/{project}/{run_id}"


def _send(folder: Path, state: SyncState, api: wandb.Api) -> str:
    """Send one run with `wandb sync`; returns what went wrong, or empty."""
    command = [sys.executable, "-m", "wandb", "sync"]
    # By default it skips a run that was online.
    command += [] if folder.name.startswith("offline-") else ["--include-online"]
    # By default it also skips a run that was sent before and then continued.
    command += ["--include-synced"] if _was_written_after_sync(folder) else []
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_MODE"}
    environment["WANDB_BASE_URL"] = host_of(api)
    try:
        _run_sync([*command, str(folder)], environment)
        project = f"{_entity(state, api)}/{state.project}"
        missing = missing_artifacts(api, project, state.artifacts)
    except TrackingError as error:
        missing = [one_line(error)]
    except server_errors() as error:
        missing = [one_line(error)]
    if not missing:
        return ""
    # The command marks the run as sent even if the server refused it.
    for mark in folder.glob("*.wandb.synced"):
        mark.unlink()
    return f"not sent completely ({missing[0]}); send it again: {sync_command(folder)}"


def _run_sync(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run `wandb sync`, and stop it if the server is lost: by itself it waits for hours.

    Raises TrackingError if it fails. Its exit code says nothing: it is 0 then, too.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(CHECK_SECONDS)
                except subprocess.TimeoutExpired:
                    open_api(timeout=TIMEOUT_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # and its service
                process.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("wandb: ERROR")]
    if errors or process.returncode:
        reason = [*errors, *lines[-1:], f"code {process.returncode}"][0]
        raise TrackingError(reason.removeprefix("wandb: ERROR").strip())


def _was_written_after_sync(folder: Path) -> bool:
    """Whether a run was written to after `wandb sync` had marked it as sent."""
    return any(
        mark.stat().st_mtime < mark.with_suffix("").stat().st_mtime
        for mark in folder.glob("*.wandb.synced")
    )


def _link(
    api: wandb.Api, run: str, uses: Sequence[dict[str, str]]
) -> tuple[list[str], list[dict[str, str]], str]:
    """Make artifacts inputs of a run.

    Args:
        api: of the server.
        run: `ENTITY/PROJECT/RUN`.
        uses: `reference` and `digest` of each artifact.

    Returns:
        Names of the artifacts that are linked now, the uses that are left, and why they are.
    """
    linked: list[str] = []
    unlinked: list[dict[str, str]] = []
    problem = ""
    for use in uses:
        reference = use["reference"]
        try:
            artifact = _find(api, run, use)
            if artifact is None:
                unlinked.append(use)
                project = run.split("/")[1]
                problem = (
                    f"{reference} is not on the server: send the audit's run first (asr sync), or"
                    f" log its report (asr report publish REPORT --wandb-project {project}); then"
                    f" asr link {run}"
                )
                continue
            # Through the API: resuming the run for it would change its state and its length.
            api.run(run).use_artifact(artifact)
        except server_errors() as error:
            unlinked.append(use)
            problem = f"{reference} cannot be linked ({one_line(error)}); try asr link again"
            continue
        linked.append(str(artifact.qualified_name))
    return linked, unlinked, problem


def _find(api: wandb.Api, run: str, use: dict[str, str]) -> wandb.Artifact | None:
    """Find an artifact by its reference; None: the server does not have it."""
    address, _, alias = use["reference"].rpartition(":")
    if address.startswith("wandb:"):
        collection = address.removeprefix("wandb:")
    else:  # it was logged offline, without an address: look in the run's own project
        collection = f"{run.rpartition('/')[0]}/{address.rpartition('/')[2]}"
    return find_artifact(api, f"{collection}:{alias}", use["digest"])
