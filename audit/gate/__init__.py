"""What admits training: the report is read, verified against the data, and its decision heeded."""

from asr_gate.audit.gate.admission import (
    CautionNotAccepted,
    Stopped,
    authorise,
    require_same_data,
    verify,
)
from asr_gate.audit.gate.leaks import LEAKS, find_leaks
from asr_gate.audit.gate.read import (
    NoVerdict,
    check_tables,
    find_latest,
    read_report,
    same_manifests,
)
from asr_gate.audit.gate.remote import WANDB, downloaded

__all__ = [
    "LEAKS",
    "WANDB",
    "CautionNotAccepted",
    "NoVerdict",
    "Stopped",
    "authorise",
    "check_tables",
    "downloaded",
    "find_latest",
    "find_leaks",
    "read_report",
    "require_same_data",
    "same_manifests",
    "verify",
]
