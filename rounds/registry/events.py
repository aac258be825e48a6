"""The log of promotions: only ever appended to, each event with the digest of the one before.

    registry/events.jsonl     one event a line
    registry/production.json  the model in use, for whoever serves it; made from the log

An event that is changed, removed or put in between breaks the chain. A log that lost its last
events is told by `production.json`, which names the last one. A line that a killed process left
half written never counted: the next event takes its place.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, held, read_regular, relative_to, write_atomically
from asr_gate.corpus.strict import parse_json, read_json

REGISTRY = Path("registry")
EVENTS_FILE = "events.jsonl"
PRODUCTION_FILE = "production.json"
PATIENCE = 30.0
"""Seconds to wait for another promotion."""


class Section(BaseModel):
    """Base of every part."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LoggedArtifact(Section):
    """A model as its run logged it to W&B."""

    reference: str
    digest: str
    entity: str | None
    project: str
    registry: str | None
    """Collection to link it to; None: none."""


class PromotedModel(Section):
    """A model by its bytes."""

    checkpoint: str
    """Its folder: from the one that holds the registry, or absolute where it lies elsewhere."""
    sha256: str
    artifact: LoggedArtifact | None = None
    """None: it was not logged."""


class Grounds(Section):
    """What a promotion rests on."""

    gate: str
    """File of the gate's result."""
    gate_seal: str
    suite_digest: str
    report: str
    """The audit of what it was trained on."""
    report_digest: str
    decision: str


class Event(Section):
    """One line of the log."""

    number: int = Field(ge=1)
    at: str
    kind: Literal["promote", "rollback"]
    model: PromotedModel
    """The model in use from here on."""
    predecessor: PromotedModel | None
    """The model in use before; None: there was none."""
    grounds: Grounds | None
    """None: a rollback."""
    why: str = ""
    before: str
    """Digest of the event before; empty: this is the first one."""
    digest: str = ""

    def compute_digest(self) -> str:
        """The digest that belongs to the content."""
        content = self.model_dump(mode="json", exclude={"digest"})
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Production(Section):
    """`production.json`."""

    model: PromotedModel
    predecessor: PromotedModel | None
    """What `--rollback` would bring back."""
    since: str
    event: str
    """Digest of the last event."""


class Registry:
    """The log in one folder."""

    def __init__(self, folder: Path = REGISTRY) -> None:
        """Name the folder; it is made by the first event."""
        self.folder = folder

    def place(self, checkpoint: Path) -> str:
        """How a checkpoint is named here, so that the whole project can be moved."""
        return relative_to(checkpoint.resolve(), self.folder.resolve().parent)

    def find(self, model: PromotedModel) -> Path:
        """The folder of a model, from the current folder."""
        return self.folder.parent / model.checkpoint

    def events(self) -> list[Event]:
        """Every event, the oldest first; none if there is no log.

        Raises:
            NoVerdict: an event was changed, removed or added.
            UserError: the log cannot be read.
        """
        return self._read()[0]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the log, so that nothing happens between looking at it and adding to it.

        Raises:
            UserError: another process has held it too long, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with held(self.folder, PATIENCE):
                yield
        except BlockingIOError as error:
            raise UserError(
                f"{self.folder}: another process has been writing to it for {PATIENCE:g} s; try "
                "again"
            ) from error

    def add(
        self,
        kind: Literal["promote", "rollback"],
        model: PromotedModel,
        grounds: Grounds | None,
        why: str,
    ) -> Event:
        """Append an event; it is on disk before this returns. Call it within `writing`.

        Raises:
            NoVerdict, UserError: as `events`; or the log cannot be written.
        """
        events, whole = self._read()
        bare = Event(
            number=len(events) + 1,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            kind=kind,
            model=model,
            predecessor=events[-1].model if events else None,
            grounds=grounds,
            why=why,
            before=events[-1].digest if events else "",
        )
        event = bare.model_copy(update={"digest": bare.compute_digest()})
        path = self.folder / EVENTS_FILE
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, 0o666), "wb") as stream:
                stream.truncate(whole)  # a line that was left half written
                stream.seek(whole)
                stream.write(f"{event.model_dump_json()}\n".encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error
        self.show()
        return event

    def show(self) -> Production | None:
        """Write `production.json` as the log says; returns it, or None if there is no event.

        Raises:
            NoVerdict, UserError: as `events`; or it cannot be written.
        """
        events = self.events()
        found = production_of(events)
        if found is None:
            return None
        path = self.folder / PRODUCTION_FILE
        if not path.exists() or self._shown() != found:
            try:
                write_atomically(path, f"{found.model_dump_json(indent=1)}\n".encode())
            except OSError as error:
                raise UserError(f"{path}: cannot be written ({error.strerror})") from error
        return found

    def _shown(self) -> Production | None:
        try:
            return Production.model_validate(read_json(self.folder / PRODUCTION_FILE))
        except (OSError, ValueError):  # ValidationError is one
            return None

    def _read(self) -> tuple[list[Event], int]:
        """The events, and how many bytes of the file are theirs."""
        path = self.folder / EVENTS_FILE
        try:
            content = read_regular(path, RECORD_LIMIT)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        whole = content.rfind(b"\n") + 1
        events: list[Event] = []
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                event = Event.model_validate(parse_json(line))
            except (ValidationError, ValueError) as error:
                raise NoVerdict(f"{path}:{number}: altered: not an event") from error
            before = events[-1].digest if events else ""
            if (event.number, event.before) != (number, before):
                raise NoVerdict(f"{path}:{number}: altered: does not follow from the line before")
            if event.digest != event.compute_digest():
                raise NoVerdict(f"{path}:{number}: altered: its digest differs")
            events.append(event)
        shown = self._shown()
        if shown is not None and shown.event not in {event.digest for event in events}:
            raise NoVerdict(
                f"{path}: altered: the last event that {PRODUCTION_FILE} names is not there"
            )
        return events, whole


def production_of(events: list[Event]) -> Production | None:
    """The model in use after these events, and what a rollback brings back."""
    if not events:
        return None
    stack: list[PromotedModel] = []
    for event in events:
        if event.kind == "rollback":
            stack = stack[:-1]
        else:
            stack.append(event.model)
    last = events[-1]
    return Production(
        model=last.model,
        predecessor=stack[-2] if len(stack) > 1 else None,
        since=last.at,
        event=last.digest,
    )
