"""What a tracked run is: typed settings, and where their values come from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from tracking.errors import TrackingError

Mode = Literal["online", "offline", "disabled"]

DEFAULT_PROJECT = "qwen3-asr-hebrew"

# The client's own names for two of the modes.
_MODE_SYNONYMS = {"run": "online", "dryrun": "offline"}
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})
_NAME_LIMIT = 128
_TAG_LIMIT = 64

T = TypeVar("T")


@dataclass(frozen=True)
class TrackerSettings:
    """What a run is called, where it goes, and whether there is one at all.

    Credentials are no part of it: the client finds them itself (environment, netrc, its own
    settings file), so that they can't end up in a run's config.
    """

    enabled: bool = False
    """Whether there is a W&B run at all. Without one, a tracker does nothing."""
    project: str = DEFAULT_PROJECT
    """W&B project, at most 128 characters, none of `/ \\ # ? % :`."""
    entity: str | None = None
    """W&B user or team; None: the account's default."""
    run_name: str | None = None
    """Display name of the run; None: W&B invents one."""
    group: str | None = None
    """Runs of one experiment share a group."""
    job_type: str | None = None
    """Kind of run, such as `data_quality` or `train`."""
    tags: tuple[str, ...] = ()
    """Labels, each of 1 to 64 characters."""
    notes: str | None = None
    """Free text kept with the run."""
    mode: Mode = "online"
    """`online` falls back to `offline` where there is no login or no server."""
    folder: Path | None = None
    """Run folders go to `<folder>/wandb`; None: the current folder."""
    base_url: str | None = None
    """Address of a self-hosted server; None: what the client is configured for."""
    silent: bool = False
    """Leave out the line that says where an offline run lies. Warnings are printed all the same."""
    off_because: str | None = None
    """What switched W&B off although it was asked for, for the one line that says so."""

    def __post_init__(self) -> None:
        _check_name("project", self.project)
        if self.entity is not None:
            _check_name("entity", self.entity)
        for tag in self.tags:
            if not 1 <= len(tag) <= _TAG_LIMIT:
                raise TrackingError(f"W&B tag {tag!r} has {len(tag)} characters; give 1 to 64")
        if self.mode not in get_args(Mode):
            raise TrackingError(_bad_mode("W&B mode", self.mode))
        if self.base_url is not None:
            _check_url(self.base_url)

    @classmethod
    def resolve(
        cls,
        defaults: TrackerSettings | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        enabled: bool | None = None,
        project: str | None = None,
        entity: str | None = None,
        run_name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Iterable[str] | None = None,
        notes: str | None = None,
        mode: str | None = None,
        folder: str | Path | None = None,
        base_url: str | None = None,
        silent: bool | None = None,
    ) -> TrackerSettings:
        """Settings by precedence: explicit (not None), then environment, then `defaults`.

        `defaults` is where a recipe or a command puts its own values, such as a run name that
        `WANDB_RUN_NAME` may still replace. `WANDB_DISABLED` beats all of them: who sets it wants
        no process, no file and no socket of W&B's.

        Raises TrackingError on a bad value, also on one in the environment that is overridden:
        the client reads the environment too.
        """
        base = defaults if defaults is not None else cls()
        env = os.environ if environment is None else environment

        # Read all of the environment first, so that a bad value is named whatever overrides it.
        env_enabled = _flag(env, "WANDB_PHASE0_LOGGING")
        env_silent = _flag(env, "WANDB_SILENT")
        env_mode = _mode("WANDB_MODE", env["WANDB_MODE"]) if _text(env, "WANDB_MODE") else None
        env_tags = tuple(env["WANDB_TAGS"].split(",")) if _text(env, "WANDB_TAGS") else None
        env_folder = _text(env, "WANDB_DIR")
        kill_switch = _flag(env, "WANDB_DISABLED")

        chosen_mode = _first(None if mode is None else _mode("W&B mode", mode), env_mode, base.mode)
        off_because = base.off_because
        if kill_switch:
            chosen_mode, off_because = "disabled", "WANDB_DISABLED is set"
        elif chosen_mode == "disabled":
            off_because = "WANDB_MODE=disabled" if mode is None and env_mode else "mode=disabled"
        chosen_folder = _first(folder, env_folder, base.folder)
        chosen_tags = _first(None if tags is None else tuple(tags), env_tags, base.tags)

        return cls(
            enabled=_first(enabled, env_enabled, base.enabled),
            project=_first(project, _text(env, "WANDB_PROJECT"), base.project),
            entity=_first(entity, _text(env, "WANDB_ENTITY"), base.entity),
            # WANDB_NAME is the client's own name for it.
            run_name=_first(
                run_name,
                _text(env, "WANDB_RUN_NAME") or _text(env, "WANDB_NAME"),
                base.run_name,
            ),
            group=_first(group, _text(env, "WANDB_RUN_GROUP"), base.group),
            job_type=_first(job_type, _text(env, "WANDB_JOB_TYPE"), base.job_type),
            tags=tuple(tag.strip() for tag in chosen_tags if tag.strip()),
            notes=_first(notes, _text(env, "WANDB_NOTES"), base.notes),
            mode=chosen_mode,
            folder=None if chosen_folder is None else Path(chosen_folder),
            base_url=_first(base_url, _text(env, "WANDB_BASE_URL"), base.base_url),
            silent=_first(silent, env_silent, base.silent),
            off_because=off_because,
        )

    def as_config(self) -> dict[str, object]:
        """The settings as plain values, for showing them or keeping them in a config."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(v) if isinstance(v, Path) else v for name, v in plain.items()}


def _first(explicit: T | None, environment: T | None, default: T) -> T:
    """The first of three that is there."""
    if explicit is not None:
        return explicit
    return environment if environment is not None else default


def _text(env: Mapping[str, str], name: str) -> str | None:
    """A variable's text; None where it is unset or blank, as shells make no difference."""
    return env.get(name, "").strip() or None


def _flag(env: Mapping[str, str], name: str) -> bool | None:
    """A variable's truth; None where it is unset."""
    value = env.get(name)
    if value is None:
        return None
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise TrackingError(f"{name}={value} is neither true nor false; set it to true or false")


def _mode(source: str, value: str) -> Mode:
    """A mode by the client's names for it."""
    word = value.strip().lower()
    word = _MODE_SYNONYMS.get(word, word)
    if word not in get_args(Mode):
        raise TrackingError(_bad_mode(source, value))
    return cast(Mode, word)


def _bad_mode(source: str, value: str) -> str:
    return f"{source}={value} is no mode of W&B; set online, offline or disabled"


def _check_name(what: str, value: str) -> None:
    """Refuse what the server would refuse, before a long run rather than after it."""
    if not value.strip():
        raise TrackingError(f"the W&B {what} is empty; give it a name")
    if len(value) > _NAME_LIMIT:
        raise TrackingError(f"the W&B {what} has {len(value)} characters; at most 128 are allowed")
    if wrong := re.findall(r"[/\\#?%:\x00-\x1f]", value):
        raise TrackingError(
            f"the W&B {what} {value!r} contains {wrong[0]!r}; none of / \\ # ? % : is allowed"
        )


def _check_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket left open, or a port that is no number
        usable = False
    if not usable:
        raise TrackingError(
            f"the W&B address {value!r} is no http(s) URL; mend WANDB_BASE_URL (https://HOST)"
        )
    if parts.username or parts.password:
        # It would be printed, and kept in the run's files.
        raise TrackingError("the W&B address holds a login; put the key in WANDB_API_KEY instead")
