from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tracking import TrackerSettings, TrackingError


@pytest.mark.parametrize(
    ("field", "variable", "from_environment", "explicit"),
    [
        ("project", "WANDB_PROJECT", "env-project", "mine"),
        ("entity", "WANDB_ENTITY", "env-team", "mine"),
        ("run_name", "WANDB_RUN_NAME", "env-run", "mine"),
        ("run_name", "WANDB_NAME", "env-run", "mine"),
        ("group", "WANDB_RUN_GROUP", "env-group", "mine"),
        ("job_type", "WANDB_JOB_TYPE", "env-job", "mine"),
        ("notes", "WANDB_NOTES", "env-notes", "mine"),
        ("mode", "WANDB_MODE", "offline", "online"),
        ("base_url", "WANDB_BASE_URL", "http://env.example", "http://mine.example:8080"),
    ],
)
def test_explicit_beats_environment_beats_default(
    field: str, variable: str, from_environment: str, explicit: str
) -> None:
    defaults = TrackerSettings()
    environment = {variable: from_environment}

    def resolved(env: dict[str, str], **given: Any) -> object:
        return getattr(TrackerSettings.resolve(defaults, environment=env, **given), field)

    assert resolved({}) == getattr(defaults, field)
    assert resolved(environment) == from_environment
    assert resolved(environment, **{field: explicit}) == explicit
    assert resolved({variable: " "}) == getattr(defaults, field)


def test_environment_beats_the_defaults_that_a_command_gives() -> None:
    defaults = TrackerSettings(run_name="phase0-audit", job_type="data_quality")
    plain = TrackerSettings.resolve(defaults, environment={})
    renamed = TrackerSettings.resolve(defaults, environment={"WANDB_RUN_NAME": "friday"})
    assert (plain.run_name, plain.job_type) == ("phase0-audit", "data_quality")
    assert (renamed.run_name, renamed.job_type) == ("friday", "data_quality")


@pytest.mark.parametrize(
    ("environment", "explicit", "enabled"),
    [
        ({}, None, False),
        ({"WANDB_PHASE0_LOGGING": "true"}, None, True),
        ({"WANDB_PHASE0_LOGGING": "true"}, False, False),
        ({"WANDB_PHASE0_LOGGING": "0"}, True, True),
        ({"WANDB_PHASE0_LOGGING": ""}, None, False),
    ],
)
def test_enabled(environment: dict[str, str], explicit: bool | None, enabled: bool) -> None:
    assert TrackerSettings.resolve(environment=environment, enabled=explicit).enabled is enabled


@pytest.mark.parametrize(
    ("environment", "explicit", "mode"),
    [
        ({}, None, "online"),
        ({"WANDB_MODE": "dryrun"}, None, "offline"),
        ({"WANDB_MODE": "run"}, None, "online"),
        ({"WANDB_MODE": "disabled"}, None, "disabled"),
        ({"WANDB_MODE": "disabled"}, "offline", "offline"),
        ({"WANDB_DISABLED": "true"}, "online", "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, None, "disabled"),
        ({"WANDB_DISABLED": "false"}, None, "online"),
    ],
)
def test_mode(environment: dict[str, str], explicit: str | None, mode: str) -> None:
    assert TrackerSettings.resolve(environment=environment, mode=explicit).mode == mode


def test_tags_and_folder() -> None:
    environment = {"WANDB_TAGS": "a, b,,", "WANDB_DIR": "runs"}
    settings = TrackerSettings.resolve(environment=environment)
    assert settings.tags == ("a", "b")
    assert settings.folder == Path("runs")
    assert TrackerSettings.resolve(environment=environment, tags=["c"]).tags == ("c",)
    assert settings.as_config()["folder"] == "runs"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"WANDB_MODE": "foo"}, "WANDB_MODE=foo"),
        ({"WANDB_DISABLED": "perhaps"}, "WANDB_DISABLED=perhaps"),
        ({"WANDB_PHASE0_LOGGING": "perhaps"}, "WANDB_PHASE0_LOGGING=perhaps"),
        ({"WANDB_PROJECT": "a/b"}, "'a/b'"),
        ({"WANDB_PROJECT": "p" * 129}, "129 characters"),
        ({"WANDB_ENTITY": "a b?"}, "'?'"),
        ({"WANDB_TAGS": "t" * 65}, "65 characters"),
        ({"WANDB_BASE_URL": "localhost:8080"}, "localhost:8080"),
        ({"WANDB_BASE_URL": "http://host:port"}, "http://host:port"),
        ({"WANDB_BASE_URL": "http://me:secret@host"}, "WANDB_API_KEY"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(environment: dict[str, str], named: str) -> None:
    with pytest.raises(TrackingError) as caught:
        TrackerSettings.resolve(environment=environment)
    message = str(caught.value)
    assert named in message
    assert "\n" not in message
    assert "me:secret" not in message
    assert caught.value.exit_code == 2


def test_a_bad_variable_is_named_even_where_it_is_overridden() -> None:
    # The client reads it too, and fails on it with many lines.
    with pytest.raises(TrackingError, match="WANDB_MODE=foo"):
        TrackerSettings.resolve(environment={"WANDB_MODE": "foo"}, mode="offline")
    with pytest.raises(TrackingError, match="mode=foo"):
        TrackerSettings.resolve(environment={}, mode="foo")
