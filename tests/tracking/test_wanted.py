"""Whether W&B is on, and what decided it: flags, variables, a login, and the client's own files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import Tracker, TrackerSettings, TrackingError
from asr_gate.tracking.client_files import login, switched_off
from tests.tracking.isolation import FAKE_KEY

NOBODY_ASKED = "W&B: off (no login; --wandb switches it on)"
KEY = {"WANDB_API_KEY": FAKE_KEY}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder; the current one is another, empty one."""
    (tmp_path / "home" / ".config" / "wandb").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def training(home: Path, environment: dict[str, str] | None = None, **given: Any) -> str:
    """What a training says."""
    env = {"HOME": str(home), **(environment or {})}
    return TrackerSettings.resolve(environment=env, command="train", **given).said()


@pytest.mark.parametrize(
    ("environment", "given", "said"),
    [
        ({}, {}, NOBODY_ASKED),
        (KEY, {}, "W&B: on (login: WANDB_API_KEY)"),
        ({"WANDB_IDENTITY_TOKEN_FILE": "t"}, {}, "W&B: on (login: WANDB_IDENTITY_TOKEN_FILE)"),
        ({"WANDB_PROJECT": "p"}, {}, "W&B: on (WANDB_PROJECT)"),
        ({"WANDB_RUN_NAME": "n"}, {}, "W&B: on (WANDB_RUN_NAME)"),
        ({"WANDB_NAME": "n"}, {}, "W&B: on (WANDB_NAME)"),
        ({"WANDB_MODE": "online"}, {}, "W&B: on (WANDB_MODE)"),
        ({"WANDB_MODE": "dryrun"}, {}, "W&B: on, offline (WANDB_MODE=offline)"),
        (
            {"WANDB_MODE": "offline", "WANDB_PROJECT": "p"},
            {},
            "W&B: on, offline (WANDB_MODE=offline)",
        ),
        ({}, {"mode": "offline"}, "W&B: on, offline (mode=offline)"),
        ({}, {"run_name": "n"}, "W&B: on (as asked)"),
        ({}, {"enabled": True}, "W&B: on (as asked)"),
        (KEY, {"enabled": False}, "W&B: off (as asked)"),
        ({"WANDB_PROJECT": "p", "WANDB_DISABLED": "yes"}, {}, "W&B: off (WANDB_DISABLED is set)"),
        ({"WANDB_DISABLED": "1"}, {"enabled": True}, "W&B: off (WANDB_DISABLED is set)"),
        ({**KEY, "WANDB_MODE": "disabled"}, {}, "W&B: off (WANDB_MODE=disabled)"),
        # It is for the audit alone.
        ({"WANDB_PHASE0_LOGGING": "true"}, {}, NOBODY_ASKED),
        (
            {"WANDB_PHASE0_LOGGING": "false", "WANDB_API_KEY": FAKE_KEY},
            {},
            "W&B: on (login: WANDB_API_KEY)",
        ),
        # Neither says that anybody wants a run, only what it would be called.
        ({"WANDB_ENTITY": "team", "WANDB_TAGS": "a"}, {}, NOBODY_ASKED),
    ],
)
def test_a_training_is_logged_where_that_is_wanted(
    environment: dict[str, str], given: dict[str, Any], said: str, home: Path
) -> None:
    assert training(home, environment, **given) == said


def test_asr_toml_and_a_recipe_decide_where_they_speak(home: Path) -> None:
    assert training(home, KEY, asr_toml={"enabled": False}) == "W&B: off (asr.toml)"
    assert training(home, {}, asr_toml={"enabled": True}) == "W&B: on (asr.toml)"
    recipe = TrackerSettings(enabled=False)
    env = {"HOME": str(home), **KEY}
    settings = TrackerSettings.resolve(recipe, origin="recipe", environment=env, command="train")
    assert settings.said() == "W&B: off (recipe)"
    # A recipe's mode is no wish of the user's.
    recipe = TrackerSettings(mode="offline")
    settings = TrackerSettings.resolve(recipe, origin="recipe", environment={}, command="train")
    assert settings.on is False


def test_a_login_in_the_user_s_files(home: Path) -> None:
    (home / ".netrc").write_text(f"machine api.wandb.ai login user password {FAKE_KEY}\n")
    assert training(home) == "W&B: on (login: ~/.netrc)"
    assert training(home, {"WANDB_BASE_URL": "https://w.example"}).startswith("W&B: off (no login")
    (home / ".netrc").rename(home / "mine")
    assert training(home, {"NETRC": str(home / "mine")}) == "W&B: on (login: ~/mine)"
    own = home / ".config" / "wandb" / "settings"
    own.write_text("[default]\nbase_url = https://w.example\n")
    netrc = home / "mine"
    env = {"HOME": str(home), "NETRC": str(netrc)}
    assert login(env, None) is None  # the login is for another server
    netrc.write_text(f"machine w.example login user password {FAKE_KEY}\n")
    assert login(env, None) == "~/mine"
    own.write_text(f"[default]\napi_key = {FAKE_KEY}\n")
    assert login(env, None) == "~/.config/wandb/settings"
    for content in (b"\xff\xfe", b"machine", b"machine w.example login x password\n"):
        own.write_text("")
        netrc.write_bytes(content)
        assert login(env, "https://w.example") is None


