"""Policy, estimate, verdict, admission."""

from asr_gate.audit.gate.admission import (
    CautionNotAccepted,
    Stopped,
    admit,
    require_same_data,
    vouched,
)
from asr_gate.audit.gate.policy import Policy, load_policy

__all__ = [
    "CautionNotAccepted",
    "Policy",
    "Stopped",
    "admit",
    "load_policy",
    "require_same_data",
    "vouched",
]
