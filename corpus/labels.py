"""Domains and splits by pattern: what a project says of rows that do not say it themselves."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asr_gate.corpus.formats.format import AUDIO_COLUMNS, Row, Source
from asr_gate.corpus.utterance import Corpus


class LabelRule(BaseModel):
    """Rows that match every pattern that is given get this domain, this split, or both.

    In a pattern `*` stands for any characters, `/` too, `?` for one, `[ab]` for one of some.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: str | None = Field(
        default=None,
        description="pattern of the manifest, as it is named or from here: `data/dev*`",
    )
    audio: str | None = Field(
        default=None,
        description="pattern of the audio path, as the manifest writes it: `*/whatsapp/*`",
    )
    id: str | None = Field(
        default=None, description="pattern of the id that the manifest gives: `wa-*`"
    )
    domain: str | None = Field(
        default=None, description="the domain of these rows; it counts more than their column"
    )
    split: str | None = Field(
        default=None,
        description="their split; it counts more than their column or the name of their file",
    )

    @model_validator(mode="after")
    def _whole(self) -> LabelRule:
        if not (self.manifest or self.audio or self.id):
            raise ValueError("a rule needs a pattern: manifest, audio or id")
        if not (self.domain or self.split):
            raise ValueError("a rule needs what it says: domain or split")
        return self


def rules_for(manifest: str | Path, rules: Sequence[LabelRule]) -> tuple[LabelRule, ...]:
    """The rules that may match rows of a manifest."""
    return tuple(
        rule
        for rule in rules
        if rule.manifest is None or matches_manifest(rule.manifest, str(manifest))
    )


def matches_manifest(pattern: str, manifest: str) -> bool:
    """Whether a manifest is of a rule's pattern, as it is named or from this folder."""
    return any(fnmatchcase(name, pattern) for name in (manifest, os.path.relpath(manifest)))


def labelled(row: Row, source: Source) -> Row:
    """A row with its domain and its split: of the first rule that says it, or else its own.

    The name of its file counts more than a column for the split.
    """
    if not source.labels and source.split is None:
        return row
    found = {"split": source.split} if source.split is not None else {}
    audio = next((row.fields[c] for c in AUDIO_COLUMNS if row.fields.get(c)), None)
    name, identity = audio if isinstance(audio, str) else "", str(row.fields.get("id") or "")
    for rule in reversed(source.labels):
        if _matches(rule.audio, name) and _matches(rule.id, identity):
            said = {"domain": rule.domain, "split": rule.split}
            found |= {label: value for label, value in said.items() if value}
    return replace(row, fields={**row.fields, **found}) if found else row


def unmatched(rules: Sequence[LabelRule], corpus: Corpus) -> list[LabelRule]:
    """The rules whose patterns no row of a corpus matches, by the names that rows have now."""
    left = list(rules)
    under = cache(_under)  # once a manifest, not once a row
    for row in chain(corpus.utterances, corpus.others):
        manifest = row.origin.rpartition(":")[0]
        left = [
            rule
            for rule in left
            if not (
                _matches(rule.audio, row.audio_name)
                and _matches(rule.id, row.id)
                and (rule.manifest is None or under(manifest, rule.manifest))
            )
        ]
        if not left:
            break
    return left


def _under(manifest: str, pattern: str) -> bool:
    """Whether a file is a manifest of this pattern, or lies in a folder that is."""
    folder = str(Path(manifest).parent)
    return matches_manifest(pattern, manifest) or matches_manifest(pattern, folder)


def _matches(pattern: str | None, value: str) -> bool:
    return pattern is None or fnmatchcase(value, pattern)
