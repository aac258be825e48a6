"""What does it cost to look for texts that went to the wrong rows, among a million texts?

Makes texts by a chain of words over the project's own pages and sentences, and indexes them as an
audit does, once anew and once from what was kept. Then it looks texts up by what a weak model
hears: letters that are wrong at the embedded model's rate. Beside it stands the time of an audit of
1,000 rows, from what the bundled corpus takes a row. All times are processor seconds.

Run: python -m bench.retrieval [TEXTS]
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "detection.md"
SOURCES = ("docs/*.md", "audit/checks/pages/*.md", "audit/example/sentences.txt")
TEXTS = 1_000_000
LOOKED_UP = 200
ROWS = 1000
USUALLY = 0.1
"""Share of rows that an audit looks up where nothing is wrong: 60 of them, and those of which the
text fits badly."""
ERRORS = (0.1, 0.3, 0.46)
"""Letters that are heard wrongly: a good model, a weak one, and the embedded one on real speech."""
LETTERS = "abcdefghijklmnopqrstuvwxyz "
FEW = 10
"""Rows of the audit that shows what every audit takes, however large."""


def main() -> None:
    """Measure, print, and put the figures into the page."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = folder / "texts.txt"
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{text}\n" for text in texts(many))
        # Each in a process of its own, so that its memory is its own.
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        environment |= dict.fromkeys(("CI", "GITHUB_ACTIONS"), "")
        measured = []
        for _ in range(2):
            command = [sys.executable, "-m", "bench.retrieval", "--measure", str(file)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            measured.append(json.loads(done.stdout))
        disk = sum(path.stat().st_size for path in folder.glob("cache/**/*") if path.is_file())
    anew, kept = measured
    each = kept["look_up"]
    audit = audit_seconds()
    lines = [
        f"{many:,} texts, {LOOKED_UP} looked up; processor seconds.\n\n",
        "| | anew | kept |\n|---|---:|---:|\n",
        f"| to have the index | {anew['open']:.0f} | {kept['open']:.1f} |\n",
        f"| to look one up | {anew['look_up']:.3f} | {each:.3f} |\n",
        f"| memory, MB | {anew['memory']:.0f} | {kept['memory']:.0f} |\n",
        f"| disk, MB | {disk / 1e6:.0f} | {disk / 1e6:.0f} |\n\n",
        "| letters heard wrongly | found among the 8 that are aligned |\n|---:|---:|\n",
        *(
            f"| {100 * float(rate):.0f} % | {100 * share:.0f} % |\n"
            for rate, share in kept["found"]
        ),
        f"\n{ROWS} rows take {audit:.0f} seconds in an audit by the embedded model, by what a row "
        "of the bundled corpus takes. What the search adds:\n\n",
        "| | anew | kept |\n|---|---:|---:|\n",
    ]
    for name, share in (("a tenth of the rows are looked up", USUALLY), ("every row is", 1.0)):
        added = [(one["open"] + share * ROWS * one["look_up"]) / audit for one in measured]
        lines.append(f"| {name} | {100 * added[0]:.0f} % | {100 * added[1]:.0f} % |\n")
    print("".join(lines))
    replace_figures(PAGE, "retrieval", "".join(lines))


def texts(many: int) -> Iterator[str]:
    """So many texts of five to seventeen words, from a chain of pairs of words."""
    words = [
        word
        for pattern in SOURCES
        for path in sorted(ROOT.glob(pattern))
        for word in re.findall(r"[a-z']{1,15}", path.read_text(encoding="utf-8").lower())
    ]
    after: dict[str, list[str]] = defaultdict(list)
    for word, following in pairwise(words):
        after[word].append(following)
    rng = random.Random(1)
    for _ in range(many):
        text = [rng.choice(words)]
        for _ in range(rng.randint(4, 16)):
            # A chain alone would end in the same few phrases.
            known = after[text[-1]] if rng.random() < 0.8 else None
            text.append(rng.choice(known or words))
        yield " ".join(text)


def measure(file: Path) -> dict[str, Any]:
    """Open the index of a file as an audit does, and look up texts with errors in them."""
    from asr_gate.audit.acoustic import load_model
    from asr_gate.audit.engine.keys import code_version
    from asr_gate.audit.pairing.search import TextSearch
    from asr_gate.audit.pairing.texts import text_file
    from asr_gate.corpus.utterance import Corpus

    model = load_model("embedded")
    start = time.process_time()
    corpus = Corpus([], [str(file.parent / "m.jsonl")])
    search = TextSearch(
        model,
        corpus,
        [text_file(file)],
        made_by=code_version(),
        keep=True,
        say=lambda line: print(line, file=sys.stderr),
    )
    opened = time.process_time() - start
    rng = random.Random(2)
    wanted = set(rng.sample(range(len(search)), LOOKED_UP))
    with file.open(encoding="utf-8") as stream:
        asked = [line.rstrip() for number, line in enumerate(stream) if number in wanted]
    found = []
    start = time.process_time()
    for rate in ERRORS:
        hits = sum(
            text in {hit.text for _, hit in search.nearest(misheard(text, rate, rng))}
            for text in asked
        )
        found.append([rate, hits / LOOKED_UP])
    look_up = (time.process_time() - start) / LOOKED_UP / len(ERRORS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"open": opened, "look_up": look_up, "memory": memory, "found": found}


def misheard(text: str, rate: float, rng: random.Random) -> str:
    """A text with errors: half of them are replaced letters, the rest lost and inserted ones."""
    heard = []
    for letter in text:
        lot = rng.random() / rate
        if lot < 0.5:
            heard.append(rng.choice(LETTERS))
        elif lot >= 0.75:
            heard.append(letter)
            if lot < 1:
                heard.append(rng.choice(LETTERS))
    return "".join(heard)


def audit_seconds() -> float:
    """Processor seconds that 1,000 rows more take in an audit, by those of the bundled corpus."""
    lines = (ROOT / "audit/example/proceed.jsonl").read_text(encoding="utf-8").splitlines()
    few, many = audited(lines[:FEW]), audited(lines)
    return (many - few) / (len(lines) - FEW) * ROWS


def audited(lines: Sequence[str]) -> float:
    """Processor seconds of an audit of these rows."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "m.jsonl"
        manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
        audio = Path(folder) / "audio"
        audio.symlink_to(ROOT / "audit/example/audio")
        command = [sys.executable, "-m", "asr_gate", "audit", str(manifest), "--all", "--no-cache"]
        command += ["--no-wandb", "--no-audio", "--out", folder]
        command += ["--audio-root", str(ROOT / "audit/example")]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode not in (0, 20, 30):
        sys.exit(f"an audit ended with {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        main()
