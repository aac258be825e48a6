"""The alias `production` in W&B: it names the model that is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.wandb_client import open_api, server_errors
from asr_gate.tracking.wandb_server import find_artifact

if TYPE_CHECKING:
    import wandb

ALIAS = "production"


@dataclass(frozen=True, slots=True)
class LoggedVersion:
    """A model as a run logged it."""

    reference: str
    """`wandb:ENTITY/PROJECT/NAME:ALIAS`, or `wandb-offline:RUN/NAME:ALIAS`."""
    digest: str
    entity: str | None
    """Of the run; None: the account's default."""
    project: str

    def path(self, default_entity: str) -> str:
        """`ENTITY/PROJECT/NAME:ALIAS`."""
        if self.reference.startswith("wandb:"):
            return self.reference.removeprefix("wandb:")
        name = self.reference.rpartition("/")[2]
        return f"{self.entity or default_entity}/{self.project}/{name}"


def move_production(
    model: LoggedVersion, former: LoggedVersion | None, collection: str | None
) -> str:
    """Give a model the alias, take it from the former one, and link the model to the registry.

    Args:
        model: is in use now.
        former: was in use before; None: none, or it was not logged.
        collection: of the registry, such as `wandb-registry-model/hebrew-asr`; None: no link.

    Returns:
        The full name of the version that has the alias now.

    Raises:
        TrackingError: W&B is off, there is no login, no server answers, or it does not have the
            model.
    """
    api = open_api()
    try:
        version = _find(api, model)
        if version is None:
            raise TrackingError(
                f"{model.reference} is not on the server; send its run first: asr sync"
            )
        if ALIAS not in version.aliases:
            version.aliases.append(ALIAS)
            version.save()  # within one collection W&B takes an alias from the version that had it
        before = None if former is None else _find(api, former)
        if before is not None and before.id != version.id and ALIAS in before.aliases:
            before.aliases.remove(ALIAS)
            before.save()
        if collection is not None:
            version.link(collection, aliases=[ALIAS])
    except server_errors() as error:
        raise TrackingError(f"W&B refuses: {one_line(error)}") from error
    return str(version.qualified_name)


def _find(api: wandb.Api, model: LoggedVersion) -> wandb.Artifact | None:
    return find_artifact(api, model.path(api.default_entity or ""), model.digest)
