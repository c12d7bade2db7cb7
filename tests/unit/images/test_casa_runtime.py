"""images/analysis: what kernels and workers share."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from casa_runtime import names, tls, versions


def test_every_tls_operation_is_wrapped_once() -> None:
    tls.install()
    for cls, operations in tls.OPERATIONS.items():
        for name in operations:
            operation = getattr(cls, name)
            assert hasattr(operation, tls.MARK)
            assert not hasattr(operation.__wrapped__, tls.MARK)


def test_the_queue_is_emptied_before_the_call() -> None:
    order: list[str] = []
    operation = tls.cleaned(lambda: order.append("operation"), lambda: order.append("clear"))
    operation()
    assert order == ["clear", "operation"]


def test_a_stale_error_does_not_reach_the_next_connection() -> None:
    """The cleaner works on the queue that Python's ssl module reads."""
    import _ssl
    import ctypes

    library = ctypes.PyDLL(_ssl.__file__)
    library.ERR_peek_error.restype = ctypes.c_ulong
    library.ERR_new()
    library.ERR_set_error(20, 1, None)
    assert library.ERR_peek_error() != 0
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="casa.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    assert library.ERR_peek_error() == 0


@pytest.mark.parametrize(
    ("address", "resolved"),
    [
        ("tls://alice.dask-worker.casa.test:8788", False),
        ("tls://bob.dask-worker.casa.test:8788", True),
        ("tls://10.0.0.1:40001", True),
        ("sidecar", False),
    ],
)
def test_only_the_own_workers_name_stays(monkeypatch: pytest.MonkeyPatch, address: str, resolved: bool) -> None:
    seen: list[bool] = []

    def coerce_address(addr: str, resolve: bool = True) -> str:
        seen.append(resolve)
        return addr

    aliases = {"sidecar": "tls://alice.dask-worker.casa.test:8788"}
    scheduler = SimpleNamespace(aliases=aliases, coerce_address=coerce_address)
    monkeypatch.setenv("WORKER_IP", "alice.dask-worker.casa.test")
    names.dask_setup(scheduler)
    scheduler.coerce_address(address)
    assert seen == [resolved]


def test_nothing_changes_without_a_worker_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKER_IP", raising=False)
    scheduler = SimpleNamespace(aliases={}, coerce_address=str)
    names.dask_setup(scheduler)
    assert scheduler.coerce_address is str


def test_versions_of_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("pytest==1 \\\n    --hash=sha256:00\nnot-there==2\n")
    found = versions.environment(lock)
    assert found["python"] == sys.version.split()[0]
    assert found["distributions"] == {"not-there": None, "pytest": pytest.__version__}


def test_an_installed_wheel_is_unmodified() -> None:
    assert versions.differing_files("pluggy") == []


def test_a_changed_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "lib-1.dist-info"
    info.mkdir()
    (tmp_path / "lib.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lib\nVersion: 1\n")
    digest = versions.sum_of(tmp_path / "lib.py", "sha256")
    (info / "RECORD").write_text(f"lib.py,sha256={digest},6\nlib-1.dist-info/RECORD,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert versions.differing_files("lib") == []
    (tmp_path / "lib.py").write_text("x = 2\n")
    assert versions.differing_files("lib") == ["lib.py"]
    assert versions.main(["--unmodified", "lib"]) == 1


def test_all_images_lock_the_same_versions() -> None:
    """What both locks name, they name at one version."""
    images = Path(versions.__file__).parents[2]
    found = [pins(images / name / "requirements.lock") for name in ("analysis", "notebook")]
    common = found[0].keys() & found[1].keys()
    assert common
    assert {name: found[0][name] for name in common} == {name: found[1][name] for name in common}


def pins(lock: Path) -> dict[str, str]:
    """Name and version of every entry of a lock file."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))


def test_start_commands_are_shell() -> None:
    images = Path(versions.__file__).parents[2]
    commands = [
        "analysis/casa-versions",
        "analysis/slim",
        "worker/casa-worker",
        "worker/casa-sidecar-worker",
        "notebook/casa-notebook",
    ]
    for command in commands:
        subprocess.run(["sh", "-n", str(images / command)], check=True)
