"""The settings of a tracked run, and where each value comes from."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from asr_gate.corpus.strict import read_yaml_text
from asr_gate.tracking import client_files
from asr_gate.tracking.environment import Mode, disabled, from_environment, mode_named
from asr_gate.tracking.errors import TrackingError

DEFAULT_PROJECT = "qwen3-asr-hebrew"

_NAME_LIMIT = 128
_TAG_LIMIT = 64

NO_LOGIN = "no login"
NO_CLIENT = "wandb is not installed"

T = TypeVar("T")


class _Section(BaseModel):
    # A run may be called 7, and YAML takes that for a number.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )


class Watch(_Section):
    """Histograms of a model's gradients and parameters."""

    gradients: bool = False
    parameters: bool = False
    every: int = Field(default=1000, ge=1)
    """Backward passes between two histograms."""


class Alerts(_Section):
    """Messages that W&B sends to a person at once, by mail or Slack as the account says."""

    loss_spike: float | None = Field(default=3.0, gt=1)
    """Alert if a loss is more than this many times the median of the last losses; None: never."""
    nan: bool = True
    """Alert if a training stops because a loss or gradient is not finite, or the loss leaps."""
    stop: bool = True
    """Alert if an audit decides STOP."""
    complete: bool = True
    """Alert when a training has finished."""
    best_wer: float | None = Field(default=0.0, ge=0)
    """Alert if the WER beats the best so far by more than this (0.01: one point); None: never."""


