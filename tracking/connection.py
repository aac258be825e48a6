"""Start and finish a run of the real client, within a bound, whatever the server does.

What the client does by itself (0.31): without a server, `wandb.init` blocks for 90 s and raises;
with a server that was lost midway, `finish` blocks for many minutes, `finish_timeout` or not, as
soon as an artifact is on its way. Neither may cost a user an audit or a training.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line, redact
from asr_gate.tracking.settings import Mode, TrackerSettings

if TYPE_CHECKING:
    import wandb
    from wandb.apis.public import Api
    from wandb.sdk.artifacts.artifact import Artifact

# A start waits for the server at most PROBE + INIT, and about a second for the client itself.
PROBE_SECONDS = 5
INIT_SECONDS = 8.0
# A finish: what the client is given to send the rest, and when it is stopped whatever it does.
FINISH_SECONDS = 20.0
FINISH_LIMIT_SECONDS = 25.0
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Started:
    """What came of starting a run."""

    run: wandb.Run | None
    """None: not even an offline run could be made."""
    mode: Mode
    """What the run is, which may be less than what was asked for."""
    reason: str | None
    """Why it is less, in a few words; None where it is what was asked for."""


@dataclass(frozen=True)
class Finished:
    """What came of finishing a run."""

    sent: bool
    """Whether the server has its rows and its artifacts."""
    problem: str | None
    """What is still to be done and why; None: nothing, or the run is offline."""


def require_client() -> None:
    """Raise TrackingError where the client is not installed; costs no import."""
    if importlib.util.find_spec("wandb") is None:
        raise TrackingError(
            "W&B is on, but its client is not installed;"
            " mend: pip install 'asr-gate[wandb]', or --no-wandb"
        )


def start_run(
    settings: TrackerSettings,
    *,
    run_name: str | None,
    config: dict[str, Any],
    run_id: str | None = None,
) -> Started:
    """Start a run: online where that is asked for and works, else offline. Never prompts.

    `run_id`: of the server's run to go on with, as `settings.resume` says; an offline run is
    always a new one, as two of one id can't both be sent.
    """
    from pydantic import ValidationError

    require_client()
    import wandb

    reason: str | None = None
    try:
        if settings.mode == "online":
            api, reason = _log_in(settings, PROBE_SECONDS)
            if api is not None:
                try:
                    run = _init(settings, "online", run_name, config, run_id)
                    _reuse_api(run, api)
                    return Started(run, "online", None)
                except client_errors() as error:
                    reason = f"the server did not start the run ({one_line(error)})"
            if run_id is not None and settings.resume == "must":
                raise TrackingError(
                    f"the W&B run {run_id} cannot be gone on with: {reason};"
                    " start anew, or set wandb.resume=allow"
                )
        return Started(_init(settings, "offline", run_name, config), "offline", reason)
    except ValidationError as error:
        # The client checks all of its WANDB_… variables itself, and says so over many lines.
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise TrackingError(
            f"the W&B client refuses its setting {where!r} ({error.errors()[0]['msg']});"
            f" mend WANDB_{where.upper()} or the client's settings file"
        ) from error
    except wandb.errors.UsageError as error:
        raise TrackingError(f"the W&B client refuses its settings: {one_line(error)}") from error
    except client_errors() as error:
        # A full or read-only disk, or a client whose service does not start.
        return Started(None, "disabled", f"no run could be made ({one_line(error)})")


def log_artifact(
    run: wandb.Run, artifact: wandb.Artifact, aliases: list[str], *, use: bool = False
) -> None:
    """Log an artifact so that the run's folder holds it too, whatever the server does.

    With `use` it becomes an input of the run, not an output.

    Online, the client's own `log_artifact` asks the server first and hands the artifact to its
    uploader without writing it to the run's folder: with a server that is lost by then, a later
    `wandb sync` would not have it. Offline it writes a record, which we do online as well.
    """
    if run._interface is None or (run.offline and not use):
        run.log_artifact(artifact, aliases=aliases)
        return
    artifact.finalize()
    # `is_user_created` would mean that no run made it: W&B would show no producer.
    run._interface.publish_artifact(run, artifact, aliases, use_after_commit=use)


def finish_run(
    run: wandb.Run,
    *,
    exit_code: int,
    artifacts: dict[str, str],
    links: dict[str, str],
    keep: dict[str, int],
) -> Finished:
    """Finish within FINISH_LIMIT_SECONDS.

    A run that is not sent stays on disk, for `asr sync`.

    Args:
        run: to finish.
        exit_code: 0, or the run failed.
        artifacts: the digest by NAME:ALIAS of what was logged.
        links: the collection that an artifact, by NAME:ALIAS, is linked to.
        keep: by the name of a model's artifact, how many of this run's versions stay online.
    """
    problems: list[str] = []
    sent = threading.Event()
    done = threading.Event()
    service_is_broken = threading.Event()

    def finish() -> None:
        try:
            run.finish(exit_code=exit_code)
            if run.offline:
                return
            path = f"{run.entity}/{run.project}"
            problems.extend(missing_artifacts(run._public_api(), path, artifacts))
            if not problems:
                sent.set()
                refused = link_models(run._public_api(), path, links)
                problems.extend(
                    f"{name} is not linked to {links[name]} ({why})"
                    for name, why in refused.items()
                )
                _retire(run, keep)
        except TimeoutError:
            problems.append(f"the server did not take the rest in {FINISH_SECONDS:.0f} s")
        except client_errors() as error:
            problems.append(one_line(error))
            service_is_broken.set()
        except BaseException:
            # A fault, for which the thread shows a traceback; it must not pass for success here.
            problems.append("the client failed unexpectedly")
            raise
        finally:
            done.set()

    # The main thread must be able to leave: the client has no bound of its own here.
    threading.Thread(target=finish, name="wandb-finish", daemon=True).start()
    try:
        in_time = done.wait(FINISH_LIMIT_SECONDS)
    except KeyboardInterrupt:
        _stop_service()  # else the client's exit hook would go on waiting
        raise
    if not in_time:
        problems.insert(0, f"the server did not answer in {FINISH_LIMIT_SECONDS:.0f} s")
        service_is_broken.set()
    if service_is_broken.is_set():
        # Else the client's exit hook would wait for it, or print a traceback about it.
        _stop_service()
        done.wait(_STOP_SECONDS)
    return Finished(sent.is_set(), problems[0] if problems else None)


def sync_command(folder: Path) -> str:
    """What to type to send a run folder later, relative to the current folder where it is in it."""
    try:
        shown = folder.relative_to(Path.cwd())
    except ValueError:
        shown = folder
    return f"asr sync {shlex.quote(str(shown))}"


def client_errors() -> tuple[type[Exception], ...]:
    """What the client raises when the server, the network, the disk or its service fails it."""
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    # OSError: the disk, and the socket to its service; TimeoutError is one of them. The last
    # three are no wandb.Error, though they come out of public calls: a request that failed, and a
    # service that died.
    return (
        wandb.errors.Error,
        OSError,
        WandbApiFailedError,
        HandleAbandonedError,
        MailboxClosedError,
    )


def open_api(base_url: str | None = None, *, timeout: int = PROBE_SECONDS) -> Api:
    """The API of the server that the environment names, or else of the one given.

    Args:
        base_url: of it.
        timeout: seconds that one question to the server may take.

    Raises:
        TrackingError: W&B is switched off or not installed, there is no login, or no server that
            answers in time.
    """
    settings = TrackerSettings.resolve()
    if settings.sources["mode"] == "WANDB_DISABLED":
        raise TrackingError("WANDB_DISABLED is set, so W&B is not asked; unset it")
    require_client()
    if settings.base_url is None:
        settings = settings.model_copy(update={"base_url": base_url})
    api, reason = _log_in(settings, timeout)
    if api is None:
        _stop_service()  # else the client's exit hook may wait for it
        raise TrackingError(f"W&B cannot be reached: {reason}")
    return api


def find_artifact(api: Api, path: str, digest: str) -> Artifact | None:
    """The version that has a digest, of an artifact, by `ENTITY/PROJECT/NAME:ALIAS`.

    None: the server does not have it. Raises what the client does where it does not answer.

    Args:
        api: of the server.
        path: the alias may have moved on to another version since it was noted.
        digest: of the artifact, or the one in its metadata; empty: whatever has the alias.
    """
    import wandb

    try:
        found: Artifact = api.artifact(path)
        versions = chain([found], _versions(api, found, path))
        return next((v for v in versions if _has(v, digest)), None)
    except (ValueError, wandb.errors.CommError) as error:
        if isinstance(error, ValueError) or "not found" in str(error) or "does not" in str(error):
            return None
        raise


def _versions(api: Api, found: Artifact, path: str) -> Iterator[Artifact]:
    yield from api.artifacts(found.type, path.rpartition(":")[0])


def _has(version: Artifact, digest: str) -> bool:
    return not digest or digest in (version.digest, version.metadata.get("digest"))


def download(reference: str, folder: Path) -> bool:
    """Fetch the files of an artifact, `ENTITY/PROJECT/NAME:ALIAS`; whether the server has it.

    Raises:
        TrackingError: as `open_api`, or the files do not arrive whole.
    """
    api = open_api()
    try:
        found = find_artifact(api, reference, "")
        if found is not None:
            found.download(root=str(folder))
    except refusals() as error:
        raise TrackingError(f"it was not sent whole: {one_line(error)}") from error
    return found is not None


def refusals() -> tuple[type[Exception], ...]:
    """`client_errors`, and what it raises where the server refuses in its own words."""
    return (ValueError, *client_errors())


def missing_artifacts(api: Api, project: str, artifacts: Mapping[str, str]) -> list[str]:
    """What the server does not have of artifacts (digest by NAME:ALIAS), and why.

    `project` is ENTITY/PROJECT. A later run may have moved the alias: any version counts.
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
        except refusals() as error:
            problems.append(f"the server has no artifact {name} ({one_line(error)})")
    return problems


