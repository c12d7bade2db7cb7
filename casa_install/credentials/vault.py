"""The site's vault: one ansible-vault file in the state folder, its key outside of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

VAULT_ID = "casa"


def key_file(inventory: Path) -> Path:
    """Where the vault key of this inventory lies: in the admin's own configuration folder.

    The path is part of the name, so that two copies of one inventory never share a key.
    """
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    digest = hashlib.sha256(str(inventory).encode()).hexdigest()[:12]
    return config / "casa-install" / f"{inventory.parent.name}-{digest}.key"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, so that a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


class VaultError(Exception):
    """The vault cannot be opened; the message says which file and what to do."""


class Vault:
    """A mapping of names to YAML values, encrypted at rest."""

    def __init__(self, path: Path, key: Path) -> None:
        self.path = path
        self.key = key
        self._lock = threading.RLock()
        self._entries: dict[str, Any] | None = None

    def _lib(self) -> VaultLib:
        if not self.key.exists():
            if self.path.exists():
                raise VaultError(f"{self.path} is there but its key {self.key} is not: put the key back, or move the "
                                 "vault away to begin with new credentials")
            write_private(self.key, secrets.token_urlsafe(48).encode() + b"\n")
        # ansible strips the file's white space when it reads a password file; so must we
        return VaultLib([(VAULT_ID, VaultSecret(self.key.read_bytes().strip()))])

    def encrypt(self, text: str) -> bytes:
        """The text as an ansible-vault file under the site's key."""
        sealed = self._lib().encrypt(text, vault_id=VAULT_ID)
        return bytes(sealed)

    def _load(self) -> dict[str, Any]:
        if self._entries is None:
            lib = self._lib()
            if self.path.exists():
                try:
                    self._entries = yaml.safe_load(lib.decrypt(self.path.read_bytes()))
                except Exception as error:
                    raise VaultError(f"{self.path} does not open with the key {self.key}: {error}") from None
            else:
                self._entries = {}
        assert self._entries is not None
        return self._entries

    @contextlib.contextmanager
    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries for reading and changing; what changed is written when the block ends."""
        with self._lock:
            entries = self._load()
            before = yaml.safe_dump(entries)
            yield entries
            after = yaml.safe_dump(entries)
            if after != before:
                write_private(self.path, self.encrypt(after))
