"""Make the embedded model: text, speech, training.

    python -m recipes.embedded --out DIR --minutes 60

Leaves `model.onnx` and `model.json` in DIR, renewed every few minutes while it trains, and
the synthesized set in DIR/speech, which a second run with the same settings takes up again.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from recipes.embedded import kokoro, text
from recipes.embedded.dataset import build, summary
from recipes.embedded.speech import SHARES
from recipes.embedded.train import Settings, train

# fmt: off
PACKAGES = (
    "espeak-ng-data", "libespeak-ng1", "libflite1", "festival", "festvox-kallpc16k",
    "festvox-kdlpc16k", "festvox-us-slt-hts", "wordnet-base", "dict-devil", "dict-jargon",
    "wamerican",
)
# fmt: on


def installed() -> dict[str, str]:
    """Version of every Debian package that the recipe needs; "" where it is missing."""
    versions = dict.fromkeys(PACKAGES, "")
    if shutil.which("dpkg-query"):
        answer = subprocess.run(
            ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status} ${Version}\n", *PACKAGES],
            capture_output=True, text=True,
        )  # fmt: skip
        for line in answer.stdout.splitlines():
            name, status, version = line.split()[:3] if len(line.split()) > 2 else ("", "", "")
            if status == "installed":
                versions[name] = version
    return versions


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the embedded acoustic model.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="training, after synthesis")
    parser.add_argument("--utterances", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--resume", action="store_true", help="go on from the weights in --out")
    options = parser.parse_args()
    versions = {**installed(), **kokoro.installed()}
    missing = [name for name, version in versions.items() if not version]
    if missing:
        readme = Path(__file__).with_name("README.md")
        print(f"error: missing: {', '.join(missing)}; see {readme}", file=sys.stderr)
        return 2
    speech = options.out / "speech"
    settings = Settings(options.minutes, options.seed)
    plan = f"{options.utterances} utterances, seed {options.seed}, shares {SHARES}\n"
    done = speech / "done"
    if not done.exists() or done.read_text("utf-8") != plan:
        shutil.rmtree(speech, ignore_errors=True)
        for line in build(speech, options.utterances, options.seed, options.processes):
            print(line, flush=True)
        done.write_text(plan, "utf-8")
    card = {
        "recipe": {**asdict(settings), "processes": options.processes},
        "data": {
            **summary(speech),
            "texts": {name: source.license for name, source in text.SOURCES.items()},
            "packages": versions,
        },
    }
    train(speech, settings, options.out, card, options.processes, options.resume)
    return 0


if __name__ == "__main__":
    sys.exit(main())