def link_models(api: Api, project: str, links: Mapping[str, str]) -> dict[str, str]:
    """Link models, by NAME:ALIAS, each to its collection; why, by name, those that were refused.

    `project` is ENTITY/PROJECT.
    """
    refused = {}
    for name, target in links.items():
        try:
            api.artifact(f"{project}/{name}").link(target)
        except refusals() as error:
            refused[name] = one_line(error)
    return refused


def _log_in(settings: TrackerSettings, timeout: int) -> tuple[Api | None, str | None]:
    """Find credentials and ask the server whose they are; else the reason to be offline."""
    import wandb

    wandb.setup(_client_settings(settings, "online"))
    try:
        # Reads the environment, netrc and the client's settings; prompt=False: nothing else.
        if not wandb.login(prompt=False, verify=False):
            return None, "no login was found (wandb login, or WANDB_API_KEY)"
    except wandb.errors.AuthenticationError as error:
        return None, f"the login is unusable ({one_line(error)})"

    base_url = wandb.setup().settings.base_url
    began = time.monotonic()
    try:
        return wandb.Api(overrides={"base_url": base_url}, timeout=timeout), None
    except client_errors() as error:
        # The client says "busy" of a server that is closed, silent or failing: it retries.
        if time.monotonic() - began > timeout - 0.5:
            return None, f"{base_url} gave no usable answer in {timeout} s"
        return None, one_line(error)


