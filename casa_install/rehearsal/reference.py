"""The rehearsal's expected histograms: the analysis run over the data by this machine alone.

No cache, no Dask, no HTCondor, no container and another Python than the facility's take part in it, so that
equal histograms say something. Computed once for each version of data, analysis and libraries.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from casa_install.rehearsal import data
from casa_install.rehearsal.commands import RehearsalError, run

LOCK = Path(__file__).with_name("reference-requirements.lock")
ANALYSIS = Path(__file__).parent.parent / "verify" / "notebooks" / "analysis.py"
MARK = "CASA-RESULT "


def location(cache: Path) -> Path:
    """The file of the expected result, made or not."""
    digest = hashlib.sha256(LOCK.read_bytes() + ANALYSIS.read_bytes()).hexdigest()[:16]
    return data.location(cache).with_name(f"{data.RECIPE.key}-{digest}.json")


def ensure_reference(cache: Path, report: Callable[[str], None]) -> bool:
    """Compute the expected result unless it is there; takes about two minutes. Returns whether it computed.

    :raises RehearsalError: when the analysis fails.
    """
    target = location(cache)
    if target.is_file():
        return False
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        report("the libraries of the reference are installed")
        venv.create(folder / "environment", with_pip=True)
        python = folder / "environment" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
            "--require-hashes", "--only-binary", ":all:", "--requirement", LOCK)
        report("the reference histograms are filled")
        with tarfile.open(data.location(cache) / "store.tar") as archive:
            archive.extractall(folder, filter="data")
        files = [str(folder / name.lstrip("/")) for name in data.logical_names()]
        done = subprocess.run([python, ANALYSIS], input=json.dumps({"files": files, "executor": "iterative"}),
                              capture_output=True, text=True, check=False, cwd=folder, process_group=0)
        lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
        if done.returncode or len(lines) != 1:
            raise RehearsalError(f"the reference analysis failed:\n{done.stderr[-2000:]}")
        part = folder / "result.json"
        part.write_text(lines[0].removeprefix(MARK))
        part.rename(target)
    return True


def expected(cache: Path) -> dict[str, Any]:
    """The expected result: ``events``, ``histograms``, ``sha256`` as the analysis prints them."""
    result: dict[str, Any] = json.loads(location(cache).read_text())
    return result
