"""The other backend: W&B's server chooses the values, and `wandb agent` starts the trials here.

Each trial is `asr sweep trial FOLDER --key=value …`, as the agent calls it by default. It is noted
beside those of the local backend, so that status, report and confirmation are the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_yaml_text
from asr_gate.rounds.sweep.file import Parameter
from asr_gate.rounds.sweep.sweep import Sweep
from asr_gate.tracking import TrackerSettings
from asr_gate.tracking.sweeps import create_sweep


def create(sweep: Sweep, settings: TrackerSettings) -> str:
    """Create the sweep on the server, after the gate has let its data pass.

    Args:
        sweep: not begun yet, or begun with the same file.
        settings: of the tracker; the file's own project and entity come first.

    Returns:
        `ENTITY/PROJECT/ID`, for `wandb agent`.

    Raises:
        UserError: as `Sweep.admit`.
        TrackingError: as `create_sweep`.
    """
    import yaml

    sweep.admit()
    content = yaml.safe_load(read_yaml_text(sweep.loaded.path))
    content["command"] = ["asr", "sweep", "trial", str(sweep.folder), "${args}"]
    content.setdefault("name", sweep.name)
    update = {key: value for key in ("project", "entity") if (value := content.get(key))}
    return create_sweep(content, settings.model_copy(update=update))


def run_trial(sweep: Sweep, arguments: Sequence[str]) -> None:
    """Train one trial with the values that the agent gives.

    Args:
        sweep: that the trial belongs to.
        arguments: `--key=value` or `key=value` for each parameter.

    Raises:
        UserError: a value is missing, or is none of those that the file allows; or as `Sweep.run`.
    """
    given = {}
    for one in arguments:
        key, equals, text = one.removeprefix("--").partition("=")
        parameter = sweep.file.parameters.get(key)
        if not equals or parameter is None:
            there = ", ".join(sweep.file.parameters)
            raise UserError(f"{one}: not a value of the sweep; its keys are {there}")
        given[key] = _value(one, parameter, text)
    missing = sweep.file.parameters.keys() - given.keys()
    if missing:
        raise UserError(f"{', '.join(sorted(missing))}: the agent gave no value")
    sweep.run_given(given)


def _value(argument: str, one: Parameter, text: str) -> Any:
    """A value as the file has it; the agent writes it as Python does."""
    try:
        if one.kind == "int_uniform":
            return int(text)
        if one.kind in ("uniform", "log_uniform_values"):
            return float(text)
    except ValueError as error:
        raise UserError(f"{argument}: not a number") from error
    allowed = [one.value] if one.values is None else one.values
    for value in allowed:
        if text in (str(value), json.dumps(value)):
            return value
    raise UserError(f"{argument}: not one of {', '.join(map(str, allowed))}")
