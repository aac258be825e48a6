"""Which extra of this package brings a module that is not installed."""

from __future__ import annotations

import re
from importlib.metadata import requires

MODULES = {
    "nvidia-ml-py": "pynvml",
    "pillow": "pil",
    "python-json-logger": "pythonjsonlogger",
    "pyyaml": "yaml",
}
"""Distributions whose module has another name than they have, in lower case."""


def extra_of(module: str) -> str | None:
    """The first extra in pyproject.toml that brings a module; None: no extra does.

    Example: `extra_of("soundfile")` is `"align"`.
    """
    for requirement in requires("asr-gate") or ():
        found = re.fullmatch(r"""([\w.-]+).*;.*extra == ["']([\w-]+)["'].*""", requirement)
        if found is None:  # a core dependency
            continue
        distribution = found[1].lower()
        if MODULES.get(distribution, distribution.replace("-", "_")) == module.lower():
            return found[2]
    return None
