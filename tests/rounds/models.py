"""Models that are nothing but their mistakes, and test sets without sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.train.evaluation.result_file import Result, read_result
from asr_gate.train.files import folder_digest
from tests.train.results import spoiled, write

Rows = list[dict]


def write_rows(path: Path, rows: Rows) -> Path:
    """A manifest of these rows, each with audio of its own, which is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(
            json.dumps(
                {
                    "id": row["id"],
                    "audio_filepath": f"{row['id']}.wav",
                    "duration": row["seconds"],
                    "text": row["reference"],
                    "lang": row["language"],
                    "domain": row["domain"],
                }
            )
            + "\n"
            for row in rows
        )
    )
    return path


def write_model(folder: Path, share: float, seed: int = 1, domain: str | None = None) -> Path:
    """A model that gets this share of all words wrong, or of those of one domain."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"share": share, "seed": seed, "domain": domain}))
    return folder


class Evaluator:
    """In place of `evaluate_checkpoint`: as the folder of a model says."""

    def __init__(self, change: Callable[[Rows], Rows] = lambda rows: rows) -> None:
        self.calls: list[str] = []
        self._change = change

    def __call__(self, checkpoint: str, manifests, *, out: Path | None, **more) -> tuple:
        self.calls.append(checkpoint)
        corpus = read_corpus(manifests)
        rows = [
            {
                "id": one.id, "domain": one.domain, "language": one.lang, "seconds": one.duration,
                "reference": one.text, "hypothesis": one.text.lower().strip("."),
            }
            for one in corpus.utterances
        ]  # fmt: skip
        wrong = json.loads((Path(checkpoint) / "model.json").read_text())
        done = self._change(spoiled(rows, wrong["share"], wrong["seed"], wrong["domain"]))
        place = (out or Path("evals") / f"new{len(self.calls)}") / "result.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        path = write(
            place,
            done,
            checkpoint,
            manifests=[str(one) for one in manifests],
            checkpoint_sha256=folder_digest(Path(checkpoint), cached=False),
            fingerprint=fingerprint(corpus).digest,
        )
        result: Result = read_result(path)[0]
        return result, path
