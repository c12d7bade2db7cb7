"""Programs and images of a site with versions and checksums, and every package that is pinned inside of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from casa_install.phases import CLUSTER_IMAGES, PROGRAMS, USER_IMAGES
from casa_install.report.debian import debian_packages
from casa_install.supply import Supply
from casa_install.supply.catalog import Alias, Entry, Rootfs, Tool
from casa_install.supply.images import LAYOUT
from casa_install.supply.keys import context_files
from casa_install.supply.store import RESULT


@dataclass(frozen=True)
class Package:
    """A package in a program or image; ``hashes`` are (algorithm, hex) of the files that are accepted for it."""

    ecosystem: str
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...] = ()
    go_sum: str | None = None
    """The checksum database's word for a Go module: a hash over its tree, not over one file."""

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:{self.ecosystem}/{self.name.replace('@', '%40')}@{self.version.replace('+', '%2B')}"


@dataclass(frozen=True)
class Artifact:
    """A program or image: ``key`` is the SHA-256 of all that decides it, ``files`` those of what a build gave."""

    id: str
    name: str
    kind: str
    version: str
    key: str
    built: bool
    reference: str | None
    """Where hosts pull an image from."""
    files: tuple[tuple[str, str], ...]
    """(file or ``manifest``, SHA-256 in hex)."""
    inputs: tuple[str, ...]
    packages: tuple[Package, ...]
    debian: tuple[Package, ...]
    """Debian's packages in an image that is built: Debian's signed archive decides their versions, no lock."""


def artifacts(supply: Supply) -> list[Artifact]:
    """Every artifact that the site uses or that another is made from, inputs first."""
    used = supply.catalog.closure([supply.catalog.get(name) for name in (*PROGRAMS, *CLUSTER_IMAGES, *USER_IMAGES)])
    programs = [supply.catalog.get(name, image=False) for name in PROGRAMS]
    wanted = {entry.id for entry in [*used, *supply.catalog.closure(programs)]}
    served = {*CLUSTER_IMAGES, *USER_IMAGES}
    return [_artifact(supply, entry, served) for entry in supply.catalog.order if entry.id in wanted]


def _artifact(supply: Supply, entry: Entry, served: set[str]) -> Artifact:
    source = supply.catalog.inputs(entry)[0] if isinstance(entry, Alias) else entry
    key = supply.key(source)
    built = supply.store.holds(source, key)
    return Artifact(
        entry.id, entry.name, "image" if entry.is_image else "toolchain" if isinstance(entry, Tool) else "program",
        entry.version, key, built, supply.image(entry.name) if entry.is_image and entry.name in served else None,
        tuple(_checksums(supply.store.directory(source, key), source)) if built else (),
        tuple(each.id for each in supply.catalog.inputs(entry)), tuple(_packages(entry)),
        tuple(Package("deb", f"debian/{name}", version) for name, version in
              debian_packages(supply.store.directory(source, key) / LAYOUT)) if built and entry.is_image else ())


def _checksums(result: Path, entry: Entry) -> Iterator[tuple[str, str]]:
    """SHA-256 of an image's manifest, or of each file of a program; package trees are known by their locks."""
    if entry.is_image:
        manifests = json.loads((result / LAYOUT / "index.json").read_text())["manifests"]
        yield "manifest", manifests[0]["digest"].removeprefix("sha256:")
        return
    for file in sorted(result.iterdir()):
        if file.is_file() and file.name != RESULT:
            with file.open("rb") as stream:
                yield file.name, hashlib.file_digest(stream, "sha256").hexdigest()


def _packages(entry: Entry) -> Iterator[Package]:
    if isinstance(entry, Rootfs | Alias):
        return
    for name, file in context_files(entry).items():
        if name == "go.mod":
            yield from go_modules(file)
        elif name.endswith(".lock") and "/" not in name.removeprefix("casa_install/supply/toolchains/"):
            yield from python_packages(file)
        elif name == "package-lock.json":
            yield from node_packages(file)


_GO_LINE = re.compile(r"^(?:require\s+)?\s*(\S+) (v\S+)")
_GO_REPLACE = re.compile(r"^(?:replace\s+)?\s*(\S+)(?: v\S+)? => (\S+)(?: (v\S+))?")


def go_modules(file: Path) -> list[Package]:
    """The modules that a ``go.mod`` requires, replacements in place, with their checksums of the ``go.sum`` beside it.

    A module that is replaced by a folder of the project's own is none of them.
    """
    text = re.sub(r"//.*", "", file.read_text())
    replaced = {m[1]: (m[2], m[3]) for line in text.splitlines() if (m := _GO_REPLACE.match(line))}
    sums = dict(re.findall(r"^(\S+ v\S+?) (h1:\S+)$", file.with_name("go.sum").read_text(), re.MULTILINE))
    found = []
    for line in text.splitlines():
        if "=>" in line or not (match := _GO_LINE.match(line)):
            continue
        name, version = replaced.get(match[1], (match[1], match[2]))
        if version:
            found.append(Package("golang", name, version, go_sum=sums.get(f"{name} {version}")))
    return found


def python_packages(file: Path) -> list[Package]:
    """What a pip lock file pins."""
    found = []
    for block in re.split(r"\n(?=\S)", file.read_text()):
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", block):
            hashes = tuple(("SHA-256", each) for each in re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            found.append(Package("pypi", re.sub(r"[-_.]+", "-", match[1]).lower(), match[2], hashes))
    return found


def node_packages(file: Path) -> list[Package]:
    """What an npm lock file pins."""
    found = []
    for place, entry in json.loads(file.read_text())["packages"].items():
        if place and "version" in entry:
            algorithm, _, digest = entry.get("integrity", "").partition("-")
            hashes = (("SHA-512", base64.b64decode(digest).hex()),) if algorithm == "sha512" else ()
            found.append(Package("npm", place.rpartition("node_modules/")[2], entry["version"], hashes))
    return found
