"""One `Tracker` over Weights & Biases, used by audit and train alike.

    from tracking import Tracker, TrackerSettings

    settings = TrackerSettings.resolve(enabled=True, run_name="phase0-audit")
    with Tracker(settings) as tracker:
        tracker.init(config={"seed": 7})
        tracker.log_metrics({"phase0/total_samples": 120})

Importing this package imports no wandb; a tracker that is not enabled never does.
"""

from tracking.errors import TrackingError
from tracking.settings import TrackerSettings
from tracking.tracker import Tracker

__all__ = ["Tracker", "TrackerSettings", "TrackingError"]