class TrackerSettings(_Section):
    """The block `wandb` of a recipe: the run's name, where it goes, and what it keeps.

    Credentials are not in it. The client finds them itself (environment, netrc, its own settings
    file), so they cannot end up in a run's config.
    """

    enabled: bool | None = None
    """Whether there is a W&B run; None: a training has one if something says that W&B is wanted,
    and nothing else has one. TensorBoard's files do not depend on it."""
    project: str = DEFAULT_PROJECT
    """W&B project, at most 128 characters, none of `/ \\ # ? % :`."""
    entity: str | None = None
    """W&B user or team; None: the account's default."""
    run_name: str | None = None
    """Display name of the run; None: the command's own."""
    group: str | None = None
    """Runs of one experiment share a group."""
    job_type: str | None = None
    """Kind of run, such as `data_quality`; None: the command's own."""
    tags: tuple[str, ...] = ()
    """Labels, each of 1 to 64 characters."""
    notes: str | None = None
    """Free text kept with the run."""
    mode: Mode = "online"
    """`online` falls back to `offline` if there is no login or no server."""
    resume: Literal["never", "allow", "must"] = "allow"
    """Whether a training that is resumed also resumes its W&B run. `never`: it gets a new run;
    `allow`: if the server has the run; `must`: else it is an error."""
    log_interval: int = Field(default=50, ge=1)
    """Steps between two entries of the training's metrics."""
    detailed_interval: int = Field(default=250, ge=1)
    """Steps between two entries of `system/*`."""
    watch: Watch = Field(default_factory=Watch)
    log_predictions: bool = True
    """Log a table of sample predictions with each evaluation."""
    num_predictions: int = Field(default=20, ge=1)
    """Rows of that table."""
    log_audio: bool = False
    """Put the audio of its rows into that table, at most 30 s of each."""
    log_model: Literal["none", "final", "best", "checkpoints"] = "none"
    """Which models become artifacts. `best`: each best one and the final one."""
    keep: int = Field(default=3, ge=1)
    """How many versions of a run's model stay online, besides `best` and `final`."""
    registry: str | None = None
    """Collection that `asr model promote` links the model to, such as
    `wandb-registry-model/hebrew-asr`."""
    save_code: bool = False
    """Keep the main script and the uncommitted changes of the repository with the run."""
    system_metrics: bool = True
    """Let the client also sample processor, memory and GPU itself."""
    alerts: Alerts = Field(default_factory=Alerts)
    folder: Path | None = None
    """Run folders go to `<folder>/wandb`; None: the current folder."""
    base_url: str | None = None
    """Address of a self-hosted server; None: the user's own W&B settings, else W&B's cloud. The
    login is sent there, so it comes from the environment or the command line alone."""
    silent: bool = False
    """Print no line that says whether W&B is on and where the run is. Warnings are always
    printed."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("project", "entity")
    @classmethod
    def _named(cls, value: str | None, info: Any) -> str | None:
        if value is not None:
            _check_name(info.field_name, value)
        return value

    @field_validator("tags", mode="before")
    @classmethod
    def _listed(cls, tags: object) -> object:
        """Take `a, b` as well as `[a, b]`; blank tags are left out."""
        parts = tags.split(",") if isinstance(tags, str) else tags
        if not isinstance(parts, (list, tuple)):
            return parts
        stripped = (part.strip() if isinstance(part, str) else part for part in parts)
        return [part for part in stripped if part != ""]

    @field_validator("tags")
    @classmethod
    def _short(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            if not 1 <= len(tag) <= _TAG_LIMIT:
                raise TrackingError(f"W&B tag {tag!r} has {len(tag)} characters; give 1 to 64")
        return tags

    @field_validator("mode", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        return mode_named("W&B mode", value) if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            _check_url(value)
        return value

    @property
    def sources(self) -> dict[str, str]:
        """Where `resolve` found each value: the command line, a variable, a recipe, the default."""
        return {name: self._sources.get(name, "default") for name in type(self).model_fields}

    @property
    def on(self) -> bool:
        """Whether a W&B run is wanted, online or offline."""
        return bool(self.enabled) and self.mode != "disabled"

    @property
    def state(self) -> tuple[str, str]:
        """`on`, `on, offline` or `off`, and what decided it, in a few words."""
        offline = ", offline" if self.mode == "offline" else ""
        word = f"on{offline}" if self.on else "off"
        source = self.sources["mode"]
        if source != "default" and (self.mode == "disabled" or (offline and self.on)):
            by = {
                "WANDB_DISABLED": "WANDB_DISABLED is set",
                "WANDB_MODE": f"WANDB_MODE={self.mode}",
                "command line": f"mode={self.mode}",
            }
            return word, by.get(source, f"mode={self.mode} in {source or 'the recipe'}")
        by = {
            "command line": "as asked",
            "default": "not asked for",
            NO_LOGIN: f"{NO_LOGIN}; --wandb switches it on",
        }
        source = self.sources["enabled"]
        return word, by.get(source, source or "the recipe")

    def said(self) -> str:
        """The line that says whether W&B is on, and why."""
        return "W&B: {} ({})".format(*self.state)

    @classmethod
    def resolve(
        cls,
        defaults: TrackerSettings | None = None,
        *,
        origin: str = "default",
        fixed: Collection[str] = (),
        environment: Mapping[str, str] | None = None,
        asr_toml: Mapping[str, Any] | None = None,
        command: Literal["audit", "train"] | None = None,
        **given: Any,
    ) -> Self:
        """Settings by precedence: command line, environment, `asr.toml`, recipe, default.

        `WANDB_DISABLED` beats all of them: then W&B starts no process and makes no file or socket.
        `wandb offline` and `wandb disabled` beat `asr.toml` and recipes, which may be anybody's.
        Where none of them says `enabled`, a training is logged if something else says that W&B is
        wanted: a name of the run or a mode on the command line or in the environment, or a login.

        Args:
            defaults: a recipe's block, or the command's own defaults.
            origin: the name of that source.
            fixed: names in `defaults` that the command line set (`wandb.project=…`); the
                environment does not replace them.
            environment: variables; None: those of this process.
            asr_toml: what the project says in its `asr.toml`.
            command: what is logged: `WANDB_PHASE0_LOGGING` is for audits alone, and only a training
                is logged without being asked.
            given: values from the command line by name; None is a value, too.

        Raises:
            TrackingError: a bad value. One in the environment counts even if it is overridden,
                since the client reads the environment, too.
        """
        base = defaults if defaults is not None else cls()
        # A recipe may come from anybody: the key goes to that host, the data to that account.
        for name in ("base_url", "entity"):
            if getattr(base, name) is not None and name not in fixed:
                raise TrackingError(
                    f"wandb.{name}: cannot be set by a {origin or 'recipe'}; set "
                    f"WANDB_{name.upper()}, or give wandb.{name}=… on the command line"
                )
        env = os.environ if environment is None else environment
        found = {name: (value, "command line") for name, value in given.items()}
        # Validate every variable, also one that is overridden.
        for name, (value, variable) in from_environment(env, command).items():
            if name not in found and name not in fixed:
                found[name] = (value, variable)
            else:
                _build(cls, {name: value})
        for name, value in (asr_toml or {}).items():
            if name not in found and name not in fixed:
                found[name] = (value, "asr.toml")
        if disabled(env):
            found["mode"] = ("disabled", "WANDB_DISABLED")
        # Not validated again: it is valid, and a copy keeps the sections as they are.
        plain = {name: getattr(base, name) for name in cls.model_fields}
        settings = _build(cls, plain | {name: value for name, (value, _) in found.items()})
        for name in base.model_fields_set:
            settings._sources[name] = "command line" if name in fixed else origin
        settings._sources |= {name: source for name, (_, source) in found.items()}
        settings = settings._with_less_mode(env)
        return settings._decided(env) if command == "train" else settings

    def _with_less_mode(self, env: Mapping[str, str]) -> Self:
        """With what `wandb offline` or `wandb disabled` takes away, unless a mode was given."""
        if self.sources["mode"] in ("command line", "WANDB_MODE", "WANDB_DISABLED"):
            return self
        off = client_files.switched_off(env, {Path.cwd(), self.folder or Path.cwd()})
        if off is None or self.mode in ("disabled", off[0]):
            return self
        return self._changed("mode", *off)

    def _decided(self, env: Mapping[str, str]) -> Self:
        """With `enabled` as something else says it for a training, if nobody said it."""
        if self.enabled is not None:
            return self
        signals = [name for name in ("mode", "project", "run_name") if name in self._sources]
        asked = [
            source
            for source in map(self._sources.get, signals)
            if source is not None and (source == "command line" or source.startswith("WANDB_"))
        ]
        wanted = asked[0] if asked else client_files.login(env, self.base_url)
        if wanted is None or self.mode == "disabled":
            return self._changed("enabled", False, NO_LOGIN)
        if importlib.util.find_spec("wandb") is None:
            return self._changed("enabled", False, NO_CLIENT)
        return self._changed("enabled", True, wanted if asked else f"login: {wanted}")

    def _changed(self, name: str, value: object, source: str) -> Self:
        changed = self.model_copy(update={name: value})
        changed._sources = {**self._sources, name: source}
        return changed

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Settings from the block `wandb` of a YAML file, or from a file that is such a block.

        Raises:
            TrackingError: no such file, not YAML, an unknown key or a value that is not valid.
        """
        import yaml

        try:
            content = yaml.safe_load(read_yaml_text(Path(path)))
        # ValueError: bytes that are no text, and such dates as 2026-13-01.
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise TrackingError(f"{path}: no settings can be read from it ({reason})") from error
        if isinstance(content, dict):
            content = content.get("wandb", content)
        if not isinstance(content, dict):
            raise TrackingError(f"{path}: holds no block `wandb` of keys and values")
        return _build(cls, content, f"{path}: ")

    def as_config(self) -> dict[str, object]:
        """The settings as plain values, to show them or to keep them in a config."""
        return self.model_dump(mode="json")


def _build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    try:
        return cls(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"]))
        said = f"{fault['msg']}, not {fault['input']!r}"
        if fault["type"] == "extra_forbidden":
            sections: dict[object, type[_Section]] = {"watch": Watch, "alerts": Alerts}
            section = sections.get(fault["loc"][0], TrackerSettings)
            said = f"there is no such setting; there are {', '.join(section.model_fields)}"
        raise TrackingError(f"{where}wandb.{key}: {said}") from error


def _check_name(what: str, value: str) -> None:
    """Refuse what the server would refuse; it would do so only after a long run."""
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
    except ValueError:  # an open bracket, or a port that is not a number
        usable = False
    if not usable:
        raise TrackingError(
            f"the W&B address {value!r} is not an http(s) URL; fix WANDB_BASE_URL (https://HOST)"
        )
    if parts.username or parts.password:
        # It would be printed and stored in the run's files.
        raise TrackingError("the W&B address holds a login; put the key in WANDB_API_KEY instead")
