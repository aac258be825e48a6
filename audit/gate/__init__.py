"""Policy, estimate, verdict, admission."""

from audit.gate.admission import CautionNotAccepted, Stopped, admit, require_same_data, vouched
from audit.gate.policy import Policy, load_policy

__all__ = [
    "CautionNotAccepted",
    "Policy",
    "Stopped",
    "admit",
    "load_policy",
    "require_same_data",
    "vouched",
]
