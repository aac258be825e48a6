"""What a run's folder keeps so that it can be sent, and its lineage drawn, later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asr_gate.tracking.errors import TrackingError

FILE = "asr.json"


@dataclass(frozen=True)
class Ledger:
    """One run, and what of it the server does not have."""

    run_id: str
    entity: str
    """Empty: the account's default."""
    project: str
    process: int
    """Id of the process that makes the run, …"""
    began: float
    """… and when that one began, in seconds since 1970: ids are used again."""
    base_url: str | None = None
    state: str = "running"
    """`running`, `sent`, `unsent`, or `continued`: another folder goes on with the same run."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """Digest by NAME:ALIAS of what it logged."""
    links: dict[str, str] = field(default_factory=dict)
    """Collections, by NAME:ALIAS of a model, that it is not linked to yet."""
    uses: list[dict[str, str]] = field(default_factory=list)
    """Artifacts that the run used and that it is not linked to yet: `reference` and `digest`."""

    @property
    def waits(self) -> bool:
        """Whether there is something to send or to link, and nobody at work on it."""
        import psutil

        if self.state == "running":
            try:
                began: float = psutil.Process(self.process).create_time()
                # A clock that was set in between moves it a little.
                return abs(began - self.began) > 2
            except psutil.Error:
                return True
        if self.state == "continued":
            return False
        return self.state == "unsent" or bool(self.uses or self.links)

    def write(self, folder: Path) -> None:
        """Write it to a run's folder, in one step. Raises OSError."""
        path = folder / FILE
        partial = path.with_name(f".{FILE}.partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)


def read_ledger(folder: Path) -> Ledger:
    """Read that of a run's folder.

    Raises:
        TrackingError: there is none, or it is damaged.
    """
    from pydantic import TypeAdapter

    try:
        content = (folder / FILE).read_bytes()
        ledger = TypeAdapter(Ledger).validate_json(content)
        for use in ledger.uses:
            _ = use["reference"] + use["digest"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TrackingError(
            f"{folder}: no run of asr (no {FILE}); name a folder such as wandb/offline-run-…"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        # wandb sync sends it, too; what is lost with the file is its lineage.
        raise TrackingError(
            f"{folder}: {FILE} is damaged ({type(error).__name__}); send it with wandb sync"
        ) from error
    return ledger
