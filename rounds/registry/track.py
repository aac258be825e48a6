"""Tells W&B which model is in use."""

from __future__ import annotations

from asr_gate.rounds.registry.events import Event, Production, PromotedModel
from asr_gate.tracking.production import LoggedVersion, move_production


def tell_wandb(production: Production, last: Event) -> str | None:
    """Move the alias `production` to the model in use, and link it to its registry.

    Args:
        production: the model in use.
        last: the event that put it into use.

    Returns:
        The name of the version that has the alias; None: the model was not logged.

    Raises:
        TrackingError: as `move_production`.
    """
    model = _version(production.model)
    if model is None or production.model.artifact is None:
        return None
    former = _version(last.predecessor) if last.predecessor else None
    return move_production(model, former, production.model.artifact.registry)


def _version(model: PromotedModel) -> LoggedVersion | None:
    logged = model.artifact
    if logged is None:
        return None
    return LoggedVersion(logged.reference, logged.digest, logged.entity, logged.project)
