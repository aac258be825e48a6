"""The artifacts that one W&B run logs and uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import plain_dict
from asr_gate.tracking.sync_state import SyncStateFile
from asr_gate.tracking.wandb_client import server_errors
from asr_gate.tracking.wandb_private import publish_artifact
from asr_gate.tracking.wandb_server import find_artifact

if TYPE_CHECKING:
    import wandb

Attempt = Callable[[str, Callable[[], object], str], bool]
"""`attempt(what, call, consequence)` calls the client; if it fails, warns and returns False."""


class RunArtifacts:
    """Logs and uses artifacts, and notes in the run's folder what the server may lack."""

    def __init__(
        self, run: wandb.Run, api: wandb.Api | None, state: SyncStateFile, attempt: Attempt
    ) -> None:
        """Begin with none.

        Args:
            run: an open run.
            api: of the server; None: the run is offline.
            state: `asr.json` of the run.
            attempt: calls the client, which may fail.
        """
        self.digests: dict[str, str] = {}
        """W&B's digest by NAME:ALIAS of what was logged."""
        self.models: set[str] = set()
        """Names of the models that were logged."""
        self._run = run
        self._api = api
        self._state = state
        self._attempt = attempt

    def log(
        self,
        paths: Sequence[Path],
        type: str,
        name: str,
        aliases: Sequence[str],
        metadata: Mapping[str, object] | None,
        *,
        use: bool = False,
    ) -> str:
        """Log files and folders as one version; returns a reference, or empty on a failure.

        W&B compares contents: what it has already becomes no new version.

        Args:
            paths: files and folders.
            type: kind of artifact.
            name: of the artifact.
            aliases: of this version, besides `latest`.
            metadata: of this version.
            use: it is an input of the run, too.

        Raises:
            TrackingError: a missing file, or a name or alias that W&B does not allow.
        """
        _check_paths(name, paths)
        aliases = list(dict.fromkeys([*aliases, "latest"]))
        _check_aliases(name, aliases)
        artifact = _new_artifact(name, type, metadata)
        key = f"{name}:{aliases[0]}"

        def log() -> None:
            _add(artifact, paths)
            self._publish(artifact, aliases, use=use)
            self.digests[key] = artifact.digest
            self._state.update(artifacts=dict(self.digests))

        if not self._attempt(f"artifact {name}", log, "the files stay where they are"):
            return ""
        if self._api is None:
            return f"wandb-offline:{self._run.id}/{key}"
        return f"wandb:{self._run.entity}/{self._run.project}/{key}"

    def log_model(
        self,
        path: Path,
        name: str,
        aliases: Sequence[str],
        metadata: Mapping[str, object] | None,
    ) -> str:
        """Log a model's folder; returns as `log`."""
        metadata = {**(metadata or {}), "run_id": self._run.id}
        reference = self.log([path], "model", name, aliases, metadata)
        if reference:
            self.models.add(name)
        return reference

    def is_there(self, reference: str, digest: str) -> bool:
        """Whether an artifact is on the server, or waits on this disk for `asr sync`.

        A server that does not answer is believed to have what is said to be there.
        """
        address = reference.rpartition("/")[0]
        if address.startswith("wandb:"):
            try:
                path = reference.removeprefix("wandb:")
                return self._api is None or find_artifact(self._api, path, digest) is not None
            except server_errors():
                return True
        run_id = address.removeprefix("wandb-offline:")
        waits = self._api is None and address.startswith("wandb-offline:")
        return waits and self._state.has_run_beside(run_id)

    def use(self, reference: str, digest: str) -> bool:
        """Make an artifact an input of the run; returns False if only `asr sync` can do it."""
        api = self._api
        if api is not None and reference.startswith("wandb:"):
            found: list[wandb.Artifact] = []

            def use() -> None:
                artifact = find_artifact(api, reference.removeprefix("wandb:"), digest)
                if artifact is not None:
                    self._run.use_artifact(artifact)
                    found.append(artifact)

            self._attempt(f"the use of {reference}", use, "asr sync links it later")
            if found:
                return True
        self._state.update(uses=[{"reference": reference, "digest": digest}])
        return False

    def use_reference(
        self, uri: str, type: str, name: str, metadata: Mapping[str, object] | None
    ) -> None:
        """Make something at an address an input of the run; no file is copied.

        Raises:
            TrackingError: a name that W&B does not allow, or no address.
        """
        artifact = _new_artifact(name, type, metadata)
        try:
            artifact.add_reference(uri, checksum=False)
        except ValueError as error:
            raise TrackingError(
                f"W&B artifact {name}: {uri!r} is no address, such as s3://…"
            ) from error
        self._attempt(
            f"the use of {uri}",
            lambda: self._publish(artifact, ["latest"], use=True),
            "the run's config names it",
        )

    def _publish(self, artifact: wandb.Artifact, aliases: list[str], *, use: bool) -> None:
        if self._api is None and not use:
            self._run.log_artifact(artifact, aliases=aliases)
            return
        artifact.finalize()
        publish_artifact(self._run, artifact, aliases, use=use)


def _new_artifact(name: str, type: str, metadata: Mapping[str, object] | None) -> wandb.Artifact:
    import wandb

    try:
        return wandb.Artifact(name, type, metadata=plain_dict(metadata or {}))
    except ValueError as error:
        raise TrackingError(f"W&B artifact {name!r} (type {type!r}): {error}") from error


def content_digest(paths: Sequence[Path]) -> str:
    """W&B's digest of an artifact that would hold these files and folders.

    Raises:
        OSError: one cannot be read.
    """
    import wandb

    artifact = wandb.Artifact("digest", "digest")
    _add(artifact, paths)
    return artifact.digest


def _add(artifact: wandb.Artifact, paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            artifact.add_dir(str(path))
        else:
            artifact.add_file(str(path), name=path.name)


def _check_aliases(name: str, aliases: Sequence[str]) -> None:
    for alias in aliases:
        if not alias or set(alias) & set("/:"):
            raise TrackingError(f"W&B artifact {name}: alias {alias!r} is empty or holds / or :")


def _check_paths(name: str, paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise TrackingError(f"W&B artifact {name}: {path} does not exist")
    file_names = [path.name for path in paths if not path.is_dir()]
    for file_name in file_names:
        if file_names.count(file_name) > 1:
            raise TrackingError(f"W&B artifact {name}: two files are named {file_name}")
