"""Writes the rehearsal's NanoAOD files: a real sample's events, repeated, in an order of its own in each file.

A program of its own: it runs in a virtual environment of the versions in ``data-requirements.lock``, started by
:mod:`casa_install.rehearsal.data`. Each event of the sample comes equally often in each file, so that every
histogram over the files is an exact multiple of the sample's.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import multiprocessing.pool
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak  # type: ignore[import-not-found,unused-ignore]
import numpy as np  # type: ignore[import-not-found,unused-ignore]
import uproot  # type: ignore[import-not-found,unused-ignore]
from uproot.writing import _cascadetree  # type: ignore[import-not-found,unused-ignore]

CLUSTER = 10_000
"""Events per basket: what one read of one branch brings in."""


@dataclass(frozen=True)
class Sample:
    """One tree of the sample in memory: its arrays, and what else defines its branches."""

    name: str
    arrays: dict[str, Any]
    titles: dict[str, str]
    counters: dict[str, str]
    """Branch of variable length -> the branch that counts its items."""

    @classmethod
    def read(cls, file: Any, name: str) -> Sample:
        """Read a whole tree of an open file."""
        tree = file[name]
        counters = {}
        for branch in tree.branches:
            counter = branch.member("fLeaves")[0].member("fLeafCount")
            if counter is not None:
                counters[branch.name] = counter.member("fName")
        return cls(name, tree.arrays(how=dict), {b.name: b.title for b in tree.branches}, counters)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def declare(self, target: Any) -> None:
        """Make an empty tree with the sample's branches: same names, order, types and titles."""
        plain = _cascadetree.Tree._branch_np

        def exact(writer: Any, branch: str, kind_of: Any, dtype: Any, counter: Any = None, kind: str = "normal") -> Any:
            # uproot counts in int32 and titles a branch by its leaf; NanoAOD counts in uint32 and documents
            made = plain(writer, branch, kind_of, np.dtype(">u4") if kind == "counter" else dtype, counter, kind)
            return made | {"fTitle": self.titles[branch]}

        _cascadetree.Tree._branch_np = exact
        try:
            target.mktree(
                self.name,
                {key: array.type if array.ndim > 1 else array.type.content.primitive
                 for key, array in self.arrays.items()},
                counter_name=lambda branch: self.counters.get(branch, branch),
                title=self.name,
            )
        finally:
            _cascadetree.Tree._branch_np = plain

    def repeated(self, order: Any) -> Iterator[dict[str, Any]]:
        """The events in the given order, a cluster at a time."""
        for start in range(0, len(order), CLUSTER):
            part = order[start:start + CLUSTER]
            yield {key: array[part] for key, array in self.arrays.items()}


class Writer:
    """Writes files that differ in the order of their events only.

    Declaring 1499 branches takes uproot 8 s, so it is done once: every file starts as a fork's copy of one that is
    declared and empty.
    """

    def __init__(self, source: Path, repeats: int) -> None:
        with uproot.open(source) as file:
            self.events = Sample.read(file, "Events")
            self.runs = Sample.read(file, "Runs")
        self.repeats = repeats
        self.buffer = io.BytesIO()
        self.file = uproot.recreate(self.buffer, compression=uproot.ZLIB(1))
        self.events.declare(self.file)
        self.runs.declare(self.file)

    def order(self, number: int) -> Any:
        """Which event of the sample comes where in the file of this number."""
        every = np.repeat(np.arange(len(self.events)), self.repeats)
        return np.random.default_rng(number).permutation(every)

    def write(self, number: int, path: Path) -> None:
        """Write one file and read it back; call it once in a process."""
        for part in self.events.repeated(self.order(number)):
            self.file["Events"].extend(part)
        for part in self.runs.repeated(np.repeat(np.arange(len(self.runs)), self.repeats)):
            self.file["Runs"].extend(part)
        self.file.file.sink.flush()
        with path.open("wb") as stream:
            stream.write(self.buffer.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())
        self.check(number, path)

    def check(self, number: int, path: Path) -> None:
        """Raise ValueError unless the file holds the sample's branches, types, titles and values."""
        with uproot.open(path) as file:
            for sample, order in ((self.events, self.order(number)), (self.runs, None)):
                tree = file[sample.name]
                if {b.name: b.title for b in tree.branches} != sample.titles:
                    raise ValueError(f"{path}: branches of {sample.name} differ from the sample's")
                for key, array in tree.arrays(how=dict).items():
                    wanted = sample.arrays[key]
                    taken = wanted[order if order is not None else np.repeat(np.arange(len(wanted)), self.repeats)]
                    if not ak.array_equal(array, taken, equal_nan=True):
                        raise ValueError(f"{path}: {sample.name}.{key} differs from the sample's")


writer: Writer
"""Inherited by the forked processes, never sent to them."""


def write_one(task: tuple[int, Path]) -> str:
    """Write one file in a process of its own."""
    number, path = task
    writer.write(number, path)
    return path.name


def main() -> int:
    """Write all files and name each on standard output when it is whole."""
    global writer
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="NanoAOD file with the sample's events")
    parser.add_argument("target", type=Path, help="existing folder to write to")
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True, help="times that each event comes in each file")
    arguments = parser.parse_args()
    writer = Writer(arguments.source, arguments.repeats)
    tasks = [(number, arguments.target / f"{number:02}.root") for number in range(arguments.files)]
    with multiprocessing.get_context("fork").Pool(max(1, (os.cpu_count() or 1) // 2), maxtasksperchild=1) as pool:
        for name in pool.imap(write_one, tasks, chunksize=1):
            print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
