"""One `Tracker` that logs to Weights & Biases and TensorBoard, for audit, train and eval.

    from asr_gate.tracking import Tracker

    with Tracker(enabled=True, project="speech", tensorboard="runs/first/tensorboard") as tracker:
        tracker.init(run_name="first", config={"seed": 7})
        tracker.log_metrics({"train/loss": 1.5}, step=10)

Importing this package imports neither wandb nor torch. A tracker that is not enabled and has no
folder for TensorBoard never imports them. `python -m asr_gate.tracking.demo` shows everything.
"""

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.settings import TrackerSettings
from asr_gate.tracking.tables import Clip
from asr_gate.tracking.tracker import Tracker

__all__ = ["Clip", "Tracker", "TrackerSettings", "TrackingError"]
