"""Artifacts on a W&B server: find, download, link, delete."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.wandb_client import LOGIN_SECONDS, log_in, open_api, server_errors

if TYPE_CHECKING:
    import wandb


def find_artifact(api: wandb.Api, path: str, digest: str) -> wandb.Artifact | None:
    """Find a version of an artifact; None: the server does not have it.

    Raises what the client raises when the server does not answer.

    Args:
        api: of the server.
        path: `ENTITY/PROJECT/NAME:ALIAS`. By now the alias may name another version.
        digest: W&B's digest of the version, or the `digest` in its metadata. Empty: take the
            version that has the alias now.
    """
    import wandb

    def versions(found: wandb.Artifact) -> Iterator[wandb.Artifact]:
        yield from api.artifacts(found.type, path.rpartition(":")[0])

    try:
        found: wandb.Artifact = api.artifact(path)
        for version in chain([found], versions(found)):
            if not digest or digest in (version.digest, version.metadata.get("digest")):
                return version
    except (ValueError, wandb.errors.CommError) as error:
        answered = "not found" in str(error) or "does not" in str(error)
        if not (isinstance(error, ValueError) or answered):
            raise
    return None


@dataclass(frozen=True)
class Version:
    """A version of an artifact on a server."""

    reference: str
    """`wandb:ENTITY/PROJECT/NAME:v0`."""
    latest: bool
    """Whether it has the alias `latest`."""


def find_version(settings: TrackerSettings, name: str, digest: str) -> Version | None:
    """Find the version of an artifact that has this content.

    Args:
        settings: of the run that would log it.
        name: of the artifact.
        digest: W&B's digest of its files, as `content_digest` gives it.

    Returns:
        The version; None: the server does not have it or does not answer, or is not to be asked.
    """
    if not settings.on or settings.mode == "offline":
        return None
    api, _ = log_in(settings, LOGIN_SECONDS)
    if api is None:
        return None
    project = f"{settings.entity or api.default_entity}/{settings.project}"
    try:
        found = find_artifact(api, f"{project}/{name}:latest", digest)
    except server_errors():
        return None
    if found is None:
        return None
    return Version(f"wandb:{project}/{name}:{found.version}", "latest" in found.aliases)


def download(reference: str, folder: Path, names: Sequence[str], limit: int) -> bool:
    """Download files of an artifact, `ENTITY/PROJECT/NAME:ALIAS`, into a folder.

    Args:
        reference: of the artifact, which may be anybody's.
        folder: where the files go.
        names: of the files that are wanted; those that it lacks are left out.
        limit: most bytes of one file.

    Returns:
        Whether the server has it.

    Raises:
        TrackingError: as `open_api`; a file is too large or lies elsewhere than on the server; or
            the files do not arrive complete.
    """
    api = open_api()
    try:
        found = find_artifact(api, reference, "")
        if found is None:
            return False
        for name in sorted(found.manifest.entries.keys() & set(names)):
            entry = found.get_entry(name)
            if entry.ref is not None:
                raise TrackingError(f"{name} in it is only a link to another place")
            if entry.size is not None and entry.size > limit:
                raise TrackingError(f"{name} in it has {entry.size} bytes, more than {limit}")
            entry.download(root=str(folder))
    except server_errors() as error:
        raise TrackingError(f"it did not arrive complete: {one_line(error)}") from error
    return True


def missing_artifacts(api: wandb.Api, project: str, artifacts: Mapping[str, str]) -> list[str]:
    """Which artifacts the server does not have, one line each.

    Args:
        api: of the server.
        project: `ENTITY/PROJECT`.
        artifacts: digest by NAME:ALIAS. Any version with the digest counts, as another run may
            have moved the alias.
    """
    problems = []
    for name, digest in artifacts.items():
        collection = f"{project}/{name.rpartition(':')[0]}"
        try:
            found = api.artifact(f"{project}/{name}")
            if found.digest == digest:
                continue
            if all(version.digest != digest for version in api.artifacts(found.type, collection)):
                problems.append(f"the server has another artifact {name}")
        except server_errors() as error:
            problems.append(f"the server has no artifact {name} ({one_line(error)})")
    return problems


def delete_old_versions(api: wandb.Api, project: str, run_id: str, keep: Mapping[str, int]) -> None:
    """Delete older versions of a run's models.

    A version stays if it has an alias that a person gave it, or one such as `best` or `final`. One
    that cannot be deleted stays, too.

    Args:
        api: of the server.
        project: `ENTITY/PROJECT`.
        run_id: versions of other runs are left alone.
        keep: by artifact name, how many of the newest versions stay.
    """
    for name, count in keep.items():
        with contextlib.suppress(*server_errors()):
            versions = list(api.artifacts("model", f"{project}/{name}"))
            versions.sort(key=lambda version: int(version.version.removeprefix("v")), reverse=True)
            ours = [v for v in versions if v.metadata.get("run_id") == run_id]
            for version in ours[count:]:
                if all(re.fullmatch(r"(epoch|step)-\d+", alias) for alias in version.aliases):
                    version.delete(delete_aliases=True)