def _init(
    settings: TrackerSettings,
    mode: Mode,
    run_name: str | None,
    config: dict[str, Any],
    run_id: str | None = None,
) -> wandb.Run:
    import wandb

    client_settings = _client_settings(settings, mode)
    wandb.setup(client_settings)
    named: dict[str, Any] = {
        "name": run_name or settings.run_name,
        "group": settings.group,
        "job_type": settings.job_type,
        "tags": list(settings.tags) or None,
        "notes": settings.notes,
    }
    with _arguments_hidden():
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            **cast(dict[str, Any], redact(named)),
            config=config,
            mode="online" if mode == "online" else "offline",
            id=run_id if settings.resume != "never" else None,
            resume=settings.resume if run_id is not None and settings.resume != "never" else None,
            # Another run of this process, such as a caller's own, is neither reused nor finished.
            reinit="create_new",
            settings=client_settings,
        )
    for handler in logging.getLogger("wandb").handlers:
        # Its debug log on a full disk: else a traceback for each line of it.
        handler.handleError = lambda record: None  # type: ignore[method-assign]
    return run


@contextlib.contextmanager
def _arguments_hidden() -> Iterator[None]:
    """The client keeps the command line with the run; secrets in it are hidden meanwhile."""
    before = sys.argv
    sys.argv = cast(list[str], redact(before))
    try:
        yield
    finally:
        sys.argv = before


def _client_settings(settings: TrackerSettings, mode: Mode) -> wandb.Settings:
    import wandb

    client = wandb.Settings(
        mode="online" if mode == "online" else "offline",
        silent=True,  # its chatter would tear our progress bar; it goes to the run's debug log
        init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
        # Seconds; by default a service that is killed takes the last 15 s of the run with it.
        x_transaction_log_flush_interval=2.0,
        x_disable_stats=not settings.system_metrics,
        save_code=settings.save_code,
    )
    # Named only where it is known: what is assigned here beats the client's own settings file.
    if settings.base_url is not None:
        client.base_url = settings.base_url
    # Explicit, because the client reads the environment once a process and keeps it.
    client.root_dir = str((settings.folder or Path.cwd()).absolute())
    return client


def _reuse_api(run: wandb.Run, api: Api) -> None:
    """Give the run the API handle that has just answered.

    The run makes its own on first use (a table, the use of an artifact), by asking the server
    again and with a longer timeout: one use of an artifact takes 29 s where that is lost by then.
    """
    api.settings.update(run=run.id, entity=run.entity, project=run.project)
    run._cached_public_api = api


def _retire(run: wandb.Run, keep: dict[str, int]) -> None:
    """Delete older versions of this run's models; what cannot be deleted now stays."""
    for name, count in keep.items():
        path = f"{run.entity}/{run.project}/{name}"
        with contextlib.suppress(*refusals()):
            versions = list(run._public_api().artifacts("model", path))
            versions.sort(key=lambda version: int(version.version.removeprefix("v")), reverse=True)
            ours = [v for v in versions if v.metadata.get("run_id") == run.id]
            for version in ours[count:]:
                # An alias that a person gave, or that says what the model is, keeps it.
                if all(re.fullmatch(r"(epoch|step)-\d+", alias) for alias in version.aliases):
                    version.delete(delete_aliases=True)


def _stop_service() -> None:
    """Kill the client's service process, so that the end of our process does not wait for it.

    The run lies on disk by now; the process is only retrying to send it. The client has no public
    way to stop it: `wandb.teardown` waits for it, as does the client's own exit hook.
    """
    import wandb

    connection = getattr(wandb.setup(), "_connection", None)
    process = getattr(getattr(connection, "_proc", None), "_process", None)
    if isinstance(process, subprocess.Popen):
        process.kill()
    # It reports the death that we have just caused: on the socket, or as its own exit code.
    with contextlib.suppress(*client_errors(), SystemExit):
        wandb.teardown()
