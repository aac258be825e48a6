"""The reader of offline runs, against the client alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tracking.offline import read_run

pytestmark = pytest.mark.usefixtures("wandb_environment")


def make_run(tmp_path: Path) -> Path:
    import wandb

    settings = wandb.Settings(silent=True)
    run = wandb.init(mode="offline", dir=str(tmp_path), settings=settings, reinit="create_new")
    run.config["long"] = "x" * 100_000  # more than three blocks of the log
    for step in range(300):
        run.log({"a": step, "nested": {"b": str(step) * 50}})
    run.alert("title", "text", level="WARN")
    run.finish(exit_code=3)
    return Path(run.dir).parent


def test_reads_records_of_any_length(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path))
    assert run.config["long"] == "x" * 100_000
    assert [row["a"] for row in run.history] == list(range(300))
    assert run.metrics["nested"] == {"b": "299" * 50}
    assert run.summary["a"] == 299
    (alert,) = run.alerts
    assert (alert.title, alert.text, alert.level) == ("title", "text", "WARN")
    assert run.exit_code == 3


def test_a_damaged_log_is_no_result(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    assert read_run(folder).exit_code == 3
    (path,) = folder.glob("*.wandb")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged at byte"):
        read_run(folder, wait_seconds=0)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="no W&B log"):
        read_run(folder, wait_seconds=0)