def test_without_the_client_a_training_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert training(home, KEY) == "W&B: off (wandb is not installed)"
    with pytest.raises(TrackingError, match="pip install"):
        Tracker(TrackerSettings(enabled=True)).check()


@pytest.mark.parametrize(
    ("command", "environment", "given", "on"),
    [
        # Data that is only looked at leaves the machine if somebody says so.
        ("audit", {"WANDB_API_KEY": FAKE_KEY, "WANDB_PROJECT": "p"}, {}, False),
        ("audit", {"WANDB_PHASE0_LOGGING": "true"}, {}, True),
        ("audit", {"WANDB_PHASE0_LOGGING": "true"}, {"enabled": False}, False),
        ("audit", {"WANDB_PHASE0_LOGGING": "true", "WANDB_MODE": "disabled"}, {}, False),
        ("audit", {"WANDB_PHASE0_LOGGING": "false"}, {"enabled": True}, True),
        ("audit", {}, {"asr_toml": {"enabled": True}}, True),
        ("audit", {"WANDB_PHASE0_LOGGING": "false"}, {"asr_toml": {"enabled": True}}, False),
        (None, {"WANDB_PHASE0_LOGGING": "true", "WANDB_API_KEY": FAKE_KEY}, {}, False),
        (None, {}, {"enabled": True}, True),
    ],
)
def test_an_audit_and_an_evaluation_are_logged_where_that_is_asked(
    command: Any, environment: dict[str, str], given: dict[str, Any], on: bool
) -> None:
    settings = TrackerSettings.resolve(environment=environment, command=command, **given)
    assert settings.on is on


# `wandb offline`, `wandb disabled`


def test_the_client_s_own_switches(home: Path) -> None:
    """`wandb disabled` in the folder that the training is started in; `offline` writes the same."""
    command = [str(Path(sys.executable).parent / "wandb"), "disabled"]
    subprocess.run(command, check=True, env={"HOME": str(home), "PATH": ""}, timeout=60)
    assert training(home, KEY) == "W&B: off (mode=disabled in wandb/settings)"
    assert training(home, KEY, enabled=True) == "W&B: off (mode=disabled in wandb/settings)"
    # What is said for this one call counts more.
    assert training(home, {**KEY, "WANDB_MODE": "online"}) == "W&B: on (WANDB_MODE)"
    assert training(home, KEY, mode="online") == "W&B: on (as asked)"
    # A recipe may be anybody's.
    recipe = TrackerSettings(enabled=True, mode="online", folder=home)
    settings = TrackerSettings.resolve(recipe, origin="recipe", environment=KEY)
    assert settings.mode == "disabled"
    Path("wandb/settings").write_text("[default]\nmode = offline\n")
    assert training(home, KEY) == "W&B: on, offline (mode=offline in wandb/settings)"
    assert training(home, KEY, asr_toml={"enabled": True}).startswith("W&B: on, offline")


@pytest.mark.parametrize(
    ("own", "here", "found"),
    [
        ("", "", None),
        ("", "mode = online", None),
        ("", "mode = dryrun", "offline"),
        ("", "disabled = true", "disabled"),
        ("mode = offline", "", "offline"),
        # A folder may come from anybody: it can take away, and give nothing.
        ("mode = disabled", "mode = online", "disabled"),
        ("mode = offline", "mode = disabled", "disabled"),
        ("mode = disabled", "mode = offline", "disabled"),
        ("", "mode = \xff", None),
    ],
)
def test_the_strictest_file_counts(own: str, here: str, found: str | None, home: Path) -> None:
    (home / ".config" / "wandb" / "settings").write_text(f"[default]\n{own}\n")
    for folder in ("wandb", ".wandb"):
        Path(folder).mkdir()
        Path(folder, "settings").write_bytes(f"[default]\n{here}\n".encode("latin-1"))
        off = switched_off({"HOME": str(home)}, [Path.cwd()])
        assert (off and off[0]) == found
        Path(folder, "settings").unlink()


def test_one_line_says_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    said: list[str] = []
    settings = TrackerSettings.resolve(enabled=True)
    with Tracker(settings, say=said.append) as tracker:
        tracker.init()
    assert said == ["W&B: off (WANDB_MODE=disabled)"]
    said.clear()
    with Tracker(say=said.append) as tracker:  # of which nobody asked anything
        tracker.init()
    assert said == []
