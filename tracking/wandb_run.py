"""Start and finish a W&B run within a time limit, whatever the server does.

By itself the client (0.31) blocks: without a server `wandb.init` waits 90 s and raises; when the
server was lost during the run and an artifact is on its way, `finish` waits many minutes, whatever
`finish_timeout` says. No audit and no training may be lost to that.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asr_gate.tracking import wandb_client
from asr_gate.tracking.environment import Mode
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.git import git_state, uncommitted_changes
from asr_gate.tracking.redact import one_line, redact
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.wandb_client import client_errors, client_settings, log_in, require_client
from asr_gate.tracking.wandb_private import kill_service, quiet_debug_log, share_api
from asr_gate.tracking.wandb_server import delete_old_versions, missing_artifacts

if TYPE_CHECKING:
    import wandb

FINISH_LIMIT_SECONDS = 25.0
"""After this the client's service is killed; the client itself is given FINISH_SECONDS."""
_KILL_SECONDS = 2.0


@dataclass(frozen=True)
class Started:
    """The result of starting a run."""

    run: wandb.Run | None
    """None: not even an offline run could be made."""
    api: wandb.Api | None
    """The server's API; None: the run is not online."""
    mode: Mode
    """What the run is, which may be less than what was asked for."""
    reason: str | None
    """Why it is less, in a few words; None: it is what was asked for."""


@dataclass(frozen=True)
class Finished:
    """The result of finishing a run."""

    sent: bool
    """Whether the server has its rows and its artifacts."""
    problem: str | None
    """What is left to do and why; None: nothing is, or the run is offline."""


def start_run(
    settings: TrackerSettings,
    *,
    run_name: str | None,
    config: dict[str, Any],
    run_id: str | None = None,
) -> Started:
    """Start a run: online if that is asked for and works, else offline. Never prompts.

    Args:
        settings: of the run.
        run_name: replaces the name in the settings.
        config: of the run, without secrets.
        run_id: resume this run of the server, as `settings.resume` says. An offline run is always
            a new one, since the server cannot take two runs with one id.

    Raises:
        TrackingError: the client is missing or refuses its settings, or a run that must be resumed
            cannot be.
    """
    from pydantic import ValidationError

    require_client()
    import wandb

    reason: str | None = None
    try:
        if settings.mode == "online":
            api, reason = log_in(settings, wandb_client.LOGIN_SECONDS)
            if api is not None:
                try:
                    run = _init(settings, "online", run_name, config, run_id)
                    share_api(run, api)
                    return Started(run, api, "online", None)
                except client_errors() as error:
                    reason = f"the server did not start the run ({one_line(error)})"
            if run_id is not None and settings.resume == "must":
                raise TrackingError(
                    f"the W&B run {run_id} cannot be resumed: {reason};"
                    " start a new run, or set wandb.resume=allow"
                )
        return Started(_init(settings, "offline", run_name, config), None, "offline", reason)
    except ValidationError as error:
        # The client checks all WANDB_… variables itself, and its message has many lines.
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise TrackingError(
            f"the W&B client refuses its setting {where!r} ({error.errors()[0]['msg']});"
            f" fix WANDB_{where.upper()} or the client's settings file"
        ) from error
    except wandb.errors.UsageError as error:
        raise TrackingError(f"the W&B client refuses its settings: {one_line(error)}") from error
    except client_errors() as error:
        # A full or read-only disk, or a client whose service does not start.
        return Started(None, None, "disabled", f"no run could be made ({one_line(error)})")


def _init(
    settings: TrackerSettings,
    mode: Mode,
    run_name: str | None,
    config: dict[str, Any],
    run_id: str | None = None,
) -> wandb.Run:
    import wandb

    client = client_settings(settings, mode)
    git = git_state()
    client.git_commit = cast(str | None, git.get("commit"))
    client.git_remote_url = cast(str | None, git.get("remote"))
    wandb.setup(client)
    texts: dict[str, Any] = {
        "name": run_name or settings.run_name,
        "group": settings.group,
        "job_type": settings.job_type,
        "tags": list(settings.tags) or None,
        "notes": settings.notes,
    }
    with _secrets_hidden_in_command_line():
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            **cast(dict[str, Any], redact(texts)),
            config=config,
            mode="online" if mode == "online" else "offline",
            id=run_id if settings.resume != "never" else None,
            resume=settings.resume if run_id is not None and settings.resume != "never" else None,
            # Leave another run of this process alone, such as one that the caller made.
            reinit="create_new",
            settings=client,
        )
    quiet_debug_log()
    if client.save_code and (changes := uncommitted_changes()):
        # Under the client's own name for it; the client would send it whole, secrets included.
        diff = Path(run.dir) / "diff.patch"
        diff.write_text(changes, encoding="utf-8")
        run.save(str(diff), base_path=run.dir, policy="now")
    return run


@contextlib.contextmanager
def _secrets_hidden_in_command_line() -> Iterator[None]:
    """Hide secrets in `sys.argv` meanwhile: the client stores the command line with the run."""
    before = sys.argv
    sys.argv = cast(list[str], redact(before))
    try:
        yield
    finally:
        sys.argv = before


def finish_run(
    run: wandb.Run,
    api: wandb.Api | None,
    *,
    exit_code: int,
    artifacts: dict[str, str],
    keep: dict[str, int],
) -> Finished:
    """Finish a run within FINISH_LIMIT_SECONDS. What is not sent stays on disk for `asr sync`.

    Args:
        run: the run to finish.
        api: of the server; None: the run is offline.
        exit_code: 0, or the run failed.
        artifacts: what was logged: digest by NAME:ALIAS.
        keep: by artifact name, how many versions of this run's models stay online.
    """
    problems: list[str] = []
    sent, done, service_failed = threading.Event(), threading.Event(), threading.Event()

    def finish() -> None:
        try:
            run.finish(exit_code=exit_code)
            if api is None:
                return
            project = f"{run.entity}/{run.project}"
            problems.extend(missing_artifacts(api, project, artifacts))
            if not problems:
                sent.set()
                delete_old_versions(api, project, run.id, keep)
        except TimeoutError:
            limit = wandb_client.FINISH_SECONDS
            problems.append(f"the server did not take the rest in {limit:.0f} s")
        except client_errors() as error:
            problems.append(one_line(error))
            service_failed.set()
        except BaseException:
            # The thread prints a traceback of this defect; here it must not look like success.
            problems.append("the client failed unexpectedly")
            raise
        finally:
            done.set()

    # In a thread, which can be left behind: the client sets no limit to this itself.
    threading.Thread(target=finish, name="wandb-finish", daemon=True).start()
    try:
        in_time = done.wait(FINISH_LIMIT_SECONDS)
    except KeyboardInterrupt:
        kill_service()  # the client's exit hook would go on waiting for it
        raise
    if not in_time:
        problems.insert(0, f"the server did not answer in {FINISH_LIMIT_SECONDS:.0f} s")
        service_failed.set()
    if service_failed.is_set():
        # The client's exit hook would wait for it, or print a traceback.
        kill_service()
        done.wait(_KILL_SECONDS)
    return Finished(sent.is_set(), problems[0] if problems else None)


def sync_command(folder: Path) -> str:
    """The command that sends a run's folder later; its path is relative where that is possible."""
    try:
        shown = folder.relative_to(Path.cwd())
    except ValueError:
        shown = folder
    return f"asr sync {shlex.quote(str(shown))}"
