"""One audit of the bundled corpus from disk and from an S3-compatible server with faults.

The server is moto's, on this machine. Of each object the first request that asks for bytes goes
wrong: status 500 or 503, a connection that is cut in the middle, or an answer after four seconds.
Writes `docs/scale.md`.

Run: python -m bench.storage
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from asr_gate.corpus import storage
from bench.docs import replace_figures
from bench.stores import BUCKET, Store

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
EXAMPLE = ROOT / "audit" / "example"
FAULTS = ("500", "cut", "503", "slow")


def main() -> None:
    """Audit from both places, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--controls", type=int, default=10)
    controls = parser.parse_args().controls
    with Store().running() as store, tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "AWS_ENDPOINT_URL": store.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_CACHE_HOME": f"{folder}/cache",
        }
        storage._store("s3://").call_s3("create_bucket", Bucket=BUCKET)
        rows = map(json.loads, (EXAMPLE / "proceed.jsonl").open(encoding="utf-8"))
        names = ["proceed.jsonl", *dict.fromkeys(row["audio_filepath"] for row in rows)]
        for name in names:
            storage.write(f"s3://{BUCKET}/{name}", (EXAMPLE / name).read_bytes())
        local = audited(EXAMPLE / "proceed.jsonl", Path(folder), controls)
        planned = {
            f"GET /{BUCKET}/{name}": [FAULTS[number % len(FAULTS)]]
            for number, name in enumerate(names)
        }
        store.asked.clear()
        store.faults = planned
        remote = audited(f"s3://{BUCKET}/proceed.jsonl", Path(folder), controls)
        asked = Counter(line.partition(" ")[0] for line in store.asked)
        left = sum(map(len, planned.values()))
    lines = [
        "| corpus | requests | faults | digest |",
        "|---|---:|---:|---|",
        f"| on disk | | | `{local[7:15]}` |",
        f"| in the store | {asked['HEAD']} HEAD, {asked['GET']} GET | {len(planned) - left} | "
        f"`{remote[7:15]}` |",
    ]
    replace_figures(PAGE, "storage", "\n".join(lines) + "\n")
    if local != remote or left:
        sys.exit(f"{local} is not {remote}, or {left} faults did not happen")


def audited(manifest: str | Path, folder: Path, controls: int) -> str:
    """The digest of an audit by the command line."""
    command = [sys.executable, "-m", "asr_gate", "audit", str(manifest), "--out", str(folder)]
    command += ["--name", "audit", "--controls", str(controls), "--no-cache", "--no-audio"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, cwd=folder)
    if done.returncode not in (0, 20, 30):
        sys.exit(f"{manifest}: exit code {done.returncode}")
    report = json.loads((folder / "audit" / "alignment_report.json").read_bytes())
    digest: str = report["digest"]
    return digest


if __name__ == "__main__":
    main()
