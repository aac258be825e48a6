"""What the environment says of W&B: the variables of the client, and those that it ignores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

from asr_gate.tracking.errors import TrackingError

Mode = Literal["online", "offline", "disabled"]

# The client's own names for two of the modes.
_MODE_SYNONYMS = {"run": "online", "dryrun": "offline"}
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})

_TEXTS = {
    "project": ("WANDB_PROJECT",),
    "entity": ("WANDB_ENTITY",),
    # WANDB_NAME is the client's own name for it.
    "run_name": ("WANDB_RUN_NAME", "WANDB_NAME"),
    "group": ("WANDB_RUN_GROUP",),
    "job_type": ("WANDB_JOB_TYPE",),
    "notes": ("WANDB_NOTES",),
    "base_url": ("WANDB_BASE_URL",),
}
"""Settings that are plain texts, and their environment variables; the first one wins."""


def disabled(env: Mapping[str, str]) -> bool:
    """Whether `WANDB_DISABLED` is set, which the client ignores.

    Raises:
        TrackingError: it is neither true nor false.
    """
    return bool(_flag(env, "WANDB_DISABLED"))


def code_is_private(env: Mapping[str, str]) -> bool:
    """Whether `WANDB_DISABLE_CODE` is set; errors as in `disabled`."""
    return bool(_flag(env, "WANDB_DISABLE_CODE"))


def git_is_private(env: Mapping[str, str]) -> bool:
    """Whether `WANDB_DISABLE_GIT` is set; errors as in `disabled`."""
    return bool(_flag(env, "WANDB_DISABLE_GIT"))


def from_environment(env: Mapping[str, str], command: str | None) -> dict[str, tuple[object, str]]:
    """Value and variable by setting, for what the environment sets."""
    found: dict[str, tuple[object, str]] = {}
    for name, variables in _TEXTS.items():
        for variable in reversed(variables):
            if text := _text(env, variable):
                found[name] = (text, variable)
    for name in ("WANDB_DISABLE_CODE", "WANDB_DISABLE_GIT"):
        _flag(env, name)  # read where it counts; a bad value is named before hours of work
    phase0 = _flag(env, "WANDB_PHASE0_LOGGING") if command == "audit" else None
    if phase0 is not None:
        found["enabled"] = (phase0, "WANDB_PHASE0_LOGGING")
    if (silent := _flag(env, "WANDB_SILENT")) is not None:
        found["silent"] = (silent, "WANDB_SILENT")
    if mode := _text(env, "WANDB_MODE"):
        found["mode"] = (mode_named("WANDB_MODE", mode), "WANDB_MODE")
    if tags := _text(env, "WANDB_TAGS"):
        found["tags"] = (tags, "WANDB_TAGS")
    if folder := _text(env, "WANDB_DIR"):
        found["folder"] = (Path(folder), "WANDB_DIR")
    if interval := _text(env, "WANDB_LOG_INTERVAL"):
        if not re.fullmatch(r"0*[1-9][0-9]{0,17}", interval):
            raise TrackingError(
                f"WANDB_LOG_INTERVAL={interval} is not a number of steps; set it to 1 or more"
            )
        found["log_interval"] = (int(interval), "WANDB_LOG_INTERVAL")
    return found


def _text(env: Mapping[str, str], name: str) -> str | None:
    """The text of a variable; None if it is unset or blank."""
    return env.get(name, "").strip() or None


def _flag(env: Mapping[str, str], name: str) -> bool | None:
    """Whether a variable is true; None if it is unset."""
    value = env.get(name)
    if value is None:
        return None
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise TrackingError(f"{name}={value} is neither true nor false; set it to true or false")


def mode_named(source: str, value: str) -> Mode:
    """A mode by one of the client's names for it."""
    word = value.strip().lower()
    word = _MODE_SYNONYMS.get(word, word)
    if word not in get_args(Mode):
        raise TrackingError(
            f"{source}={value} is not a mode of W&B; set online, offline or disabled"
        )
    return cast(Mode, word)
