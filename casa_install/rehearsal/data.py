"""The rehearsal's data: NanoAOD files with real events, made once on the installing machine.

The events are a sample that coffea ships in its source distribution for its own tests; each file repeats them in an
order of its own. What is made is known by a key over all that decides it, so a change makes new data and nothing else
does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from casa_install.rehearsal.commands import RehearsalError, run

HERE = Path(__file__).parent
PROGRAM = HERE / "nanoaod.py"
LOCK = HERE / "data-requirements.lock"


@dataclass(frozen=True)
class Recipe:
    """Where the events come from and what is made of them."""

    distribution: str = "coffea==2026.9.0"
    distribution_sha256: str = "7dfc1b54d9d1533c8a5bd8a5786d13272ea1a170b0817061d4478f721aedae04"
    sample: str = "tests/samples/nano_dy.root"
    """File of the source distribution: 40 simulated Drell-Yan events, 1499 branches."""
    dataset: str = "/store/mc/rehearsal/DYJetsToLL/NANOAODSIM"
    files: int = 20
    repeats: int = 500

    @property
    def key(self) -> str:
        """Names the data that this recipe makes with the present program and versions."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode())
        for path in (PROGRAM, LOCK):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


RECIPE = Recipe()


def location(cache: Path, recipe: Recipe = RECIPE) -> Path:
    """The folder of the data, made or not.

    It holds ``store.tar`` (the files by their logical names), ``SHA256SUMS`` over them in sha256sum's format,
    ``sample.root`` (the events as they came) and ``dataset.json`` (recipe and logical names). A histogram over all
    files is the sample's times ``files * repeats``.
    """
    return cache / "data" / recipe.key


def logical_names(recipe: Recipe = RECIPE) -> list[str]:
    """Logical file names (``/store/...``) of all files, in order."""
    return [f"{recipe.dataset}/{number:02}.root" for number in range(recipe.files)]


def ensure_data(cache: Path, report: Callable[[str], None], recipe: Recipe = RECIPE) -> bool:
    """Make the data unless they are there; takes about two minutes and 400 MB. Returns whether it made them.

    :raises RehearsalError: a package index is not reached, or what it gave is not what was pinned.
    """
    target = location(cache, recipe)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target.parent / "lock"):
        if target.is_dir():
            return False
        for stale in target.parent.glob("*.part"):
            shutil.rmtree(stale)
        part = target.with_name(f"{target.name}.part")
        files = part / recipe.dataset.lstrip("/")
        files.mkdir(parents=True)
        report("the sample's events are fetched")
        python = _environment(part / "environment")
        _fetch(python, recipe, part / "sample.root")
        _write(python, recipe, part / "sample.root", files, report)
        shutil.rmtree(part / "environment")
        _pack(part, recipe)
        part.rename(target)
    return True


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _environment(folder: Path) -> Path:
    """A virtual environment with the locked versions; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
        "--only-binary", ":all:", "--requirement", LOCK)
    return python


def _fetch(python: Path, recipe: Recipe, target: Path) -> None:
    """Take the sample out of the source distribution."""
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        pin = folder / "pin.txt"
        pin.write_text(f"{recipe.distribution} --hash=sha256:{recipe.distribution_sha256}\n")
        # its build backend is among the locked versions, so pip need not fetch one unseen
        run(python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
            "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", folder, "--requirement", pin)
        archive = next(folder.glob("*.tar.gz"))
        with tarfile.open(archive) as tar:
            member = tar.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{recipe.sample}")
            assert member
            target.write_bytes(member.read())


def _write(python: Path, recipe: Recipe, sample: Path, files: Path, report: Callable[[str], None]) -> None:
    command = [python, PROGRAM, sample, files, "--files", recipe.files, "--repeats", recipe.repeats]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=errors,
                              stdin=subprocess.DEVNULL, process_group=0) as process:
            assert process.stdout
            for number, _ in enumerate(process.stdout, 1):
                report(f"{number} of {recipe.files} files are written")
        if process.returncode:
            errors.seek(0)
            raise RehearsalError(f"{PROGRAM.name} failed with status {process.returncode}:\n{errors.read()[-2000:]}")


def _pack(folder: Path, recipe: Recipe) -> None:
    """One archive, for one transfer to the origin, and what it holds."""
    names = logical_names(recipe)
    sums = ""
    with tarfile.open(folder / "store.tar", "w") as tar:
        for name in names:
            path = folder / name.lstrip("/")
            with path.open("rb") as stream:
                sums += f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {name.lstrip('/')}\n"
            tar.add(path, name.lstrip("/"), filter=_plain)
    shutil.rmtree(folder / "store")
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "dataset.json").write_text(json.dumps(asdict(recipe) | {"names": names}, indent=2) + "\n")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member as root's file that everybody reads, whoever made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member
