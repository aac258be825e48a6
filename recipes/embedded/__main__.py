"""Make the embedded model: text, speech, training.

    python -m recipes.embedded --out DIR --minutes 60 [--language he --begin-with embedded]

Leaves `model.onnx` and `model.json` in DIR, renewed every few minutes while it trains, and
the synthesized set in DIR/speech, which a second run with the same settings takes up again.
"""

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path

from recipes.embedded import kokoro, packages
from recipes.embedded.dataset import build, summary
from recipes.embedded.language import Language, find
from recipes.embedded.train import Settings, train


def installed(language: Language) -> dict[str, str]:
    """Version or file of every package that the recipe needs; "" where it is missing."""
    return {
        **packages.debian(language.packages),
        **packages.python(language.distributions),
        **packages.archives(language.archives),
        **(kokoro.installed() if "kokoro" in language.shares else {}),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the embedded acoustic model.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--minutes",
        type=float,
        required=True,
        help="training, after synthesis, in processor time of one process",
    )
    parser.add_argument("--language", default="en", help="a file of recipes/embedded/languages")
    parser.add_argument("--begin-with", type=Path, help="folder of a model of any language")
    parser.add_argument("--utterances", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--resume", action="store_true", help="go on from what --out holds")
    options = parser.parse_args()
    language = find(options.language)
    versions = installed(language)
    missing = [name for name, version in versions.items() if not version]
    if missing:
        readme = Path(__file__).with_name("README.md")
        print(f"error: missing: {', '.join(missing)}; see {readme}", file=sys.stderr)
        return 2
    speech = options.out / "speech"
    settings = Settings(options.minutes, options.seed)
    for line in build(speech, language, options.utterances, options.seed, options.processes):
        print(line, flush=True)
    card = {
        "tokens": list(language.tokens),
        "language": language.code,
        "recipe": {**asdict(settings), "processes": options.processes},
        "data": {
            **summary(speech, language),
            "texts": {name: source.license for name, source in language.sources.items()},
            "packages": versions,
        },
    }
    train(
        speech,
        settings,
        options.out,
        card,
        language,
        options.processes,
        options.resume,
        options.begin_with,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
