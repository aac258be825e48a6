"""The W&B client: whether it is installed, its settings, the login, and what it raises."""

from __future__ import annotations

import configparser
import importlib.util
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.client_files import folder_files, read_settings
from asr_gate.tracking.environment import Mode, code_is_private
from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.wandb_private import experimental_settings, kill_service, service_errors

if TYPE_CHECKING:
    import wandb

HARMLESS = frozenset(["entity", "project", "mode", "disabled"])
"""Keys that a settings file of the client in the folder of the runs may have."""

# A start waits for the server at most for these two, and about a second for the client itself.
LOGIN_SECONDS = 5
INIT_SECONDS = 8.0
# What the client is given to send the rest when a run is finished.
FINISH_SECONDS = 20.0


def require_client() -> None:
    """Raise TrackingError if the client is not installed; this does not import it."""
    if importlib.util.find_spec("wandb") is None:
        raise TrackingError(
            "W&B is on, but its client is not installed;"
            " pip install 'asr-gate[wandb]', or use --no-wandb"
        )


def require_harmless_folder(settings: TrackerSettings) -> None:
    """Refuse a settings file of the client in the folder of the runs that says more than names.

    The client reads `./wandb/settings`, which may come with anybody's repository, and would send
    the login to the host or through the proxy that stands there.

    Raises:
        TrackingError: the file sets something else than a name or a mode, or cannot be read.
    """
    for path in folder_files(settings.folder or Path.cwd()):
        try:
            keys = sorted(read_settings(path))
        except (OSError, ValueError, configparser.Error) as error:
            raise TrackingError(f"{path}: cannot be read ({one_line(error)}); remove it") from error
        for key in keys:
            if key not in HARMLESS:
                raise TrackingError(
                    f"{path}: sets {key}, which only your own settings may set; remove it there, "
                    "and use WANDB_BASE_URL or ~/.config/wandb/settings"
                )


def client_errors() -> tuple[type[Exception], ...]:
    """What the client raises when the server, the network, the disk or its service fails."""
    import wandb

    # OSError: the disk, or the socket to the client's service. TimeoutError is an OSError.
    return (wandb.Error, OSError, *service_errors())


def server_errors() -> tuple[type[Exception], ...]:
    """`client_errors`, and ValueError, which the client raises when the server says no."""
    return (ValueError, *client_errors())


def client_settings(settings: TrackerSettings, mode: Mode) -> wandb.Settings:
    """The client's own settings for a run."""
    import wandb

    require_harmless_folder(settings)
    client = wandb.Settings(
        mode="online" if mode == "online" else "offline",
        silent=True,  # its lines would break our progress bar; they go to the run's debug log
        init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
        save_code=settings.save_code and not code_is_private(os.environ),
        disable_git=True,  # it would log a remote with its user; `wandb_run` sets what is harmless
        **experimental_settings(system_metrics=settings.system_metrics),
    )
    # Set only if known: a value set here beats the client's own settings file.
    if settings.base_url is not None:
        client.base_url = settings.base_url
    # Set always: the client reads the environment once in a process and keeps it.
    client.root_dir = str((settings.folder or Path.cwd()).absolute())
    return client


def log_in(settings: TrackerSettings, timeout: int) -> tuple[wandb.Api | None, str | None]:
    """Find credentials and ask the server whose they are. Never prompts.

    Args:
        settings: which server.
        timeout: seconds that the server has for an answer.

    Returns:
        The server's API; or None and the reason in a few words.
    """
    import wandb

    wandb.setup(client_settings(settings, "online"))
    try:
        # It reads the environment, netrc and the client's settings, and nothing else.
        if not wandb.login(prompt=False, verify=False):
            return None, "no login was found (wandb login, or WANDB_API_KEY)"
    except wandb.errors.AuthenticationError as error:
        return None, f"the login is unusable ({one_line(error)})"

    base_url = wandb.setup().settings.base_url
    began = time.monotonic()
    try:
        return wandb.Api(overrides={"base_url": base_url}, timeout=timeout), None
    except client_errors() as error:
        # The client retries, and then calls a server "busy" that is closed, silent or failing.
        if time.monotonic() - began > timeout - 0.5:
            return None, f"{base_url} gave no usable answer in {timeout} s"
        return None, one_line(error)


def open_api(*, timeout: int = LOGIN_SECONDS) -> wandb.Api:
    """The API of the server that the environment or the user's own settings name.

    Args:
        timeout: seconds that the server has for each answer.

    Raises:
        TrackingError: W&B is switched off or not installed, there is no login, or no server
            answers in time.
    """
    settings = TrackerSettings.resolve()
    if settings.sources["mode"] == "WANDB_DISABLED":
        raise TrackingError("WANDB_DISABLED is set, so W&B is not asked; unset it")
    require_client()
    api, reason = log_in(settings, timeout)
    if api is None:
        kill_service()  # the client's exit hook might wait for it
        raise TrackingError(f"W&B cannot be reached: {reason}")
    return api
