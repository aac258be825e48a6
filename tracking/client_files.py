"""What the user's own W&B files say: `wandb login`, and `wandb offline` or `wandb disabled`.

The client is not imported: whether it is wanted is asked before every training.
"""

from __future__ import annotations

import configparser
import netrc
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular

CLOUD = "https://api.wandb.ai"

_LESS = {"disabled": 2, "offline": 1, "dryrun": 1}
"""Modes that switch something off; the larger number leaves less."""


def folder_files(folder: Path) -> tuple[Path, Path]:
    """The client's settings files in the folder of runs; the client reads one of them."""
    return folder / "wandb" / "settings", folder / ".wandb" / "settings"


def read_settings(path: Path) -> dict[str, str]:
    """Keys and values of a settings file of the client, of all its sections; empty: no such file.

    Raises:
        OSError, ValueError, configparser.Error: it cannot be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_regular(path, SETTINGS_LIMIT).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    sections = [parser.defaults(), *(parser[name] for name in parser.sections())]
    return {key: value for section in sections for key, value in section.items()}


def switched_off(env: Mapping[str, str], folders: Iterable[Path]) -> tuple[str, str] | None:
    """The mode that `wandb offline` or `wandb disabled` left, and the file that says so.

    A folder may come from anybody, so its file can only take away: `mode = online` there says
    nothing, and of several files the strictest counts. One that cannot be read says nothing either.

    Args:
        env: names the user's own settings (`WANDB_CONFIG_DIR`, `HOME`).
        folders: whose `wandb/settings` counts, too.
    """
    found: tuple[str, str] | None = None
    for path in [*_own_settings(env), *(one for folder in folders for one in folder_files(folder))]:
        values = _readable(path)
        mode = values.get("mode", "").strip().lower()
        if values.get("disabled", "").strip().lower() in ("true", "1"):
            mode = "disabled"
        if _LESS.get(mode, 0) > (_LESS[found[0]] if found else 0):
            found = ("disabled" if mode == "disabled" else "offline", _shown(path, env))
    return found


def login(env: Mapping[str, str], base_url: str | None) -> str | None:
    """Where the client would find a login for a server; None: nowhere. No secret is returned.

    Args:
        env: of the user.
        base_url: the server; None: that of the user's own settings, else W&B's cloud.
    """
    for variable in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if env.get(variable, "").strip():
            return variable
    for path in _own_settings(env):
        own = _readable(path)
        base_url = base_url or own.get("base_url")
        if own.get("api_key"):
            return _shown(path, env)
    host = urlsplit(base_url or CLOUD).netloc
    for path in _netrc_files(env):
        try:
            found = netrc.netrc(str(path)).authenticators(host)
        except (OSError, ValueError, netrc.NetrcParseError):
            continue
        if found and found[2]:
            return _shown(path, env)
    return None


def _own_settings(env: Mapping[str, str]) -> list[Path]:
    """The user's own settings file, where the client keeps it."""
    if folder := env.get("WANDB_CONFIG_DIR"):
        return [Path(folder).expanduser() / "settings"]
    return [Path(env["HOME"], ".config", "wandb", "settings")] if env.get("HOME") else []


def _netrc_files(env: Mapping[str, str]) -> list[Path]:
    if own := env.get("NETRC"):
        return [Path(own).expanduser()]
    # The client takes the first one that is there.
    return [Path(env["HOME"], name) for name in (".netrc", "_netrc")] if env.get("HOME") else []


def _readable(path: Path) -> dict[str, str]:
    try:
        return read_settings(path)
    except (OSError, ValueError, configparser.Error):
        return {}


def _shown(path: Path, env: Mapping[str, str]) -> str:
    """A path as a line shows it: from the current folder, or from the home folder."""
    for base, lead in ((str(Path.cwd()), ""), (env.get("HOME", ""), "~/")):
        if base and path.is_relative_to(base):
            return lead + str(path.relative_to(base))
    return str(path)
