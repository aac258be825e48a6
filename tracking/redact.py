"""Keep secrets out of what is logged."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

HIDDEN = "[hidden]"

_WORDS = (
    r"api_?key|access_?key|private_?key|signing_?key|encryption_?key|secret|secret_?key|password"
    r"|passwd|passphrase|pwd|credentials?|authorization|cookie|session_?id|connection_?string|dsn"
)
# `pad_token` and `blank_token` of a model are no secrets, so only some tokens count.
_SECRET_KEY = re.compile(
    rf"(^|[_.\-])({_WORDS}|((hf|hub|auth|access|api|bearer|refresh|wandb|github|id|session)"
    r"[_\-]?token))s?$|^tokens?$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(rf"(^|_)({_WORDS}|token|key)s?$|_(URL|URI)$", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?i)(\b\w*(?:{_WORDS}|token)s?[\"']?\s*(?::\s*\w+\s*)?[:=]+\s*)(?![:=\s])(?:\"[^\"]*\"|'[^']*'|\S+)"
)
"""`api_key = "…"` in a text; group 1 is what stands before the value."""
_USERINFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""`user:password` or a token before the host of an address."""
_SHORTEST_SECRET = 8


def redact(value: object) -> object:
    """`value` as plain data for a config or metadata, with secrets replaced by `[hidden]`.

    A secret is all that lies under a key such as `api_key` or `hf_token`, the value of an
    environment variable with such a name, wherever it stands, and user and password of an address.
    Paths become text, enums their value, tuples and arrays lists, and anything else its text: once
    the client holds a value that it cannot write, it fails on everything that is logged later.
    """
    return _plain(value, _environment_secrets())


def plain_dict(values: Mapping[str, object]) -> dict[str, Any]:
    """`redact` for a mapping."""
    return cast(dict[str, Any], redact(values))


def redact_lines(text: str) -> str:
    """`redact` for the text of files: also hides what is assigned to a name such as `api_key`."""
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _hide(text, _environment_secrets()))


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
        if _SECRET_VARIABLE.search(name)
        and len(value) >= _SHORTEST_SECRET
        # An address is a secret only with a password in it.
        and (not name.upper().endswith(("_URL", "_URI")) or _USERINFO.search(value))
    ]


def _plain(value: object, secrets: list[str]) -> object:
    if isinstance(value, Mapping):
        return {
            _hide(str(key), secrets): HIDDEN
            if item not in (None, "", False) and _is_secret(str(key))
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


def _is_secret(key: str) -> bool:
    # `privateKey` and `private key` are `private_key`.
    return bool(_SECRET_KEY.search(re.sub(r"(?<=[a-z])(?=[A-Z])|[\s/]+", "_", key)))


def _hide(text: str, secrets: list[str]) -> str:
    # The longest first: one may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _USERINFO.sub(HIDDEN, text)
