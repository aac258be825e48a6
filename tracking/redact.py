"""Keep secrets out of what is logged."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

HIDDEN = "[hidden]"

_WORDS = r"api_?key|access_?key|secret|secret_?key|password|passwd|credentials?"
# `pad_token` and `blank_token` of a model are no secrets, so only some tokens count.
_SECRET_KEY = re.compile(
    rf"(^|[_.\-])({_WORDS}|(hf|hub|auth|access|api|bearer|refresh|wandb)_?token)$|^token$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(rf"(^|_)({_WORDS}|token)$", re.IGNORECASE)
_SHORTEST_SECRET = 8


def redact(value: object) -> object:
    """`value` as plain data for a config or metadata, with secrets replaced by `[hidden]`.

    A secret is the text under a key such as `api_key` or `hf_token`, or the value of an environment
    variable with such a name, wherever it stands. Paths become text, enums their value, tuples and
    arrays lists, and anything else its text: once the client holds a value that it cannot write, it
    fails on everything that is logged later.
    """
    return _plain(value, _environment_secrets())


def plain_dict(values: Mapping[str, object]) -> dict[str, Any]:
    """`redact` for a mapping."""
    return cast(dict[str, Any], redact(values))


def one_line(error: BaseException) -> str:
    """The first line of an error, at most 160 characters of it, without secrets."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return _hide(text, _environment_secrets())[:160]


def _environment_secrets() -> list[str]:
    # Short values ("1", "true") are no secrets, and replacing them would garble the rest.
    return [
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    ]


def _plain(value: object, secrets: list[str]) -> object:
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN
            if isinstance(item, str) and item and _SECRET_KEY.search(str(key))
            else _plain(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, secrets) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, secrets) for item in value), key=str)
    if isinstance(value, Enum):
        return _plain(value.value, secrets)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    listed = getattr(value, "tolist", None)  # numpy's and torch's
    return _plain(listed(), secrets) if callable(listed) else _hide(str(value), secrets)


def _hide(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
