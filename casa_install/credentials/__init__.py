"""The only room that sees private keys: site CA, signing keys, tokens, passwords.

Everything is made once, kept in the site's vault and given out by name; nothing here is ever printed.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jwt

from casa_install.credentials import authority, idtokens
from casa_install.credentials.authority import Pair
from casa_install.credentials.vault import Vault, VaultError, key_file

if TYPE_CHECKING:  # the site is read with this room's help, so this room must not load it
    from casa_install.site.model import Site

__all__ = ["Credentials", "Pair", "Vault", "VaultError"]

DAEMON_TOKEN_SECONDS = 365 * 86400


class Credentials:
    """Credentials of one site.

    :raises VaultError: from any method, when the vault does not open.
    """

    def __init__(self, site: Site) -> None:
        self._domain = site.settings.domain
        self.vault = Vault(site.state / "vault", key_file(site.inventory))

    def _authority(self) -> Pair:
        with self.vault.entries() as entries:
            if "ca" not in entries:
                made = authority.make_authority(self._domain)
                entries["ca"] = {"certificate": made.certificate, "key": made.key}
            return Pair(**entries["ca"])

    @property
    def ca_certificate(self) -> str:
        """PEM certificate of the site CA."""
        return self._authority().certificate

    def certificate(self, name: str, sans: Sequence[str]) -> Pair:
        """A certificate of the site CA: the same in every run until its names change or it nears its end."""
        ca = self._authority()
        with self.vault.entries() as entries:
            kept = entries.get(f"certificate {name}")
            if not kept or kept["sans"] != list(sans) or authority.expires_soon(kept["certificate"]):
                made = authority.make_leaf(ca, name, sans)
                kept = {"sans": list(sans), "certificate": made.certificate, "key": made.key}
                entries[f"certificate {name}"] = kept
            return Pair(kept["certificate"], kept["key"])

    def _kept(self, label: str, value: str) -> str:
        with self.vault.entries() as entries:
            return str(entries.setdefault(label, value))

    def secret(self, name: str, nbytes: int = 32) -> str:
        """Random hexadecimal text of ``2 * nbytes`` characters, the same in every run."""
        return self._kept(f"secret {name}", secrets.token_hex(nbytes))

    def secret_bytes(self, name: str, nbytes: int) -> str:
        """Base64 of ``nbytes`` random bytes, the same in every run."""
        return self._kept(f"bytes {name}", base64.b64encode(secrets.token_bytes(nbytes)).decode())

    def condor_key(self, name: str) -> str:
        """Base64 of the content of an HTCondor signing-key file (``POOL`` or ``USERS``)."""
        return self._kept(f"condor key {name}", base64.b64encode(idtokens.make_key_file()).decode())

    def condor_token(self, subject: str, scopes: Sequence[str], key: str = "POOL") -> str:
        """An IDTOKEN for a daemon, the same in every run until half of its year is over."""
        label = f"condor token {key} {subject} {' '.join(scopes)}"
        with self.vault.entries() as entries:
            token = entries.get(label)
            if token:
                end = jwt.decode(token, options={"verify_signature": False})["exp"]
                if end - time.time() > DAEMON_TOKEN_SECONDS / 2:
                    return str(token)
            token = idtokens.mint(base64.b64decode(self.condor_key(key)), key, self._domain, subject, scopes,
                                  DAEMON_TOKEN_SECONDS)
            entries[label] = token
            return str(token)
