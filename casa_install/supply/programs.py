"""Builders of what is not an image: toolchains, Go and C programs, Node packages."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from casa_install.supply.catalog import C, Copy, Entry, Go, Npm, Tool
from casa_install.supply.runner import CommandError, Runner


@dataclass(frozen=True)
class Job:
    """One build: what, from which files and inputs, into which directory."""

    entry: Entry
    files: Mapping[str, Path]
    """Path in the context -> file."""
    inputs: Mapping[str, Path]
    """Id of an input -> its result."""
    out: Path
    run: Runner

    def lay_out(self, directory: Path) -> Path:
        """Copy the context's files into a directory and return it."""
        for name, path in self.files.items():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        return directory


def build_tool(job: Job, entry: Tool) -> None:
    """Unpack the locked wheel of a toolchain."""
    (lock,) = job.files.values()
    if f"=={entry.version} " not in lock.read_text():
        raise CommandError(f"{lock.name} does not lock version {entry.version} of the catalog")
    job.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-compile",
             "--only-binary", ":all:", "--target", job.out, "-r", lock])


def go_program(toolchain: Path) -> Path:
    """Return the go command inside the unpacked toolchain."""
    return toolchain / "go" / "bin" / "go"


_GO = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def build_go(job: Job, entry: Go) -> None:
    """Compile the programs of a pinned module; go checks every source against go.sum."""
    go = go_program(job.inputs["go"])
    source = job.lay_out(job.out / ".source")
    major, minor, *_ = entry.version.split(".")
    flags = " ".join(["-s -w", *(f.format(version=entry.version, major=major, minor=minor) for f in entry.ldflags)])
    options: list[str | Path] = ["-trimpath", "-ldflags", flags]
    if entry.tags:
        options += ["-tags", ",".join(entry.tags)]
    if entry.vendor_overlay:
        # -e: packages that only the replaced files import cannot be had, which is why these are replaced
        job.run([go, "mod", "vendor", "-e"], source, _GO)
        replace = {str(source / "vendor" / old): str(source / new) for old, new in entry.vendor_overlay.items()}
        (source / "overlay.json").write_text(json.dumps({"Replace": replace}))
        options += ["-mod=vendor", "-overlay", source / "overlay.json"]
    only = next(iter(entry.binaries)) if len(entry.binaries) == 1 else ""
    job.run([go, "build", *options, "-o", f"{job.out}/{only}", *entry.binaries.values()], source, _GO)
    for binary in entry.binaries:
        if not (job.out / binary).is_file():
            raise CommandError(f"go build made no {binary}: the catalog must call it like its package's directory")
    for copy in entry.copies:
        _copy(job, go, source, copy)
    shutil.rmtree(source)


def _copy(job: Job, go: Path, source: Path, copy: Copy) -> None:
    listed = job.run.output([go, "list", "-m", "-json", copy.module], source, _GO)
    origin = Path(json.loads(listed)["Dir"]) / copy.path
    target = job.out / copy.to
    if origin.is_dir():
        shutil.copytree(origin, target, copy_function=shutil.copyfile, ignore=_without(origin, copy.without))
        # the module cache is read-only; whoever uses a result need not care
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, target)
        target.chmod(int(copy.mode or "0644", 8))


def _without(origin: Path, left_out: tuple[str, ...]) -> Callable[[str, list[str]], set[str]]:
    def ignore(directory: str, names: list[str]) -> set[str]:
        return {n for n in names if str((Path(directory) / n).relative_to(origin)) in left_out}

    return ignore


def build_c(job: Job, entry: C) -> None:
    """Compile one C file to a static program."""
    job.run(["gcc", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", job.out / entry.binary,
             job.files[entry.source]])


def build_npm(job: Job, _entry: Npm) -> None:
    """Install the locked Node packages; npm checks every archive's integrity sum and runs none of their scripts."""
    job.lay_out(job.out)
    job.run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"], job.out)
