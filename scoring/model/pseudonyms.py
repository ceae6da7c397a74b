"""Pseudonyms of leads in evidence: HMAC-SHA256 with a key that only the installation has.

Without the key nobody can find a lead by trying ids. With another key, pseudonyms do not match: nothing
fails, the leads of the evidence are then other leads.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from features.errors import SettingsError
from features.files import load_or_make_secret

KEY_FILE, KEY_FILE_VARIABLE = "pseudonym.key", "HOTLEAD_PSEUDONYM_KEY_FILE"
KEY_ID = "hotlead.key"
"""The entry of an evidence table that names the key of its pseudonyms."""
_MIN_BYTES, _LENGTH, _KEY_ID_LENGTH = 16, 16, 8


@dataclass(frozen=True)
class Pseudonyms:
    """The pseudonyms under one key."""

    key: bytes = field(repr=False)

    @staticmethod
    def load(path: Path) -> Pseudonyms:
        """Those of a key file, which is made if it does not exist.

        Raises OutsideError, and SettingsError for a file that is too short for a key.
        """
        key = load_or_make_secret(path).strip()
        if len(key) < _MIN_BYTES:
            raise SettingsError(
                "{path}: holds no key: it needs {least} bytes or more. Restore it, "
                "or delete it for a new one.",
                path=path,
                least=_MIN_BYTES,
            )
        return Pseudonyms(key)

    @property
    def key_id(self) -> str:
        """What distinguishes the key from others, and does not reveal it."""
        return self.digest("key", "")[:_KEY_ID_LENGTH]

    def derive(self, lead_id: str) -> str:
        """The pseudonym of a lead id: 16 hex digits."""
        return self.derive_from_former(former_pseudonym(lead_id))

    def derive_from_former(self, name: str) -> str:
        """The pseudonym of the lead that had one without a key."""
        return self.digest("evidence", name)[:_LENGTH]

    def digest(self, purpose: str, text: str) -> str:
        """The HMAC (64 hex digits) of a text; those of different purposes have nothing in common."""
        return hmac.digest(self.key, f"{purpose}:{text}".encode(), "sha256").hex()


def key_file(out: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the key of an output folder is: as HOTLEAD_PSEUDONYM_KEY_FILE says, else in the folder."""
    named = environ.get(KEY_FILE_VARIABLE)
    return Path(named).expanduser() if named else out / KEY_FILE


def former_pseudonym(lead_id: str) -> str:
    """The pseudonym of a lead id in evidence of earlier versions: a hash without a key."""
    return hashlib.sha256(f"hotlead:{lead_id}".encode()).hexdigest()[:_LENGTH]


def read_key_id(schema: pa.Schema) -> str:
    """Which key the pseudonyms of an evidence table have; empty for one of an earlier version."""
    return str((schema.metadata or {}).get(KEY_ID.encode(), b"").decode())
