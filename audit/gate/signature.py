"""Signed reports: an in-toto statement in a DSSE envelope, signed with Ed25519.

The statement (https://github.com/in-toto/attestation, v1) has one subject, the report's file, and
the predicate `test-result` v0.1. The envelope (https://github.com/secure-systems-lab/dsse) lies
beside the report. Other in-toto tools can read both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.audit.gate.read import NoVerdict
from asr_gate.audit.records.report import REPORT_FILE, SIGNATURE_FILE, Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically
from asr_gate.corpus.strict import parse_json, read_json

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
RESULT = {"PROCEED": "PASSED", "CAUTION": "WARNED", "STOP": "FAILED", "NO_VERDICT": "FAILED"}


def sign(report: Report, folder: Path, private_key: Path) -> Path:
    """Sign a report, and write the signature beside it.

    Args:
        report: as it stands in `folder`, verified.
        folder: of the audit.
        private_key: Ed25519, PEM (PKCS #8), without a passphrase.

    Returns:
        The signature's file.

    Raises:
        UserError: the key cannot be read or is of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    try:
        key = load_pem_private_key(_read_key(private_key), password=None)
    except TypeError as error:
        raise UserError(
            f"{private_key}: is protected by a passphrase; sign with a key without one, kept where "
            "only the signer can read it"
        ) from error
    except ValueError as error:
        raise UserError(f"{private_key}: not a private key in PEM; {_MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{private_key}: not an Ed25519 key; {_MAKE}")
    statement = _statement(report)
    envelope = Envelope(json.dumps(statement, sort_keys=True).encode(), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key))
    path = folder / SIGNATURE_FILE
    write_atomically(path, (json.dumps(envelope.to_dict()) + "\n").encode())
    return path


_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out FILE"


def _statement(report: Report) -> dict[str, Any]:
    policy = json.dumps(report.policy, sort_keys=True).encode()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": REPORT_FILE,
                "digest": {"sha256": hashlib.sha256(report.to_bytes()).hexdigest()},
            }
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": RESULT[report.decision],
            "configuration": [
                {"name": "policy", "digest": {"sha256": hashlib.sha256(policy).hexdigest()}}
            ],
        },
    }


def verify(report: Report, name: str, folder: Path, public_key: Path) -> None:
    """Check the signature that lies beside a report.

    Args:
        report: as read, whose bytes are its only spelling.
        name: of the report, for the message.
        folder: of the audit.
        public_key: Ed25519, PEM.

    Raises:
        NoVerdict: there is no signature, or it is not this key's for this report.
        UserError: the key cannot be read or is of another kind.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    key = _public_key(public_key)
    path = folder / SIGNATURE_FILE
    try:
        content = read_json(path)
        envelope = Envelope.from_dict(content)
        envelope.verify([key], 1)
        signed = parse_json(envelope.payload)
    except FileNotFoundError as error:
        mend = f"asr sign {folder} --key FILE"
        if name.startswith("wandb:"):
            mend = "asr sign REPORT --key FILE, then asr report publish REPORT"
        raise NoVerdict(
            f"{name}: not signed ({SIGNATURE_FILE} is missing); sign it with: {mend}"
        ) from error
    except (
        Error,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise NoVerdict(
            f"{path}: not a signature by {public_key} ({type(error).__name__}); sign the report "
            "again, or name the right key"
        ) from error
    if envelope.payload_type != PAYLOAD_TYPE or signed != _statement(report):
        raise NoVerdict(f"{path}: the signature is for another report than {name}; sign it again")


def _public_key(path: Path) -> SSlibKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        key = load_pem_public_key(_read_key(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(
            f"{path}: not a public key in PEM; make it with: openssl pkey -in KEY -pubout -out FILE"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(f"{path}: not an Ed25519 key; {_MAKE}")
    return SSlibKey.from_crypto(key)


def _read_key(path: Path) -> bytes:
    try:
        return read_regular(path, SETTINGS_LIMIT)
    except OSError as error:
        raise UserError(
            f"{path}: the key cannot be read ({error.strerror}); check path and permissions"
        ) from error
