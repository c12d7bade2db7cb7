"""The catalog: every program and image of a site, typed and checked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

ROOT = Path(__file__).resolve().parents[2]
"""The project's directory: recipes are below it."""
CATALOG = Path(__file__).with_name("catalog.yml")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]


def _inside(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("write a relative path without '..'")
    return path


Relative = Annotated[str, AfterValidator(_inside)]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]


class CatalogError(ValueError):
    """The catalog cannot be used; the message says which line and what to write instead."""


class Entry(BaseModel):
    """What all artifacts have."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^[0-9][0-9A-Za-z.+-]*$")]
    """Version of what is inside, without a leading v."""
    inputs: tuple[Name, ...] = ()
    """Artifacts it is made from: a program of that name, otherwise an image."""
    seconds: int = Field(default=60, gt=0)
    """Expected duration of the first build."""

    @property
    def is_image(self) -> bool:
        """Whether the result is an OCI image."""
        return isinstance(self, Image | Rootfs | Alias)

    @property
    def id(self) -> str:
        """Unique name: programs by their name, images below ``images/``."""
        return f"images/{self.name}" if self.is_image else self.name


class Tool(Entry):
    """A toolchain from PyPI: ``toolchains/<name>.lock`` names its wheel and hash."""

    kind: Literal["tool"]


class Copy(BaseModel):
    """A file or directory of a Go module that travels with the programs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    module: str
    path: Relative
    to: Relative
    without: tuple[Relative, ...] = ()
    """Parts of the directory that are left out."""
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] | None = None
    """Permission bits of a file, for example ``"0755"``; 0644 otherwise."""


class Go(Entry):
    """Programs compiled from Go modules pinned by ``go/<name>/go.mod`` and ``go.sum``."""

    kind: Literal["go"]
    binaries: dict[Name, str] = Field(min_length=1)
    """File name -> package; with several, a file is called like its package's directory."""
    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    """Linker flags besides ``-s -w``; ``{version}``, ``{major}`` and ``{minor}`` are filled in."""
    vendor_overlay: dict[str, Relative] = {}
    """File in the vendored modules -> file of the recipe that takes its place."""
    copies: tuple[Copy, ...] = ()


class C(Entry):
    """One C file, compiled statically by the machine's gcc."""

    kind: Literal["c"]
    source: Relative
    binary: Name


class Npm(Entry):
    """Node packages pinned by ``npm/<name>/package-lock.json``."""

    kind: Literal["npm"]


class Rootfs(Entry):
    """A Debian root file system with apt, usable as an image."""

    kind: Literal["rootfs"]
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z]+$")]
    packages: tuple[str, ...] = Field(min_length=1)
    environment: dict[str, str] = {}


class Image(Entry):
    """An image built from ``images/<name>/Containerfile``."""

    kind: Literal["image"]
    files: tuple[Relative, ...] = ()
    """Project files that join the recipe directory as build context, at the same relative path."""
    tag: Tag | None = None
    """Fixed tag, where a consumer composes references itself; the content key otherwise."""


class Alias(Entry):
    """An image that is another one under a second name."""

    kind: Literal["alias"]
    of: Name
    tag: Tag | None = None


Artifact = Annotated[Tool | Go | C | Npm | Rootfs | Image | Alias, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Tool | Go | C | Npm | Rootfs | Image | Alias] = TypeAdapter(Artifact)


