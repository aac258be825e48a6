"""Send runs later, and draw the lineage that an offline run could not: `asr sync`, `asr link`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.connection import (
    find_artifact,
    link_models,
    missing_artifacts,
    open_api,
    refusals,
    sync_command,
)
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.ledger import FILE, Ledger, read_ledger
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings

if TYPE_CHECKING:
    from wandb.apis.public import Api
    from wandb.sdk.artifacts.artifact import Artifact

TIMEOUT = 20
"""Seconds that one question to the server may take."""
PATIENCE = 20.0
"""Seconds of sending after which the server is asked whether it is still there."""


@dataclass(frozen=True)
class Synced:
    """What came of one run."""

    folder: str
    run: str
    """`ENTITY/PROJECT/RUN`; empty where it was not sent."""
    sent: bool
    """Whether it was sent now; not, where the server had it already."""
    linked: list[str]
    """Artifacts that it is linked to now."""
    problem: str
    """What is still to be done, and how; empty: nothing."""


def pending(root: Path | None = None) -> list[Path]:
    """Folders of the runs in `<root>/wandb` that a server does not have whole, oldest first.

    Runs that a process is making now are left out. One whose ledger is damaged waits for its user.
    """
    root = root or TrackerSettings.resolve().folder or Path()
    folders = [path.parent for path in root.glob(f"wandb/*run-*/{FILE}")]
    return [folder for folder in sorted(folders, key=_date) if _waits(folder)]


def sync(folders: Iterable[Path]) -> Iterator[Synced]:
    """Send runs, the oldest first, as audits come before what rests on them; link each to that.

    Whatever was sent is noted in its folder at once: a second call goes on where this one was
    stopped, and sends nothing twice.

    Raises:
        TrackingError: W&B is switched off or not installed, there is no login, or no server that
            answers.
    """
    for folder in sorted(folders, key=_date):
        try:
            ledger = read_ledger(folder)
        except TrackingError as error:
            problem = str(error).removeprefix(f"{folder}: ")
            yield Synced(str(folder), "", False, [], problem)
            continue
        if ledger.state == "running" and not ledger.waits:
            problem = "is being made; send it when its command has ended"
            yield Synced(str(folder), "", False, [], problem)
            continue
        api = open_api(ledger.base_url, timeout=TIMEOUT)
        sent = ledger.state != "sent"
        if sent:
            problem = _send(folder, ledger, api)
            if problem:
                yield Synced(str(folder), "", False, [], problem)
                continue
            ledger = replace(ledger, state="sent", entity=_entity(ledger, api))
            ledger.write(folder)
        path = f"{ledger.entity}/{ledger.project}/{ledger.run_id}"
        linked, left, problem = _link(api, path, ledger.uses)
        refused = link_models(api, f"{ledger.entity}/{ledger.project}", ledger.links)
        links = {name: ledger.links[name] for name in refused}
        if linked or len(links) < len(ledger.links):
            replace(ledger, uses=left, links=links).write(folder)
        for name, why in refused.items():
            again = f"{name} cannot be linked to {links[name]} ({why}); try asr sync again"
            problem = problem or again
        yield Synced(str(folder), path, sent, linked, problem)


def link(run: str) -> Synced:
    """Link a training to the audit that its config names.

    Args:
        run: folder of a training (`runs/round2`) or of its W&B run, or `ENTITY/PROJECT/RUN`.

    Raises:
        TrackingError: no such run, or as in `sync`.
    """
    folder = Path(run)
    if not folder.is_dir() and run.count("/") != 2:
        raise TrackingError(_no_run(run))
    if (folder / FILE).is_file():
        ledger = read_ledger(folder)
        if ledger.state != "sent":
            raise TrackingError(f"{folder}: was not sent yet; send it: {sync_command(folder)}")
        api = open_api(ledger.base_url, timeout=TIMEOUT)
        path = f"{ledger.entity}/{ledger.project}/{ledger.run_id}"
    else:
        api = open_api(timeout=TIMEOUT)
        # The client leaves empty folders ENTITY/PROJECT/RUN in $WANDB_DIR.
        is_address = run.count("/") == 2 and not (folder / "run.json").is_file()
        path = _told_in(folder, api) if folder.is_dir() and not is_address else run
    if path.count("/") != 2:
        raise TrackingError(_no_run(run))
    try:
        phase0 = api.run(path).config["phase0"]
        uses = [{"reference": str(phase0["artifact"]), "digest": str(phase0["digest"])}]
    except (KeyError, TypeError) as error:
        raise TrackingError(f"{path}: its config has no phase0: no training of asr's") from error
    except refusals() as error:
        raise TrackingError(
            f"{path}: the server has no such run ({one_line(error)}); if it was made offline,"
            " send it with asr sync"
        ) from error
    linked, _, problem = _link(api, path, uses)
    return Synced(run, path, False, linked, problem)


def _no_run(name: str) -> str:
    return f"{name}: no run; name its folder, such as runs/round2, or ENTITY/PROJECT/RUN"


def _date(folder: Path) -> str:
    """When a run began, as the name of its folder says after the first `run-`."""
    return folder.name.partition("run-")[2]


def _waits(folder: Path) -> bool:
    try:
        return read_ledger(folder).waits
    except TrackingError:
        return True


def _entity(ledger: Ledger, api: Api) -> str:
    return ledger.entity or api.default_entity or ""


def _told_in(folder: Path, api: Api) -> str:
    """A training's W&B run, as its `run.json` tells."""
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        run_id, block = told["tracking"]["run_id"], told["config"]["wandb"]
        entity, project = block["entity"] or api.default_entity, block["project"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{folder}: no folder of a run (neither {FILE} nor a run.json of asr train is in it)"
        ) from error
    if not run_id:
        raise TrackingError(f"{folder}: was not tracked by W&B; there is nothing to link")
    return f"{entity}/{project}/{run_id}"


