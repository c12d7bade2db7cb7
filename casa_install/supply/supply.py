"""The door of this room: what an artifact is called, where it is, and making it be there."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from casa_install.machine import ensure_packages
from casa_install.mirror import machine_mirror, security_mirror
from casa_install.supply import images, programs, trust
from casa_install.supply.catalog import ROOT, Alias, C, Catalog, Entry, Go, Image, Npm, Rootfs, Tool, catalog
from casa_install.supply.keys import TOOLS, Keys, context_files
from casa_install.supply.publish import Registry
from casa_install.supply.runner import CommandError, Runner
from casa_install.supply.store import Store

Report = Callable[[str], None]
_EVERY = 10.0
"""Seconds between two lines on a running build."""
_NEEDS: dict[type[Entry], tuple[str, ...]] = {
    C: ("gcc", "libc6-dev"),
    Npm: ("npm",),
    Rootfs: ("buildah", "mmdebstrap", "skopeo"),
    Image: ("buildah", "skopeo"),
}


class SupplyError(RuntimeError):
    """An artifact could not be made, or was asked for before it was made."""


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Supply:
    """Programs and images of a site, made on this machine.

    :param site_registry: ``name:port`` that the hosts pull from.
    :param cache: directory of results, shared by all sites of this machine.
    :param trusted_cas: PEM files that builds trust besides the machine's CAs.
    :param mirror: URL of the Debian archive; the machine's own by default.
    """

    def __init__(self, site_registry: str, cache: Path, trusted_cas: Sequence[Path] = (), mirror: str | None = None,
                 *, source: Catalog | None = None, root: Path = ROOT) -> None:
        self.registry = site_registry
        self.catalog = source or catalog()
        self.store = Store(cache)
        self._keys = Keys(self.catalog, root)
        self._root = root
        self._trusted_cas = tuple(trusted_cas)
        self._mirror = str(mirror) if mirror else None

    # -- questions --

    def version(self, name: str) -> str:
        """Return the version of a program or image, without a leading v."""
        return self.catalog.get(name).version

    def key(self, entry: Entry) -> str:
        """Return the content key (hex) of an artifact."""
        return self._keys.key(entry)

    def image(self, name: str) -> str:
        """Return the full reference under which hosts pull an image; it need not be built."""
        return f"{self.registry}/{self._repository(name)}"

    def _repository(self, name: str) -> str:
        entry = self.catalog.get(name, image=True)
        tag = entry.tag if isinstance(entry, Image | Alias) else None
        return f"casa/{entry.name}:{tag or self.key(entry)[:16]}"

    def place(self, name: str) -> Path:
        """Return the directory where a program is, or will be once it is built."""
        entry = self.catalog.get(name, image=False)
        return self.store.directory(entry, self.key(entry))

    def path(self, name: str) -> Path:
        """Return the directory of a built program.

        :raises SupplyError: when it is not built.
        """
        return self._result(self.catalog.get(name, image=False))

    def layout(self, name: str) -> Path:
        """Return the OCI layout of a built image.

        :raises SupplyError: when it is not built.
        """
        return self._result(self._target(self.catalog.get(name, image=True))) / images.LAYOUT

    def _result(self, entry: Entry) -> Path:
        if not self.store.holds(entry, self.key(entry)):
            raise SupplyError(f"{entry.name} {entry.version} is not built: run: python -m casa_install.supply build "
                              f"{entry.name}")
        return self.store.directory(entry, self.key(entry))

    def _target(self, entry: Entry) -> Entry:
        return self.catalog.inputs(entry)[0] if isinstance(entry, Alias) else entry

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of the names that are not built."""
        wanted = [(n, self._target(self.catalog.get(n))) for n in names]
        return [n for n, e in wanted if not self.store.holds(e, self.key(e))]

    def todo(self, names: Sequence[str]) -> list[Entry]:
        """Return what has to be built for these names, inputs first; inputs of built things are not asked for."""
        wanted: set[str] = set()

        def visit(entry: Entry) -> None:
            if entry.id in wanted or (not isinstance(entry, Alias) and self.store.holds(entry, self.key(entry))):
                return
            wanted.add(entry.id)
            for needed in self.catalog.inputs(entry):
                visit(needed)

        for name in names:
            visit(self.catalog.get(name))
        return [e for e in self.catalog.order if e.id in wanted and not isinstance(e, Alias)]

    # -- building --

    def ensure(self, names: Sequence[str], on_progress: Report,
               before_each: Callable[[], None] = lambda: None) -> list[str]:
        """Build what is missing, one after the other, and return what was built.

        A name that a program and an image share means the image, which is made from the program.

        :param on_progress: receives one line at a time.
        :param before_each: called before each build; what it raises ends the work there.
        :raises SupplyError: naming the artifact and the log of its build.
        :raises MachineError: when this machine lacks programs and they cannot be installed.
        """
        built: list[str] = []
        while entries := self.todo(names):
            # each build takes the lock for itself: runs that wait get their turn, and may find their work done
            entry = entries[0]
            before_each()
            with (self.store.lock(entry.name, on_progress),
                  tempfile.TemporaryDirectory(prefix="casa-supply-") as place):
                if self.store.holds(entry, self.key(entry)):
                    continue
                ensure_packages(sorted({p for e in entries for p in _NEEDS.get(type(e), ())}), on_progress)
                left = sum(map(self.store.expected, entries))
                self._build(entry, self._support(Path(place) / "supply", entry),
                            f"{len(built) + 1} of {len(built) + len(entries)}", left, on_progress)
                built.append(entry.name)
        return built

    def _support(self, directory: Path, entry: Entry) -> Path:
        sources = ""
        suite = next((e.suite for e in self.catalog.order if isinstance(e, Rootfs)), None)
        if entry.is_image and suite:
            mirror = self._mirror or machine_mirror()
            security = security_mirror(self._mirror)
            sources = f"deb {mirror} {suite} main\ndeb {security} {suite}-security main\n"
        index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
        settings = {"UV_DEFAULT_INDEX": index} if index else {}
        images.write_support(directory, self._root / TOOLS, trust.authorities(self._trusted_cas), sources, settings)
        return directory

    def _build(self, entry: Entry, support: Path, step: str, left: float, report: Report) -> None:
        expected = self.store.expected(entry)
        key = self.key(entry)
        self.store.logs.mkdir(parents=True, exist_ok=True)
        log = self.store.logs / f"{entry.id.replace('/', '-')}-{key[:12]}.log"
        title = f"{entry.name} {entry.version}" + (" (image)" if entry.is_image else "")
        report(f"{title}: building, {step}, takes about {duration(expected)}, all about {duration(left)}")
        began = time.monotonic()
        with log.open("w") as file:
            run = Runner(file, trust.environment(support / "ca.crt"), _ticker(title, expected, report))
            try:
                with self.store.building(entry, key) as out:
                    self._make(entry, out, run, support)
            except (CommandError, OSError) as error:
                file.flush()
                tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-8:])
                raise SupplyError(f"{title} could not be built ({duration(time.monotonic() - began)}): {error}; "
                                  f"log: {log}\n{tail}") from error
        report(f"{title}: built in {duration(time.monotonic() - began)}")

    def _make(self, entry: Entry, out: Path, run: Runner, support: Path) -> None:
        inputs = {e.id: self._result(self._target(e)) for e in self.catalog.inputs(entry)}
        job = programs.Job(entry, context_files(entry, self._root), inputs, out, run)
        match entry:
            case Tool():
                programs.build_tool(job, entry)
            case Go():
                programs.build_go(job, entry)
            case C():
                programs.build_c(job, entry)
            case Npm():
                programs.build_npm(job, entry)
            case Rootfs() | Image():
                self._make_image(job, entry, support)

    def _make_image(self, job: programs.Job, entry: Rootfs | Image, support: Path) -> None:
        containers = images.Containers(self.store.containers, job.run)
        containers.prepare()
        reference = images.local_reference(entry, self.key(entry))
        if isinstance(entry, Rootfs):
            images.build_rootfs(job, entry, containers, support, reference)
        else:
            if uv := job.inputs.get("uv"):
                _place(uv / "bin" / "uv", support / "uv")
            bases = {}
            for base in map(self._target, self.catalog.inputs(entry)):
                if base.is_image:
                    layout = self._result(base) / images.LAYOUT
                    bases[base.name] = (images.local_reference(base, self.key(base)), layout)
            images.build_image(job, entry, containers, support, self.store.shared, bases, reference)
        containers.save(reference, job.out / images.LAYOUT)
        if not any(entry in self.catalog.inputs(e) for e in self.catalog.order if isinstance(e, Image)):
            containers.forget(reference)

    # -- publishing --

    def push(self, names: Sequence[str], registry: str, ca_certificate: str, login: tuple[str, str] | None = None,
             on_progress: Report = lambda _line: None,
             before_each: Callable[[], None] = lambda: None) -> list[str]:
        """Push images that the registry lacks and return their names with tags.

        :param registry: ``address:port`` where the registry is reached from here.
        :param ca_certificate: PEM of the CA that signed its certificate.
        :param login: user and password for pushing.
        :param before_each: called before each push; what it raises ends the work there.
        :raises SupplyError: when an image is not built or its push fails (with the log's path).
        :raises RegistryError: when the registry does not answer.
        """
        target = Registry(registry, ca_certificate, login)
        pushed = []
        self.store.logs.mkdir(parents=True, exist_ok=True)
        log = self.store.logs / f"push-{registry.replace(':', '-')}.log"
        with log.open("w") as file:
            for number, name in enumerate(names):
                before_each()
                layout = self.layout(name)
                repository, _, tag = self._repository(name).rpartition(":")
                title = f"push {name} ({number + 1} of {len(names)}, {images.size(layout) / 1e6:.0f} MB)"
                try:
                    if target.push(layout, repository, tag, Runner(file, {}, _ticker(title, 0, on_progress))):
                        pushed.append(f"{name}:{tag}")
                        on_progress(f"{title}: done")
                except CommandError as error:
                    last = log.read_text(errors="replace").strip().splitlines()[-1:]
                    raise SupplyError(f"{title}: {error}: {' '.join(last)}; log: {log}") from error
        return pushed

    def prune(self) -> list[Path]:
        """Remove results and stored images of other keys than the present ones; return the results' directories."""
        present = {e.id: self.key(e) for e in self.catalog.order if not isinstance(e, Alias)}
        references = {images.local_reference(e, self.key(e)) for e in self.catalog.order if e.is_image}
        with self.store.lock("room in the cache", lambda _line: None):
            if self.store.containers.is_dir():
                self.store.logs.mkdir(parents=True, exist_ok=True)
                with (self.store.logs / "prune.log").open("w") as file:
                    containers = images.Containers(self.store.containers, Runner(file, {}, lambda: None))
                    containers.prepare()
                    for reference in containers.references():
                        if reference not in references:
                            containers.forget(reference)
            return self.store.prune(present)


def _place(program: Path, target: Path) -> None:
    if not target.exists():
        # a link or a copy, as the file systems allow
        try:
            os.link(program, target)
        except OSError:
            target.write_bytes(program.read_bytes())
            target.chmod(0o755)


def _ticker(title: str, expected: float, report: Report) -> Callable[[], None]:
    """Return a function to call often, which reports now and then."""
    began = last = time.monotonic()

    def alive() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            about = f" of about {duration(expected)}" if expected else ""
            report(f"{title}: {duration(now - began)}{about}")

    return alive


@contextmanager
def readable(error_types: tuple[type[Exception], ...] = (SupplyError,)) -> Iterator[None]:
    """End a command line program with an error's message instead of its traceback."""
    try:
        yield
    except error_types as error:
        raise SystemExit(f"error: {error}") from None
