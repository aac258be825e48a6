"""In place of `asr`: "trains" in moments, by a formula, and leaves the files that a sweep reads.

It stands alone, so that starting it costs nothing. `ASR_STUB_SECONDS` is how long an epoch takes,
`ASR_STUB_ENDS` how a training ends: `full` or `killed` in the first epoch, `missing` before.
"""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path

arguments = sys.argv[1:]
given = dict(one.split("=", 1) for one in arguments if "=" in one and not one.startswith("-"))
options = dict(itertools.pairwise(arguments))
ends = os.environ.get("ASR_STUB_ENDS")
if ends == "missing" or given.get("seed") == "14":
    print("asr: weights.bin: no such file" if ends else "asr: these values do not fit together")
    sys.exit(2)
if "--dry-run" in arguments:
    sys.exit(0)
out = Path(options["--out"])
report = json.loads((Path(options["--report"]) / "alignment_report.json").read_text())
rate, warmup = float(given.get("learning_rate", 1)), float(given.get("warmup", 0.05))
wer = 0.1 + 0.1 * abs(rate - 2) + warmup
epochs = int(given.get("epochs", 3))

out.mkdir(parents=True, exist_ok=True)
record = out / "run.json"
evaluations = json.loads(record.read_text())["evaluations"] if "--resume" in arguments else []
with (out.parents[1] / "started.txt").open("a") as file:
    file.write(f"{out.parent.name} {os.getpid()} {len(evaluations)}\n")


def write(status: str, reason: str | None = None, unfit: bool = False) -> None:
    content = {
        "status": status,
        "reason": reason,
        "unfit": unfit,
        "phase0": {"digest": os.environ.get("ASR_STUB_DIGEST", report["digest"])},
        "plan": {"evaluation": []},
        "evaluations": evaluations,
        "progress": {"seconds": 7.0 * len(evaluations)},
    }
    part = record.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(content))
    part.replace(record)


def stop(*_: object) -> None:
    write("stopped")
    sys.exit(0)


if given.get("seed") == "13":
    write("failed", "the loss is not finite", unfit=True)
    sys.exit("asr: the loss is not finite")
if "--no-report" in arguments:
    sys.exit(30)
signal.signal(signal.SIGTERM, stop)
write("running")
if ends == "full":
    write("failed", "state: No space left on device")
    sys.exit(2)
if ends == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
for epoch in range(len(evaluations) + 1, epochs + 1):
    time.sleep(float(os.environ.get("ASR_STUB_SECONDS", 0)))
    now = wer + 0.5 / epoch - 0.5 / epochs
    evaluations.append({"evaluation": {"loss": now, "wer": now, "cer": now}})
    write("running")
(out / "final").mkdir(exist_ok=True)
model = {"share": min(1, 2 * wer), "seed": 1, "domain": None}
(out / "final" / "model.json").write_text(json.dumps(model))
write("finished")
