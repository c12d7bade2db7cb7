"""Content keys: the name of a result, computed from everything that decides it."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

from casa_install.supply.catalog import ROOT, C, Catalog, Entry, Go, Image, Npm, Tool

SUPPLY = Path("casa_install/supply")
TOOLS = SUPPLY / "tools"
"""Helpers bound into image builds."""
FORMAT = 1
"""Raised when a builder changes so that results of the same recipe differ."""
_UNKEYED = ("seconds",)
_IGNORED_DIRECTORIES = {"tests", "__pycache__"}
_IGNORED_SUFFIXES = {".md", ".pyc"}
_IGNORED_NAMES = {"requirements.in"}


def recipe_directory(entry: Entry, root: Path = ROOT) -> Path | None:
    """Return the directory whose files make the entry, if it has one."""
    match entry:
        case Go():
            return root / SUPPLY / "go" / entry.name
        case Npm():
            return root / SUPPLY / "npm" / entry.name
        case Image():
            return root / "images" / entry.name
    return None


def context_files(entry: Entry, root: Path = ROOT) -> dict[str, Path]:
    """Return path in the build context -> file, without tests, notes and hidden files.

    :raises FileNotFoundError: when a file that the catalog names is not there.
    """
    files: dict[str, Path] = {}
    directory = recipe_directory(entry, root)
    if directory:
        for path in sorted(directory.rglob("*")):
            relative = path.relative_to(directory)
            if path.is_file() and not _ignored(relative):
                files[str(relative)] = path
        if not files:
            raise FileNotFoundError(f"{entry.name}: no recipe: put files into {directory.relative_to(root)}/")
    named: tuple[str, ...] = ()
    match entry:
        case Image():
            named = entry.files
        case C():
            named = (entry.source,)
        case Tool():
            named = (str(SUPPLY / "toolchains" / f"{entry.name}.lock"),)
    for name in named:
        if not (root / name).is_file():
            raise FileNotFoundError(f"{entry.name}: the catalog names {name}, which does not exist")
        files[name] = root / name
    return files


def _ignored(relative: Path) -> bool:
    return (
        any(part.startswith(".") or part in _IGNORED_DIRECTORIES for part in relative.parts)
        or relative.suffix in _IGNORED_SUFFIXES
        or relative.name in _IGNORED_NAMES
    )


class Keys:
    """Keys of a catalog's entries, computed on demand and then kept."""

    def __init__(self, catalog: Catalog, root: Path = ROOT) -> None:
        self._catalog = catalog
        self._root = root
        self._known: dict[str, str] = {}

    def key(self, entry: Entry) -> str:
        """Return the SHA-256 (hex) over entry, recipe files, inputs' keys and processor type."""
        if entry.id not in self._known:
            self._known[entry.id] = self._compute(entry)
        return self._known[entry.id]

    def _compute(self, entry: Entry) -> str:
        files = {name: _digest(path) for name, path in context_files(entry, self._root).items()}
        tools = {p.name: _digest(p) for p in self._tools(entry)}
        text = json.dumps(
            {
                "format": FORMAT,
                "machine": platform.machine(),
                "entry": {k: v for k, v in entry.model_dump(mode="json").items() if k not in _UNKEYED},
                "files": files,
                "tools": tools,
                "inputs": {e.id: self.key(e) for e in self._catalog.inputs(entry)},
            },
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def _tools(self, entry: Entry) -> list[Path]:
        """Return the helpers that an image's recipe calls."""
        if not isinstance(entry, Image):
            return []
        recipe = b"\n".join(p.read_bytes() for p in context_files(entry, self._root).values())
        return [p for p in sorted((self._root / TOOLS).iterdir()) if f"/run/supply/{p.name}".encode() in recipe]


def _digest(path: Path) -> str:
    executable = "x" if path.stat().st_mode & 0o111 else "-"
    return executable + hashlib.sha256(path.read_bytes()).hexdigest()
