"""Builders of images: a Debian root by mmdebstrap, the others by buildah; results are OCI layouts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from casa_install.supply.catalog import Entry, Image, Rootfs
from casa_install.supply.programs import Job
from casa_install.supply.runner import CommandError, Runner

LAYOUT = "layout"
"""Directory of the OCI layout in a result."""
_REF = "image"
_LEVEL = "3"
"""gzip level of layers."""


class Containers:
    """buildah's storage in the cache, apart from the machine's own containers."""

    def __init__(self, directory: Path, run: Runner) -> None:
        self._root = directory / "storage"
        # on a tmpfs, because what it says about mounts must not outlive them
        place = Path("/run") if os.access("/run", os.W_OK) else directory
        self.state = place / f"casa-install-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"
        self._run = run
        self._driver = ""

    def prepare(self) -> None:
        """Choose the storage driver and clear what a killed build left; only for who holds the store's lock."""
        self.choose()
        self._run([*self.buildah, "rm", "--all"])

    def choose(self) -> None:
        """Choose the storage driver."""
        self._root.mkdir(parents=True, exist_ok=True)
        for driver in ("overlay", "vfs"):
            self._driver = driver
            try:
                self._run.output([*self.buildah, "images", "-q"])
                break
            except CommandError:
                # overlay does not work on every file system
                continue
        else:
            raise CommandError("buildah works with neither overlay nor vfs storage on this machine")

    @property
    def buildah(self) -> list[str]:
        """The command with its storage."""
        return ["buildah", "--root", str(self._root), "--runroot", str(self.state), "--storage-driver", self._driver]

    def _stored(self, reference: str) -> str:
        return f"containers-storage:[{self._driver}@{self._root}+{self.state}]{reference}"

    def load(self, reference: str, layout: Path) -> None:
        """Have an image in storage, from its layout where needed."""
        try:
            self._run.output([*self.buildah, "inspect", "--type", "image", reference])
        except CommandError:
            self._run(["skopeo", "copy", "--quiet", f"oci:{layout}:{_REF}", self._stored(reference)])

    def save(self, reference: str, layout: Path) -> None:
        """Write an image from storage to a layout, compressed."""
        self._run(["skopeo", "copy", "--quiet", "--dest-compress-format", "gzip", "--dest-compress-level", _LEVEL,
                   self._stored(reference), f"oci:{layout}:{_REF}"])

    def references(self) -> list[str]:
        """Return the names of all images in storage."""
        listed = self._run.output([*self.buildah, "images", "--format", "{{.Name}}:{{.Tag}}"])
        return [line for line in listed.split() if line.startswith("localhost/casa/")]

    def forget(self, reference: str) -> None:
        """Drop an image from storage."""
        self._run([*self.buildah, "rmi", "--force", reference])


def local_reference(entry: Entry, key: str) -> str:
    """Return the name of an image in storage."""
    return f"localhost/casa/{entry.name}:{key[:16]}"


def digest(layout: Path) -> str:
    """Return the digest of the one manifest in a layout."""
    index = json.loads((layout / "index.json").read_text())
    (manifest,) = index["manifests"]
    found: str = manifest["digest"]
    return found


def blobs(layout: Path) -> list[str]:
    """Return the digests of configuration and layers of the one image in a layout."""
    manifest = json.loads((layout / "blobs" / Path(*digest(layout).split(":"))).read_text())
    return [each["digest"] for each in (manifest["config"], *manifest["layers"])]


def size(layout: Path) -> int:
    """Return the compressed size in bytes."""
    return sum(p.stat().st_size for p in (layout / "blobs").rglob("*") if p.is_file())


def write_support(directory: Path, tools: Path, authorities: str, sources: str, settings: Mapping[str, str]) -> None:
    """Write what every RUN finds under /run/supply.

    :param authorities: PEM bundle of the CAs that builds trust.
    :param sources: apt's list of sources.
    :param settings: environment of the package managers.
    """
    shutil.copytree(tools, directory)
    (directory / "ca.crt").write_text(authorities)
    (directory / "sources.list").write_text(sources)
    lines = [f"export {name}='{value}'\n" for name, value in settings.items() if "'" not in value]
    (directory / "environment").write_text("".join(lines))


def build_rootfs(job: Job, entry: Rootfs, containers: Containers, support: Path, reference: str) -> None:
    """Make a Debian root and import it as an image."""
    archive = job.out / "root.tar"
    without = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "info", "locale", "man")]
    # The mirror is this machine's affair and does not stay in the image.
    hook = 'rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/apt.conf.d/*casa-build*'
    job.run(["mmdebstrap", "--variant=apt", f"--include={','.join(entry.packages)}", *without,
             '--aptopt=APT::Install-Recommends "false"', f"--setup-hook={_trust(support)}", f"--customize-hook={hook}",
             entry.suite, archive, support / "sources.list"],
            environment={"SSL_CERT_FILE": str(support / "ca.crt")})
    container = job.run.output([*containers.buildah, "from", "scratch"]).strip()
    job.run([*containers.buildah, "add", "--quiet", container, archive, "/"])
    variables = [word for k, v in sorted(entry.environment.items()) for word in ("--env", f"{k}={v}")]
    job.run([*containers.buildah, "config", *variables, container])
    job.run([*containers.buildah, "commit", "--quiet", "--rm", container, reference])
    archive.unlink()


def _trust(support: Path) -> str:
    """Return a hook that lets apt trust this machine's CAs while mmdebstrap runs."""
    line = f'Acquire::https::CAInfo "{support / "ca.crt"}";'
    return f"mkdir -p \"$1/etc/apt/apt.conf.d\"; echo '{line}' > \"$1/etc/apt/apt.conf.d/00casa-build\""


def build_image(job: Job, entry: Image, containers: Containers, support: Path, shared: Path,
                images: Mapping[str, tuple[str, Path]], reference: str) -> None:
    """Build an image from its Containerfile.

    :param images: name of each input that is an image -> its reference and layout.
    """
    for name, (_, layout) in images.items():
        if not layout.is_dir():
            raise CommandError(f"input {name} has no layout")
    context = job.lay_out(job.out / ".context")
    shared.mkdir(parents=True, exist_ok=True)
    options = ["--isolation", "chroot", "--layers=false", "--pull-never", "--identity-label=false",
               "--volume", f"{support}:/run/supply:ro", "--volume", f"{context}:/run/context:ro",
               "--volume", f"{shared}:/run/supply-cache"]
    for name, (base, layout) in images.items():
        containers.load(base, layout)
        options += ["--build-arg", f"{name.upper().replace('-', '_')}={base}"]
    for name, path in job.inputs.items():
        if not name.startswith("images/"):
            options += ["--build-context", f"{name}={path}"]
    job.run([*containers.buildah, "build", *options, "--file", context / "Containerfile", "--tag", reference, context])
    shutil.rmtree(context)
