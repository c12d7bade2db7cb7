"""Builds: complete or absent, once on a machine, and logged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from casa_install.supply import Supply, SupplyError
from casa_install.supply.catalog import ROOT, read_catalog
from casa_install.supply.keys import TOOLS

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")

CATALOG = """\
artifacts:
  - {name: quick, kind: c, version: "1", source: quick.c, binary: quick}
  - {name: slow, kind: c, version: "1", source: slow.c, binary: slow}
"""
RUN = """\
import sys
from pathlib import Path
from casa_install.supply import Supply
from casa_install.supply.catalog import read_catalog
project = Path(sys.argv[1])
known = read_catalog(project / "catalog.yml")
supply = Supply("registry.casa.test:5000", project / "cache", source=known, root=project)
print("built", supply.ensure([sys.argv[2]], lambda line: print(line, flush=True)), flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a program that compiles at once and one that waits for a pipe's writer."""
    shutil.copytree(ROOT / TOOLS, tmp_path / TOOLS)
    (tmp_path / "catalog.yml").write_text(CATALOG)
    (tmp_path / "quick.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "slow.c").write_text(f'#include "{tmp_path}/gate.h"\nint main(void) {{ return 0; }}\n')
    os.mkfifo(tmp_path / "gate.h")
    return tmp_path


def supply_of(project: Path) -> Supply:
    return Supply("registry.casa.test:5000", project / "cache", source=read_catalog(project / "catalog.yml"),
                  root=project)


def start(project: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", RUN, str(project), name], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def compilers(project: Path) -> list[int]:
    """Processes that compile the slow program."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and str(project / "slow.c").encode() in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
        except OSError:
            continue
    return found


def until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def open_gate(project: Path) -> None:
    (project / "gate.h").unlink()
    (project / "gate.h").write_text("")


def test_a_result_is_there_after_the_build_and_not_built_again(project: Path) -> None:
    supply = supply_of(project)
    lines: list[str] = []
    assert supply.missing(["quick"]) == ["quick"]
    with pytest.raises(SupplyError, match="quick 1 is not built: run"):
        supply.path("quick")
    assert supply.ensure(["quick"], lines.append) == ["quick"]
    assert subprocess.run([supply.path("quick") / "quick"], check=False).returncode == 0
    assert supply.missing(["quick"]) == []
    assert supply.ensure(["quick"], lines.append) == []
    assert [line.split(":")[0] for line in lines] == ["quick 1", "quick 1"]


def test_a_failed_build_names_its_log_and_leaves_nothing(project: Path) -> None:
    (project / "quick.c").write_text("int main(void) { return nothing; }\n")
    supply = supply_of(project)
    with pytest.raises(SupplyError) as raised:
        supply.ensure(["quick"], lambda _line: None)
    log = Path(str(raised.value).split("log: ")[1].splitlines()[0])
    assert "undeclared" in log.read_text()
    assert "undeclared" in str(raised.value)
    assert supply.missing(["quick"]) == ["quick"]
    assert list((project / "cache/supply/.building").iterdir()) == []


def test_a_killed_build_leaves_no_result_and_no_compiler_and_the_next_run_builds(project: Path) -> None:
    victim = start(project, "slow")
    until(lambda: compilers(project))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    supply = supply_of(project)
    assert supply.missing(["slow"]) == ["slow"]
    assert (project / "cache/supply/.building/slow").is_dir()
    until(lambda: not compilers(project))
    open_gate(project)
    assert supply.ensure(["slow"], lambda _line: None) == ["slow"]
    assert (supply.path("slow") / "slow").is_file()
    assert list((project / "cache/supply/.building").iterdir()) == []


def test_two_runs_build_once(project: Path) -> None:
    first = start(project, "slow")
    until(lambda: compilers(project))
    second = start(project, "slow")
    assert second.stdout
    assert second.stdout.readline() == f"waiting for slow, which process {first.pid} builds\n"
    # a writer lets the compiler read an empty header
    with (project / "gate.h").open("w"):
        pass
    assert "built ['slow']" in first.communicate()[0]
    assert "built []" in second.communicate()[0]


def test_a_changed_recipe_gets_a_new_result_and_prune_removes_the_old(project: Path) -> None:
    supply_of(project).ensure(["quick"], lambda _line: None)
    old = supply_of(project).path("quick")
    (project / "quick.c").write_text("int main(void) { return 3; }\n")
    supply = supply_of(project)
    assert supply.missing(["quick"]) == ["quick"]
    supply.ensure(["quick"], lambda _line: None)
    assert supply.path("quick") != old
    assert supply.prune() == [old]
    assert not old.exists()
    assert supply.prune() == []
    assert supply.path("quick").is_dir()
