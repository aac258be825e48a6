"""Sweeps on a W&B server, whose controller chooses the trials."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.wandb_client import LOGIN_SECONDS, log_in, require_client, server_errors


def create_sweep(config: Mapping[str, Any], settings: TrackerSettings) -> str:
    """Create a sweep on the server.

    Args:
        config: in W&B's format.
        settings: which server, entity and project.

    Returns:
        `ENTITY/PROJECT/ID`, for `wandb agent`.

    Raises:
        TrackingError: the client is missing, there is no login, or the server does not take it.
    """
    require_client()
    import wandb

    api, reason = log_in(settings, LOGIN_SECONDS)
    if api is None:
        raise TrackingError(f"the sweep was not created: {reason}")
    entity = settings.entity or str(api.default_entity)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints address and name
            found = wandb.sweep(dict(config), entity=entity, project=settings.project)
    except server_errors() as error:
        raise TrackingError(f"the sweep was not created: {one_line(error)}") from error
    return f"{entity}/{settings.project}/{found}"
