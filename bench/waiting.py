"""How long an audit takes until it hears the first row, and how long its model waits afterwards.

The bundled corpus is audited by the command line, once with what is compiled for the alignment at
hand and once without. Writes `docs/scale.md`.

Run: python -m bench.waiting
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"


def main() -> None:
    """Measure, print, and write the table."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        usual = _audit(Path(folder), {})
        first = _audit(Path(folder), {"NUMBA_CACHE_DIR": f"{folder}/numba"})
    lines = [
        "| | first row heard, processor s (wall) | first row measured, processor s (wall) |\n",
        "|---|---:|---:|\n",
        *(
            f"| {name} | {one['heard'][0]:.1f} ({one['heard'][1]:.1f}) | "
            f"{one['measured'][0]:.1f} ({one['measured'][1]:.1f}) |\n"
            for name, one in (("any audit", usual), ("the first one of a machine", first))
        ),
        f"\nThe bundled corpus, {usual['rows']} rows, {usual['seconds']:.0f} s of audio, the "
        "embedded model on two cores. Processor time of the command and of what decodes for it. "
        "From the first row heard to the last one, the model waited for audio to be decoded for "
        f"{100 * usual['decoding']:.0f} % of the time, and for the alignment of what it had heard "
        f"for {100 * (usual['idle'] - usual['decoding']):.0f} %. Load of the machine {load:.1f} "
        "before it began.\n",
    ]
    print("".join(lines))
    replace_figures(PAGE, "waiting", "".join(lines))


def _audit(folder: Path, more: dict[str, str]) -> dict[str, Any]:
    """What an audit in a process of its own says of its times."""
    homes = {name: f"{folder}/{name}" for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME")}
    code = "from bench.waiting import audit; audit()"
    env = {**os.environ, **homes, **more, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "audit", "--all", "--no-cache", "--no-audio"]
    done = subprocess.run(command, env=env, cwd=folder, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def audit() -> None:
    """The command, which notes when it does what; the last line says it."""
    began = time.time()
    from asr_gate.audit.acoustic import embedded
    from asr_gate.audit.engine import ledger, measure
    from asr_gate.cli.main import group

    found: dict[str, Any] = {"rows": 0, "seconds": 0.0}
    spans: list[tuple[float, float]] = []
    forward, add = embedded.EmbeddedModel.forward, ledger.Ledger.add
    hear, start_group = vars(measure)["as_computed"], measure.Measurer.start
    waited: list[float] = []

    def note(name: str) -> None:
        if name not in found:
            every = [psutil.Process(), *psutil.Process().children(recursive=True)]
            times = [one.cpu_times() for one in every]
            used = sum(one.user + one.system for one in times)
            found[name] = used, time.time() - began

    def timed(self: Any, batch: Any) -> Any:
        start = time.time()
        emitted = forward(self, batch)
        spans.append((start, time.time()))
        note("heard")
        return emitted

    def added(self: Any, rows: Any) -> None:
        found["rows"] += len(rows)
        found["seconds"] += sum(row.duration for row in rows)
        note("measured")
        add(self, rows)

    def started(self: Any, *given: Any) -> Any:
        waited.append(-time.time())
        return start_group(self, *given)

    def heard(*given: Any) -> Any:
        waited[-1] += time.time()
        return hear(*given)

    for owner, name, own in (
        (measure.Measurer, "start", started),
        (measure, "as_computed", heard),
        (embedded.EmbeddedModel, "forward", timed),
        (ledger.Ledger, "add", added),
    ):
        setattr(owner, name, own)
    group.main(args=sys.argv[1:], standalone_mode=False)
    spans.sort()
    busy, end = 0.0, spans[0][0]
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    whole = end - spans[0][0]
    found["idle"] = 1 - busy / whole
    found["decoding"] = sum(waited[1:]) / whole  # after the first group
    print(json.dumps(found))


if __name__ == "__main__":
    main()
