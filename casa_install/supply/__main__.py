"""For developers: ``python -m casa_install.supply list | build NAME… | key NAME | lock NAME | shell NAME | prune``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from casa_install.machine import MachineError
from casa_install.mirror import NoMirrorError
from casa_install.supply import Supply, SupplyError, cache_directory
from casa_install.supply import images as pictures
from casa_install.supply.catalog import ROOT, Alias, CatalogError, Entry
from casa_install.supply.runner import Runner
from casa_install.supply.supply import duration, readable

_PYTHON = "3.13"
"""Of the base image."""


def show(supply: Supply) -> None:
    """Print every artifact: what is there, how big, and how long its build took or may take."""
    for entry in supply.catalog.order:
        if isinstance(entry, Alias):
            print(f"{entry.name:28} {entry.version:10} {'alias':7} of {entry.of}")
            continue
        kind = type(entry).__name__.lower()
        try:
            key = supply.key(entry)
        except FileNotFoundError as error:
            print(f"{entry.name:28} {entry.version:10} {kind:7} {error}")
            continue
        state = f"missing, about {duration(supply.store.expected(entry))}"
        if supply.store.holds(entry, key):
            directory = supply.store.directory(entry, key)
            total = sum(p.stat().st_size for p in directory.rglob("*") if p.is_file() and not p.is_symlink())
            state = f"{total / 1e6:7.1f} MB, {supply.store.about(entry, key)['seconds']} s"
        print(f"{entry.name:28} {entry.version:10} {kind:7} {key[:16]} {state}")


def lock(supply: Supply, name: str) -> None:
    """Write an image's requirements.lock from its requirements.in."""
    recipe = ROOT / "images" / name
    supply.ensure(["uv"], print)
    result = subprocess.run(
        [supply.path("uv") / "bin" / "uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate",
         "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--python-version", _PYTHON,
         "--python-platform", "x86_64-manylinux_2_40", "requirements.in", "-o", "requirements.lock"],
        cwd=recipe, check=False)
    if result.returncode:
        raise SystemExit(result.returncode)
    print(recipe / "requirements.lock")


def shell(supply: Supply, name: str) -> None:
    """Print the commands that open a shell in an image."""
    entry: Entry = supply.catalog.get(name, image=True)
    reference = pictures.local_reference(entry, supply.key(entry))
    with tempfile.TemporaryFile("w+") as log:
        containers = pictures.Containers(supply.store.containers, Runner(log, {}, lambda: None))
        containers.choose()
        containers.load(reference, supply.layout(name))
    command = " ".join(containers.buildah)
    print(f"c=$({command} from --pull-never {reference}); {command} run --isolation chroot $c -- /bin/sh; "
          f"{command} rm $c")


def main(arguments: list[str]) -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m casa_install.supply", description=__doc__)
    parser.add_argument("--cache", type=Path, default=cache_directory())
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    verbs.add_parser("prune")
    verbs.add_parser("build").add_argument("names", nargs="*", metavar="NAME")
    for verb in ("key", "lock", "shell"):
        verbs.add_parser(verb).add_argument("name", metavar="NAME")
    options = parser.parse_args(arguments)
    supply = Supply("registry.invalid:5000", options.cache)
    match options.verb:
        case "list":
            show(supply)
        case "prune":
            print("\n".join(str(p) for p in supply.prune()))
        case "build":
            names = options.names or [e.name for e in supply.catalog.order]
            supply.ensure(names, lambda line: print(line, flush=True))
        case "key":
            print(supply.key(supply.catalog.get(options.name)))
        case "lock":
            lock(supply, options.name)
        case "shell":
            shell(supply, options.name)


if __name__ == "__main__":
    with readable((SupplyError, CatalogError, MachineError, NoMirrorError, FileNotFoundError)):
        main(sys.argv[1:])
