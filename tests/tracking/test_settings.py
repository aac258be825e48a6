"""Settings: where each value comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import TrackerSettings, TrackingError
from asr_gate.tracking.settings import Alerts, Watch


def resolve(environment: dict[str, str] | None = None, **given: Any) -> TrackerSettings:
    return TrackerSettings.resolve(environment=environment or {}, **given)


def one_line(error: pytest.ExceptionInfo[TrackingError]) -> str:
    """The message of an error: one line, and exit code 2."""
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("field", "variable", "text", "value", "explicit"),
    [
        ("project", "WANDB_PROJECT", "env", "env", "mine"),
        ("entity", "WANDB_ENTITY", "env", "env", None),
        ("run_name", "WANDB_RUN_NAME", "env", "env", "7"),
        ("run_name", "WANDB_NAME", "env", "env", "mine"),
        ("group", "WANDB_RUN_GROUP", "env", "env", "mine"),
        ("job_type", "WANDB_JOB_TYPE", "env", "env", "mine"),
        ("notes", "WANDB_NOTES", "env", "env", "mine"),
        ("mode", "WANDB_MODE", "offline", "offline", "online"),
        ("mode", "WANDB_MODE", "dryrun", "offline", "disabled"),
        ("mode", "WANDB_MODE", "run", "online", "offline"),
        ("base_url", "WANDB_BASE_URL", "http://env.example", "http://env.example", "http://m:80"),
        ("tags", "WANDB_TAGS", "a, b,,", ("a", "b"), ("c",)),
        ("folder", "WANDB_DIR", "runs", Path("runs"), Path("mine")),
        ("log_interval", "WANDB_LOG_INTERVAL", " 7 ", 7, 3),
        ("silent", "WANDB_SILENT", "1", True, False),
    ],
)
def test_explicit_beats_environment_beats_default(
    field: str, variable: str, text: str, value: object, explicit: object
) -> None:
    environment, default = {variable: text}, getattr(TrackerSettings(), field)
    assert getattr(resolve(environment), field) == value
    assert getattr(resolve(environment, **{field: explicit}), field) == explicit
    assert resolve(environment).sources[field] == variable
    assert resolve(environment, **{field: explicit}).sources[field] == "command line"
    assert getattr(resolve({variable: ""}), field) == default
    assert getattr(resolve(), field) == default


@pytest.mark.parametrize(
    ("environment", "given", "mode"),
    [
        ({"WANDB_DISABLED": "true"}, {"mode": "online"}, "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, {}, "disabled"),
        ({"WANDB_DISABLED": "false"}, {}, "online"),
        ({"WANDB_MODE": "disabled"}, {"mode": "offline"}, "offline"),
    ],
)
def test_disabled_beats_everything(
    environment: dict[str, str], given: dict[str, str], mode: str
) -> None:
    assert resolve(environment, **given).mode == mode


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"WANDB_MODE": "foo"}, "WANDB_MODE=foo"),
        ({"WANDB_DISABLED": "perhaps"}, "WANDB_DISABLED=perhaps"),
        ({"WANDB_DISABLE_GIT": "perhaps"}, "WANDB_DISABLE_GIT=perhaps"),
        ({"WANDB_PROJECT": "a/b"}, "'a/b'"),
        ({"WANDB_PROJECT": "p" * 129}, "129"),
        ({"WANDB_ENTITY": "a b?"}, "'?'"),
        ({"WANDB_TAGS": "t" * 65}, "65"),
        ({"WANDB_BASE_URL": "localhost:8080"}, "localhost:8080"),
        ({"WANDB_BASE_URL": "http://host:port"}, "http://host:port"),
        ({"WANDB_BASE_URL": "http://me:secret@host"}, "WANDB_API_KEY"),
        *(
            ({"WANDB_LOG_INTERVAL": n}, "WANDB_LOG_INTERVAL")
            for n in ("0", "-5", "2.5", "many", "9" * 5000)
        ),
    ],
)
def test_a_bad_variable_is_named_even_if_it_is_overridden(
    environment: dict[str, str], named: str
) -> None:
    overridden = {"mode": "offline", "project": "mine", "log_interval": 3}
    for given in ({}, overridden):
        with pytest.raises(TrackingError) as caught:
            resolve(environment, **given)
        assert named in one_line(caught)
        assert "me:secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mode": "foo"}, "foo"),
        ({"project": " "}, "project"),
        ({"tags": 5}, "wandb.tags"),
        ({"tags": [[]]}, "wandb.tags.0"),
        ({"watch": {"every": 0}}, "wandb.watch.every"),
        ({"watch": {"gradient": True}}, "wandb.watch.gradient"),
        ({"alerts": {"loss_spike": 1}}, "wandb.alerts.loss_spike"),
        ({"alerts": {"best_wer": float("nan")}}, "wandb.alerts.best_wer"),
        ({"alerts": 3}, "wandb.alerts"),
        ({"keep": 0}, "wandb.keep"),
        ({"log_model": "all"}, "wandb.log_model"),
        ({"colour": "red"}, "wandb.colour"),
    ],
)
def test_a_bad_value_is_named_by_its_key(given: dict[str, Any], named: str) -> None:
    with pytest.raises(TrackingError) as caught:
        resolve(**given)
    assert named in one_line(caught)


ENVIRONMENT = {"WANDB_PROJECT": "env", "WANDB_ENTITY": "team", "WANDB_TAGS": "x,y"}


def test_each_value_has_its_source() -> None:
    recipe = TrackerSettings(project="mine", tags=("a",), keep=5, watch=Watch(gradients=True))
    settings = TrackerSettings.resolve(
        recipe,
        origin="recipe",
        fixed={"tags"},
        environment=ENVIRONMENT | {"WANDB_MODE": "offline", "WANDB_DISABLED": "1"},
        run_name="first",
    )
    # What the command line set in a recipe beats the environment.
    assert (settings.project, settings.tags, settings.entity) == ("env", ("a",), "team")
    assert settings.sources.keys() == TrackerSettings.model_fields.keys()
    found = {name: source for name, source in settings.sources.items() if source != "default"}
    assert found == {
        "project": "WANDB_PROJECT",
        "entity": "WANDB_ENTITY",
        "tags": "command line",
        "keep": "recipe",
        "watch": "recipe",
        "run_name": "command line",
        "mode": "WANDB_DISABLED",
    }
    assert set(TrackerSettings().sources.values()) == {"default"}
    assert settings.as_config()["watch"] == Watch(gradients=True).model_dump()


BLOCK = """
project: speech
tags: [a, " b", ""]
watch: {gradients: true, every: 10}
alerts: {loss_spike: null, best_wer: 0.01}
"""


@pytest.mark.parametrize("nested", [True, False])
def test_settings_from_yaml(nested: bool, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    indented = "".join(f"  {line}\n" for line in BLOCK.strip().splitlines())
    path.write_text(f"seed: 7\nwandb:\n{indented}" if nested else BLOCK)
    settings = TrackerSettings.from_yaml(path)
    assert (settings.project, settings.tags) == ("speech", ("a", "b"))
    assert settings.watch == Watch(gradients=True, every=10)
    assert settings.alerts == Alerts(loss_spike=None, best_wer=0.01)
    assert TrackerSettings.resolve(settings, environment={}).watch == settings.watch


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"wandb: {colour: red}", "wandb.colour"),
        (b"wandb: {watch: {every: often}}", "wandb.watch.every"),
        (b"seed: 7", "wandb.seed"),
        (b"wandb: 5", "`wandb`"),
        (b"- a", "`wandb`"),
        (b"", "`wandb`"),
        (b"wandb: {a", "settings"),
        (b"wandb: {notes: 2026-13-01}", "settings"),
        (b"wandb: {notes: \xff\xfe}", "settings"),
        (b"wandb: !!python/object/apply:os.getcwd []", "settings"),
        (b"[" * 1000, "settings"),
        (None, "No such file"),
    ],
)
def test_a_file_without_settings(content: bytes | None, named: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrackingError) as caught:
        TrackerSettings.from_yaml(path)
    message = one_line(caught)
    assert message.startswith(f"{path}: ")
    assert named in message
