"""Signed heads of the audit chain: kept elsewhere, they show later that nothing before them was changed.

Ed25519. Whoever holds the database but not the private key can't make a head; keep the key away from both. Knows no
database.
"""

import json
import os
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import AwareDatetime, ValidationError

from models.domain import Frozen
from models.errors import InputError
from serving.audit import AuditHead


class SignedHead(Frozen):
    """A head with when it was exported. signature : Ed25519 over the other fields, in hex"""

    head: AuditHead
    exported_at: AwareDatetime
    signature: str

    @property
    def signed(self) -> bytes:
        return _signed(self.head, self.exported_at)


def make_key(path: Path) -> Path:
    """Write a new private key to `path`, for its owner only, and the public one beside it; return the latter's path.

    Raises InputError when `path` is taken or can't be written.
    """
    key = Ed25519PrivateKey.generate()
    public = path.with_suffix(".pub.pem")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", field=str(path)) from error
    return public


def sign_head(head: AuditHead, *, key_file: Path, at: datetime) -> SignedHead:
    """Raises InputError when the file holds no Ed25519 private key."""
    key = _read(key_file, private=True)
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("is no Ed25519 private key", field=str(key_file))
    return SignedHead(head=head, exported_at=at, signature=key.sign(_signed(head, at)).hex())


def read_heads(path: Path, *, public_key_file: Path) -> list[AuditHead]:
    """Return the heads of a file, one a line, each signature checked. Raises InputError naming the line."""
    public = _read(public_key_file, private=False)
    if not isinstance(public, Ed25519PublicKey):
        raise InputError("is no Ed25519 public key", field=str(public_key_file))
    heads = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", field=str(path)) from error
    for number, line in enumerate(lines, start=1):
        try:
            signed = SignedHead.model_validate_json(line)
            public.verify(bytes.fromhex(signed.signature), signed.signed)
        except (ValidationError, ValueError) as error:
            raise InputError(f"line {number} is no signed head", field=str(path)) from error
        except InvalidSignature as error:
            raise InputError(f"line {number} wasn't signed with this key", field=str(path)) from error
        heads.append(signed.head)
    if not heads:
        raise InputError("holds no head", field=str(path))
    return heads


def append_head(path: Path, head: SignedHead) -> None:
    """Add a head to a file of heads. Raises InputError when it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(head.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", field=str(path)) from error


def _read(path: Path, *, private: bool) -> object:
    try:
        data = path.read_bytes()
        return load_pem_private_key(data, password=None) if private else load_pem_public_key(data)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", field=str(path)) from error
    except (ValueError, TypeError) as error:
        raise InputError("holds no key in PEM form", field=str(path)) from error


def _signed(head: AuditHead, at: datetime) -> bytes:
    content = {"place": head.place, "digest": head.digest, "exported_at": at.isoformat()}
    return b"evidence-review audit head\n" + json.dumps(content, sort_keys=True).encode()