class Catalog:
    """Artifacts by id, in an order in which each comes after its inputs.

    :raises CatalogError: when names are unknown or double, or inputs form a circle.
    """

    def __init__(self, entries: list[Entry], where: dict[str, str] | None = None) -> None:
        where = where or {}
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            if entry.id in self._entries:
                kind = "an image" if entry.is_image else "a program"
                raise CatalogError(f"{where.get(entry.id, entry.id)}: there is already {kind} {entry.name!r}: "
                                   "remove one of the two or rename it")
            self._entries[entry.id] = entry
        for entry in entries:
            for name in self._needs(entry):
                if not self._find(name, entry):
                    raise CatalogError(f"{where.get(entry.id, entry.id)}: {entry.name!r} is made from {name!r}, which "
                                       "is not in the catalog: write the name of one of its artifacts")
        self.order = tuple(self._ordered())

    @staticmethod
    def _needs(entry: Entry) -> tuple[str, ...]:
        return (entry.of,) if isinstance(entry, Alias) else entry.inputs

    def _find(self, name: str, consumer: Entry) -> Entry | None:
        # an image may be made from the program of its own name, an alias only stands for images
        wanted = [f"images/{name}"] if isinstance(consumer, Alias) else [name, f"images/{name}"]
        return next((self._entries[i] for i in wanted if i in self._entries and i != consumer.id), None)

    def _ordered(self) -> Iterator[Entry]:
        done: set[str] = set()

        def visit(entry: Entry, path: tuple[str, ...]) -> Iterator[Entry]:
            if entry.id in path:
                raise CatalogError(f"inputs form a circle: {' <- '.join([*path, entry.id])}: remove one of them")
            if entry.id in done:
                return
            for needed in self.inputs(entry):
                yield from visit(needed, (*path, entry.id))
            done.add(entry.id)
            yield entry

        for entry in self._entries.values():
            yield from visit(entry, ())

    def inputs(self, entry: Entry) -> tuple[Entry, ...]:
        """Return the artifacts that an entry is directly made from."""
        return tuple(found for name in self._needs(entry) if (found := self._find(name, entry)))

    def get(self, name: str, image: bool | None = None) -> Entry:
        """Return one artifact; with ``image=None`` an image goes before the program it is made from.

        :raises CatalogError: naming what exists.
        """
        candidates = {True: [f"images/{name}"], False: [name], None: [f"images/{name}", name]}[image]
        for candidate in candidates:
            if candidate in self._entries:
                return self._entries[candidate]
        kind = {True: "image", False: "program", None: "artifact"}[image]
        known = sorted({e.name for e in self.order if image is None or e.is_image is image})
        raise CatalogError(f"no {kind} {name!r} in the catalog; there are {', '.join(known)}")

    def closure(self, entries: list[Entry]) -> list[Entry]:
        """Return entries and everything they are made from, inputs first."""
        wanted: set[str] = set()
        todo = list(entries)
        while todo:
            entry = todo.pop()
            if entry.id not in wanted:
                wanted.add(entry.id)
                todo.extend(self.inputs(entry))
        return [e for e in self.order if e.id in wanted]


def read_catalog(path: Path) -> Catalog:
    """Read and check a catalog file.

    :raises CatalogError: with file, line and the remedy.
    """
    text = path.read_text()
    try:
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise CatalogError(f"{path.name}: not YAML: {error}") from error
    if not isinstance(data, dict) or set(data) != {"artifacts"} or not isinstance(data["artifacts"], list):
        raise CatalogError(f"{path.name}: write one key 'artifacts:' with a list of artifacts")
    if not isinstance(root, yaml.MappingNode) or not isinstance(root.value[0][1], yaml.SequenceNode):
        raise CatalogError(f"{path.name}: write one key 'artifacts:' with a list of artifacts")
    lines = [node.start_mark.line + 1 for node in root.value[0][1].value]
    entries: list[Entry] = []
    where: dict[str, str] = {}
    for line, item in zip(lines, data["artifacts"], strict=True):
        try:
            entry = _ADAPTER.validate_python(item)
        except ValidationError as error:
            name = item.get("name", "?") if isinstance(item, dict) else "?"
            problems = "; ".join(f"{'.'.join(str(p) for p in e['loc'][1:]) or 'entry'}: {e['msg']}"
                                 for e in error.errors(include_url=False))
            raise CatalogError(f"{path.name}:{line}: artifact {name!r}: {problems}") from None
        entries.append(entry)
        where[entry.id] = f"{path.name}:{line}"
    return Catalog(entries, where)


@cache
def catalog() -> Catalog:
    """Return the project's catalog."""
    return read_catalog(CATALOG)
