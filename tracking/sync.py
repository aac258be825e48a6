"""Send runs later, and draw the lineage that an offline run could not: `asr sync`, `asr link`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracking.connection import open_api, refusals
from tracking.errors import TrackingError
from tracking.ledger import FILE, Ledger, read_ledger
from tracking.redact import one_line
from tracking.settings import TrackerSettings

if TYPE_CHECKING:
    from wandb.apis.public import Api
    from wandb.sdk.artifacts.artifact import Artifact

TIMEOUT = 20
"""Seconds that one question to the server may take."""


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

    Runs that a process is making now are left out.
    """
    root = root or TrackerSettings.resolve().folder or Path()
    found = [(path.parent, read_ledger(path.parent)) for path in root.glob(f"wandb/*run-*/{FILE}")]
    # A folder's name has its date after the first `run-`.
    found.sort(key=lambda pair: pair[0].name.partition("run-")[2])
    return [folder for folder, ledger in found if ledger.waits]


def sync(folders: Sequence[Path]) -> Iterator[Synced]:
    """Send runs, those that audits were sent to first; then link each to what it used.

    Whatever was sent is noted in its folder at once: a second call goes on where this one was
    stopped, and sends nothing twice.

    Raises:
        TrackingError: a folder is no run's, W&B is switched off or not installed, there is no
            login, or no server that answers.
    """
    ledgers = [(folder, read_ledger(folder)) for folder in folders]
    for folder, ledger in ledgers:
        if ledger.state == "running" and not ledger.waits:
            raise TrackingError(f"{folder}: is being made; send it when its command has ended")
        api = open_api(ledger.base_url, timeout=TIMEOUT)
        sent = ledger.state != "sent"
        if sent:
            problem = _send(folder, ledger, api)
            if problem:
                yield Synced(str(folder), "", False, [], problem)
                continue
            ledger = replace(ledger, state="sent", entity=ledger.entity or api.default_entity or "")
            ledger.write(folder)
        path = f"{ledger.entity}/{ledger.project}/{ledger.run_id}"
        linked, left, problem = _link(api, path, ledger.uses)
        links, refused = _link_models(api, path, ledger.links)
        if linked or len(links) < len(ledger.links):
            replace(ledger, uses=left, links=links).write(folder)
        yield Synced(str(folder), path, sent, linked, problem or refused)


def link(run: str) -> Synced:
    """Link a training to the audit that its config names.

    Args:
        run: folder of a training (`runs/round2`) or of its W&B run, or `ENTITY/PROJECT/RUN`.

    Raises:
        TrackingError: no such run, or as in `sync`.
    """
    folder = Path(run)
    if (folder / FILE).is_file():
        ledger = read_ledger(folder)
        if ledger.state != "sent":
            raise TrackingError(f"{folder}: was not sent yet; send it with asr sync {folder}")
        api = open_api(ledger.base_url, timeout=TIMEOUT)
        path = f"{ledger.entity}/{ledger.project}/{ledger.run_id}"
    else:
        api = open_api(timeout=TIMEOUT)
        path = _told_in(folder, api) if folder.is_dir() else run
    if path.count("/") != 2:
        raise TrackingError(
            f"{run}: no run; name its folder, such as runs/round2, or ENTITY/PROJECT/RUN"
        )
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
    # It takes a run that was online for sent, unless told otherwise.
    online = [] if folder.name.startswith("offline-") else ["--include-online"]
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_MODE"}
    if ledger.base_url:
        environment.setdefault("WANDB_BASE_URL", ledger.base_url)
    command = [sys.executable, "-m", "wandb", "sync", *online, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    marker = next(folder.glob("*.wandb.synced"), None)
    if done.returncode or (not online and marker is None):
        said = (done.stderr + done.stdout).strip().splitlines()
        reason = one_line(TrackingError(said[-1] if said else f"code {done.returncode}"))
        return f"not sent ({reason}); send it again with asr sync {folder}"
    path = f"{ledger.entity or api.default_entity}/{ledger.project}"
    for name, digest in ledger.artifacts.items():
        try:
            found = api.artifact(f"{path}/{name}")
        except refusals() as error:
            return f"artifact {name} did not arrive ({one_line(error)}); send it again"
        if found.digest != digest and not _has(api, found, digest):
            return f"artifact {name} did not arrive; send it again with asr sync {folder}"
    return ""


def _has(api: Api, newer: Artifact, digest: str) -> bool:
    """Whether any version of an artifact has a digest: a later run may have moved the alias."""
    name = newer.name.rpartition(":")[0]
    versions = api.artifacts(newer.type, f"{newer.entity}/{newer.project}/{name}")
    return any(version.digest == digest for version in versions)


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


def _link_models(api: Api, path: str, links: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Link a run's models to their collections: what is left, and why."""
    left: dict[str, str] = {}
    problem = ""
    for name, target in links.items():
        try:
            api.artifact(f"{path.rpartition('/')[0]}/{name}").link(target)
        except refusals() as error:
            left[name] = target
            problem = f"{name} cannot be linked to {target} ({one_line(error)}); try asr sync again"
    return left, problem


def _find(api: Api, path: str, use: dict[str, str]) -> Artifact | None:
    """What a reference means by now: the version with its digest, or else its alias.

    None: the server does not have it. Raises what the client does where it does not answer.
    """
    import wandb

    address, _, alias = use["reference"].rpartition(":")
    name = address.rpartition("/")[2]
    online = use["reference"].startswith("wandb:")
    # Made offline, it has no address: it is looked for where the run is.
    collection = address.removeprefix("wandb:") if online else f"{path.rpartition('/')[0]}/{name}"
    try:
        found: Artifact = api.artifact(f"{collection}:{alias}")
        if not use["digest"] or found.metadata.get("digest") == use["digest"]:
            return found
        versions: Iterable[Artifact] = api.artifacts(found.type, collection)
        return next((v for v in versions if v.metadata.get("digest") == use["digest"]), None)
    except wandb.errors.CommError as error:
        if "not found" in str(error) or "does not" in str(error):
            return None
        raise
