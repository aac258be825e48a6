"""What the tracker gets of the cases."""

from pathlib import Path
from unittest.mock import create_autospec

from asr_gate.rounds.cases.statistics import log_statistics, statistics
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.tracking import Tracker
from tests.rounds.cases.test_store import case


def test_counts_bars_and_table(tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "cases.sqlite3")
    store.add([case("a"), case("b", domain="phone", status="confirmed")])
    tracker = create_autospec(Tracker, instance=True)
    log_statistics(tracker, statistics(store))
    (metrics,) = tracker.log_metrics.call_args.args
    assert (metrics["cases/total"], metrics["cases/looked_at"]) == (2, 0.5)
    assert metrics["cases/errors/near_spelling"] == 2
    name, columns, rows = tracker.log_table.call_args.args
    assert (name, columns[0]) == ("cases/by_domain", "domain")
    assert [row[0] for row in rows] == ["default", "phone"]
    assert sum(tracker.log_bars.call_args.args[3]) == 2
