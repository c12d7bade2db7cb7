"""Pushes images from their layouts to the site registry."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
from http import HTTPStatus
from pathlib import Path

from casa_install.supply.images import blobs, digest
from casa_install.supply.runner import Runner

_MANIFESTS = ", ".join([
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])
_TIMEOUT = 20


class RegistryError(RuntimeError):
    """The registry cannot be reached or refuses; the message says what to check."""


class Registry:
    """A registry by ``address:port``; the address need not be the name that images carry.

    :param authority: PEM of the CA that signed the registry's certificate.
    :param login: user and password, if pushing needs them.
    """

    def __init__(self, address: str, authority: str, login: tuple[str, str] | None = None) -> None:
        self.address = address
        self._authority = authority
        self._context = ssl.create_default_context(cadata=authority)
        self._token = base64.b64encode(":".join(login).encode()).decode() if login else ""

    def digest(self, repository: str, tag: str) -> str | None:
        """Return the digest that the registry has under a name.

        :raises RegistryError: when it does not answer as a registry.
        """
        answer = self._head(repository, f"manifests/{tag}")
        return answer.getheader("Docker-Content-Digest") if answer else None

    def holds(self, layout: Path, repository: str, tag: str) -> bool:
        """Whether the registry has an image under a name with all that it is made of.

        :raises RegistryError: when it does not answer as a registry.
        """
        return (self.digest(repository, tag) == digest(layout)
                and all(self._head(repository, f"blobs/{blob}") for blob in blobs(layout)))

    def _head(self, repository: str, place: str) -> http.client.HTTPResponse | None:
        """What the registry says of a place in a repository; None when it has nothing there."""
        headers = {"Accept": _MANIFESTS} | ({"Authorization": f"Basic {self._token}"} if self._token else {})
        connection = http.client.HTTPSConnection(self.address, timeout=_TIMEOUT, context=self._context)
        try:
            connection.request("HEAD", f"/v2/{repository}/{place}", headers=headers)
            answer = connection.getresponse()
        except OSError as error:
            raise RegistryError(f"registry {self.address}: {error}: is its service running and is its certificate "
                                "from the site's CA?") from error
        finally:
            connection.close()
        if answer.status == HTTPStatus.OK:
            return answer
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        raise RegistryError(f"registry {self.address} answers {answer.status} {answer.reason} for {repository}")

    def push(self, layout: Path, repository: str, tag: str, run: Runner) -> bool:
        """Push an image unless the registry has it; return whether anything was pushed.

        :raises RegistryError: when the registry cannot be asked.
        :raises CommandError: when the push fails.
        """
        if self.holds(layout, repository, tag):
            return False
        with tempfile.TemporaryDirectory() as place:
            trust = Path(place) / "certs"
            trust.mkdir()
            (trust / "ca.crt").write_text(self._authority)
            command: list[str | Path] = ["skopeo", "copy", "--quiet", "--preserve-digests",
                                        "--dest-cert-dir", trust]
            if self._token:
                # a password has no place on a command line
                secret = Path(place) / "auth.json"
                descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    json.dump({"auths": {self.address: {"auth": self._token}}}, file)
                command += ["--dest-authfile", secret]
            run([*command, f"oci:{layout}:image", f"docker://{self.address}/{repository}:{tag}"])
        return True
