"""Signals of a training: SIGTERM asks it to stop; the loaders' workers end with their process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM sets; only the main thread can listen to signals."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(signum: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield asked
    finally:
        # Schedulers and torchrun may ask twice: the group, and then the process. The second time
        # must not interrupt a command that is ending well.
        ending = asked.is_set() and before is signal.default_int_handler
        signal.signal(signal.SIGTERM, signal.SIG_IGN if ending else before)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGTERM and SIGINT back while workers are started: these begin with both blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def quiet_worker(number: int) -> None:
    """A loader's `worker_init_fn`: only its own process ends the worker, or the death of that.

    A terminal sends SIGINT to the whole group, a scheduler SIGTERM to every process of a job. A
    worker that died of it would fail the step after which the state is saved.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_by_owner, daemon=True).start()
    die_with_parent(signal.SIGKILL)


def _end_by_owner() -> None:
    """Wait for the SIGTERM of the process whose worker this is, and for no other one."""
    owner = multiprocessing.parent_process()
    while owner is not None and signal.sigwaitinfo({signal.SIGTERM}).si_pid != owner.pid:
        pass
    os._exit(0)


def die_with_parent(number: signal.Signals) -> None:
    """Get this signal when the parent process ends, however it ends (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
