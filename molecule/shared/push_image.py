"""Pushes a very small image to a registry, over its HTTP interface alone.

Usage: ``push_image.py HOST:PORT REPOSITORY TAG USER``; the password is read from standard input.
The image holds busybox and a file ``/tag`` with its tag. Needs /bin/busybox (static).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import sys
import tarfile
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit


class Registry:
    """One repository of a registry."""

    def __init__(self, address: str, repository: str, user: str, password: str) -> None:
        self._base = f"https://{address}/v2/{repository}"
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _send(self, method: str, url: str, body: bytes | None = None, kind: str = "application/octet-stream") -> str:
        headers = {"Authorization": self._authorization, "Content-Type": kind}
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - always https
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(answer.headers.get("Location", ""))

    def blob(self, content: bytes, kind: str) -> dict[str, object]:
        """Upload a blob; returns its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = urlsplit(self._send("POST", f"{self._base}/blobs/uploads/", b""))
        home = urlsplit(self._base)
        query = "&".join(filter(None, [place.query, urlencode({"digest": digest})]))
        self._send("PUT", urlunsplit((home.scheme, home.netloc, place.path, query, "")), content)
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def manifest(self, tag: str, content: dict[str, object]) -> None:
        """Give an uploaded image its name."""
        kind = str(content["mediaType"])
        self._send("PUT", f"{self._base}/manifests/{tag}", json.dumps(content).encode(), kind)


def layer(tag: str) -> bytes:
    """The image's files as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "proc", "dev", "sys"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content, mode in (
            ("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755),
            ("tag", tag.encode(), 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for name in ("sh", "cat", "sleep", "id"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def main() -> None:
    """Make and push."""
    address, repository, tag, user = sys.argv[1:]
    registry = Registry(address, repository, user, sys.stdin.read().strip())
    files = layer(tag)
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(files).hexdigest()}"]},
    }
    prefix = "application/vnd.oci.image"
    registry.manifest(tag, {
        "schemaVersion": 2,
        "mediaType": f"{prefix}.manifest.v1+json",
        "config": registry.blob(json.dumps(configuration).encode(), f"{prefix}.config.v1+json"),
        "layers": [registry.blob(gzip.compress(files, mtime=0), f"{prefix}.layer.v1.tar+gzip")],
    })


if __name__ == "__main__":
    main()
