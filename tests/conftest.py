"""What all tests share: nothing of the tester's own environment or network reaches them."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.chromium import browser, tab
from tests.speech import ROOT
from tests.tracking.isolation import inherited_wandb_variables, isolated_wandb_environment

__all__ = ["browser", "tab"]

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the hub's client is imported
os.environ["ASR_CACHE_GB"] = "0"  # tests measure; those of the cache switch it on
os.environ.pop("CI", None)  # the suite may run there itself; tests say so where it matters
# Read once, too. Workers share the cores, and models so small gain nothing from more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The search for fonts takes seconds, and each home folder of a test would have its own.
os.environ.setdefault("MPLCONFIGDIR", str(ROOT / "build" / "matplotlib"))
# A job that a shell starts in the background ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = (
    "tests/e2e/",
    "tests/tracking/test_online.py",
    "tests/tracking/test_production.py",
    "tests/tracking/test_sync.py",
    "tests/train/test_audio_cache.py",
    "tests/train/test_augment.py",
    "tests/train/test_compare.py",
    "tests/train/test_evaluate_checkpoint.py",
    "tests/train/test_load.py",
    "tests/train/test_lora.py",
    "tests/train/test_loss.py",
    "tests/train/test_resume.py",
    "tests/train/test_run.py",
    "tests/train/test_run_goes_on.py",
    "tests/train/test_run_recorder.py",
    "tests/train/test_splits.py",
)
"""Tests that train, or that run the command or W&B's client in processes of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them `slow`, so that `make test-fast` leaves them out."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted (`record_property`), whichever worker ran them."""
    counted = [
        f"{name}: {value}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", [])
    ]
    fuzzed = re.findall(r"^fuzzed .*: (\{.*\})$", "\n".join(counted), re.M)
    if fuzzed:
        total = sum(int(number) for ends in fuzzed for number in re.findall(r": (\d+)", ends))
        counted.append(f"fuzzed in all: {total} cases, {len(fuzzed)} readers")
    if counted:
        terminalreporter.section("counted")
        for line in sorted(counted):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _tester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tester's own login reaches no fixture that outlives a test; trainings would log."""
    folder = tmp_path_factory.mktemp("tester")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in inherited_wandb_variables():
            patch.delenv(name)
        for name, value in isolated_wandb_environment(folder).items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(autouse=True)
def _isolated(_tester: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No W&B login, no W&B folder outside the test's own, no hub, one width of terminal."""
    # pytest's own counts all folders that there are to find a number, at each test.
    folder = Path(mkdtemp(dir=_tester))
    (folder / "home").mkdir()
    for name in inherited_wandb_variables():
        monkeypatch.delenv(name)
    for name, value in isolated_wandb_environment(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("CI", "XDG_STATE_HOME", "ASR_AUDIO_ROOT"):  # the suite may run in CI itself
        monkeypatch.delenv(name, raising=False)
