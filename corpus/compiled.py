"""Loops compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compiled once a machine, or once a process where no folder takes what is compiled; holds no
    interpreter lock.
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        found = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside its file nor in the user's cache can be written
        found = numba.njit(**options)(function)
    return cast(Callable[..., Any], found)