def _send(folder: Path, ledger: Ledger, api: Api) -> str:
    """Send one run by the client's own command; what went wrong, or empty."""
    command = [sys.executable, "-m", "wandb", "sync"]
    # It takes a run that was online for sent, unless told otherwise.
    command += [] if folder.name.startswith("offline-") else ["--include-online"]
    # One that went on after it was sent is sent again.
    command += ["--include-synced"] if _went_on(folder) else []
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_MODE"}
    if ledger.base_url and not environment.get("WANDB_BASE_URL"):
        environment["WANDB_BASE_URL"] = ledger.base_url
    try:
        _run([*command, str(folder)], environment, ledger)
        project = f"{_entity(ledger, api)}/{ledger.project}"
        missing = missing_artifacts(api, project, ledger.artifacts)
    except TrackingError as error:
        missing = [one_line(error)]
    except refusals() as error:
        missing = [one_line(error)]
    if not missing:
        return ""
    # The command leaves its mark whatever the server took.
    for mark in folder.glob("*.wandb.synced"):
        mark.unlink()
    return f"not sent whole ({missing[0]}); send it again: {sync_command(folder)}"


def _run(command: Sequence[str], environment: Mapping[str, str], ledger: Ledger) -> None:
    """Run `wandb sync` as long as the server is there: by itself it waits for hours.

    Raises TrackingError where it fails; it ends with 0 then, too.
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
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    open_api(ledger.base_url, timeout=TIMEOUT)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # its service, too
                process.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    faults = [line for line in lines if line.startswith("wandb: ERROR")]
    if faults or process.returncode:
        said = [*faults, *lines[-1:], f"code {process.returncode}"][0]
        raise TrackingError(said.removeprefix("wandb: ERROR").strip())


def _went_on(folder: Path) -> bool:
    """Whether a run was written to after `wandb sync` had marked it as sent."""
    return any(
        mark.stat().st_mtime < mark.with_suffix("").stat().st_mtime
        for mark in folder.glob("*.wandb.synced")
    )


def _link(
    api: Api, path: str, uses: Sequence[dict[str, str]]
) -> tuple[list[str], list[dict[str, str]], str]:
    """Link a run to what it used: what it is linked to, what is left, and why."""
    linked: list[str] = []
    left: list[dict[str, str]] = []
    problem = ""
    for use in uses:
        try:
            artifact = _find(api, path, use)
            if artifact is None:
                left.append(use)
                problem = (
                    f"{use['reference']} is not on the server: send the audit's run first"
                    " (asr sync), then asr link"
                )
                continue
            # By the API: resuming the run to do so would change its state and its length.
            api.run(path).use_artifact(artifact)
        except refusals() as error:
            left.append(use)
            problem = f"{use['reference']} cannot be linked ({one_line(error)}); try asr link again"
            continue
        linked.append(str(artifact.qualified_name))
    return linked, left, problem


def _find(api: Api, path: str, use: dict[str, str]) -> Artifact | None:
    """What a reference means by now; None: the server does not have it. Errors of the client."""
    address, _, alias = use["reference"].rpartition(":")
    name = address.rpartition("/")[2]
    online = use["reference"].startswith("wandb:")
    # Made offline, it has no address: it is looked for where the run is.
    collection = address.removeprefix("wandb:") if online else f"{path.rpartition('/')[0]}/{name}"
    return find_artifact(api, f"{collection}:{alias}", use["digest"])
