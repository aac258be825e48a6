"""The alias of the model in use, in W&B."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.tracking import Tracker, TrackingError
from asr_gate.tracking.production import LoggedVersion, move_production
from tests.tracking.loopback import ENTITY, ORGANISATION, Loopback

COLLECTION = "wandb-registry-model/asr"


def logged(folder: Path, name: str, many: int = 1) -> list[LoggedVersion]:
    """Versions of a model, as a run logs them."""
    found = []
    with Tracker(
        enabled=True, project="speech", system_metrics=False, silent=True, say=[].append
    ) as tracker:
        tracker.init()
        for number in range(many):
            path = folder / f"{name}-{number}"
            path.mkdir()
            (path / "weights").write_text(path.name)
            reference = tracker.log_model_artifact(path, name, [f"epoch-{number}"])
            found.append(LoggedVersion(reference, tracker.digest_of(reference), None, "speech"))
    return found


def test_the_alias_and_the_link_follow_the_model_in_use(server: Loopback, tmp_path: Path) -> None:
    one, two = logged(tmp_path, "round1", 2)
    (other,) = logged(tmp_path, "round2")

    def aliases() -> dict[str, list[str]]:
        return {
            name: [
                v for v, found in server.versions(name, "speech").items() if "production" in found
            ]
            for name in ("round1", "round2")
        }

    name = move_production(one, None, COLLECTION)
    assert name.startswith(f"{ENTITY}/speech/round1:")
    assert aliases() == {"round1": ["v0"], "round2": []}
    move_production(two, one, None)
    assert aliases() == {"round1": ["v1"], "round2": []}
    move_production(other, two, COLLECTION)
    assert aliases() == {"round1": [], "round2": ["v0"]}
    move_production(other, two, COLLECTION)  # once more changes nothing
    assert aliases() == {"round1": [], "round2": ["v0"]}
    registry = server.versions("asr", "wandb-registry-model", ORGANISATION)
    assert [found for found in registry.values() if "production" in found] == [
        ["latest", "production"]
    ]
    # What was logged offline is found in the project of its run, once it was sent.
    name = other.reference.rpartition("/")[2]
    offline = LoggedVersion(f"wandb-offline:run/{name}", other.digest, None, "speech")
    assert move_production(offline, None, None).startswith(f"{ENTITY}/speech/round2:")


def test_a_model_that_the_server_lacks_is_one_line(server: Loopback, tmp_path: Path) -> None:
    logged(tmp_path, "round1")
    lost = LoggedVersion(f"wandb:{ENTITY}/speech/none:final", "x", None, "speech")
    with pytest.raises(TrackingError, match="asr sync") as error:
        move_production(lost, None, None)
    assert "\n" not in str(error.value)
