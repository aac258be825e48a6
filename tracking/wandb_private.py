"""All that we use of the W&B client beyond its public interface.

Written for the client 0.31. `pyproject.toml` keeps the client below the next version, and
`tests/tracking/test_wandb_private.py` fails when one of these parts changes. Before raising the
bound, run that test and try whether a part is still needed.

- `publish_artifact` uses `Run._interface.publish_artifact`, since 0.31: online, the public
  `Run.log_artifact` hands an artifact to the uploader and writes no record of it to the run's
  folder. If the server is lost before the upload, a later `wandb sync` has no artifact to send.
- `share_api` sets `Run._cached_public_api`, since 0.31: the run makes a handle of its own for its
  first table or artifact, with a long timeout. When the server is lost by then, that call takes
  29 s, and a training waits for it.
- `kill_service` looks for the process `wandb-core`, since 0.31: `wandb.teardown` and the client's
  own exit hook wait for that process, and there is no public way to stop it. With a lost server it
  retries for many minutes.
- `service_errors` imports the client's internal exceptions, since 0.31: public calls raise them,
  and they are not subclasses of `wandb.Error`.
- `experimental_settings` are settings whose names begin with `x_`, since 0.31: the client keeps
  them out of its promise of stability.
- `quiet_debug_log` changes the handlers of the logger `wandb`, since 0.31: on a full disk each line
  of the client's debug log would print a traceback.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import wandb

SERVICE_PROCESS = "wandb-core"


def publish_artifact(
    run: wandb.Run, artifact: wandb.Artifact, aliases: Sequence[str], *, use: bool
) -> None:
    """Write an artifact to the run's folder as a record, from which the client uploads it.

    Args:
        run: open, on- or offline.
        artifact: final: nothing may be added to it afterwards.
        aliases: names of this version.
        use: it is an input of the run, not an output.
    """
    assert run._interface is not None
    # `is_user_created=True` would mean that no run made it, and W&B would show no producer.
    run._interface.publish_artifact(
        run, artifact, list(aliases), is_user_created=False, use_after_commit=use
    )


def share_api(run: wandb.Run, api: wandb.Api) -> None:
    """Give the run a handle that the server has answered, with its short timeout."""
    api.settings.update(run=run.id, entity=run.entity, project=run.project)
    run._cached_public_api = api


def kill_service() -> None:
    """Kill the client's service process. The run is on disk by then; it only retries to send it."""
    import psutil
    import wandb

    for child in psutil.Process().children():
        if child.name() == SERVICE_PROCESS:
            child.kill()
    # It raises or exits because of the death that we have just caused.
    with contextlib.suppress(wandb.Error, OSError, SystemExit, *service_errors()):
        wandb.teardown()


def service_errors() -> tuple[type[Exception], ...]:
    """What public calls raise when the service fails a request or has died."""
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    return WandbApiFailedError, HandleAbandonedError, MailboxClosedError


def experimental_settings(*, system_metrics: bool) -> dict[str, Any]:
    """Settings for `wandb.Settings`; `system_metrics`: let the client sample the machine."""
    return {
        "x_disable_stats": not system_metrics,
        # Seconds. By default a service that is killed loses the last 15 s of the run.
        "x_transaction_log_flush_interval": 2.0,
    }


def quiet_debug_log() -> None:
    """Print no traceback when the client cannot write its debug log."""
    for handler in logging.getLogger("wandb").handlers:
        handler.handleError = lambda record: None  # type: ignore[method-assign]
