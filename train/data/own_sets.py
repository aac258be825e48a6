"""Manifests of their own to evaluate and to test on, which no audit has seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus, with_ids_apart
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.train import recipes
from asr_gate.train.authorise import Authorisation
from asr_gate.train.plan import OwnSet

Name = Literal["validation", "test"]


@dataclass(frozen=True)
class OwnSets:
    """What `data.validation` and `data.test` of a recipe name."""

    validation: Corpus | None = None
    """None: rows of the audited corpus evaluate."""
    test: Corpus | None = None
    """None: rows of the audited corpus test, or none do."""
    recorded: dict[Name, OwnSet] = field(default_factory=dict)
    """What `run.json` says of them."""
    sounds: dict[str, str] = field(default_factory=dict)
    """Digest of each row's audio, by id."""

    def rows(self) -> Iterator[tuple[Name, Utterance]]:
        """Every row of both, with the name of its set."""
        sets: tuple[tuple[Name, Corpus | None], ...] = (
            ("validation", self.validation),
            ("test", self.test),
        )
        return ((name, row) for name, one in sets if one is not None for row in one.utterances)


def read_own_sets(
    settings: recipes.Data,
    authorised: Authorisation,
    *,
    by_user: Collection[str] = (),
    audio_root: Path | None = None,
    labels: Sequence[LabelRule] = (),
) -> OwnSets:
    """Read the manifests as any corpus is read, and hash rows and audio.

    An id that the audited corpus, or the other set, has too gets `#2`, `#3`, … behind it.

    Args:
        settings: of the recipe.
        authorised: the audited corpus; its audio's digests say how audio is hashed.
        by_user: which of `validation` and `test` stand on the command line. A recipe's file may
            come from anybody, and its manifests have to lie in the current folder.
        audio_root: a further folder that audio may lie in.
        labels: rules that give rows domains.

    Raises:
        UserError: as `read_corpus` does, or a recipe's manifest lies elsewhere.
    """
    found: dict[Name, Corpus] = {}
    recorded: dict[Name, OwnSet] = {}
    sounds: dict[str, str] = {}
    named: dict[Name, list[str]] = {"validation": settings.validation, "test": settings.test}
    for name, manifests in named.items():
        if not manifests:
            continue
        if name not in by_user:
            _require_inside(name, manifests)
        corpus = read_corpus(manifests, audio_root=audio_root, labels=labels)
        # Before ids change: so it is the fingerprint that an audit of these manifests would have.
        now = fingerprint(corpus, audio=authorised.report.dataset.fingerprint_audio, cached=False)
        apart = with_ids_apart(corpus, [authorised.corpus, *found.values()])
        for before, row in zip(corpus.utterances, apart.utterances, strict=True):
            sounds[row.id] = now.sounds[before.id]
        found[name] = apart
        recorded[name] = OwnSet(
            manifests=list(manifests), rows=len(corpus.utterances), fingerprint=now.digest
        )
    return OwnSets(found.get("validation"), found.get("test"), recorded, sounds)


def _require_inside(name: Name, manifests: Sequence[str]) -> None:
    here = Path.cwd().resolve()
    for manifest in manifests:
        try:
            inside = Path(manifest).resolve().is_relative_to(here)
        except (OSError, ValueError, RuntimeError):
            inside = False
        if not inside:
            raise UserError(
                f"data.{name} of the recipe: {manifest!r} lies outside of this folder, and a "
                f"recipe may come from anybody; say on the command line: data.{name}=[{manifest}]"
            )
