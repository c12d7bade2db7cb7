"""What is kept on disk, and the machine's settings that are put back."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from casa_install.rehearsal import __main__ as command_line
from casa_install.rehearsal import commands, hosts, records, sysctls
from casa_install.rehearsal.commands import RehearsalError
from casa_install.rehearsal.records import HostRecord, LabRecord


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "casa-install" / "rehearsal"


def record(name: str = "site") -> LabRecord:
    """A lab with one host."""
    host = HostRecord(address=IPv4Address("10.91.250.11"), base="0123456789abcdef", memory=512)
    return LabRecord(
        name=name,
        network=IPv4Network("10.91.250.0/24"),
        domain="casa.test",
        resolvers=(IPv4Address("10.0.0.53"),),
        hosts={"host-1": host},
    )


def test_records_are_read_as_they_were_written(home: Path) -> None:
    assert records.load("site") is None
    record().save()
    record("other").save()
    assert records.load("site") == record()
    assert [lab.name for lab in records.labs()] == ["other", "site"]
    assert home.stat().st_mode & 0o777 == 0o700
    lab = hosts.opened("site")
    assert (lab.network, lab.hosts, lab.memory) == (record().network, {"host-1": record().hosts["host-1"].address},
                                                    {"host-1": 512})
    records.forget("other")
    assert [lab.name for lab in records.labs()] == ["site"]


def test_a_folder_without_a_record_is_no_lab(home: Path) -> None:
    (home / "labs" / "half").mkdir(parents=True)
    assert records.labs() == []
    with pytest.raises(RehearsalError, match="there is no lab half"):
        hosts.existing("half")


def test_a_damaged_record_says_where_it_is(home: Path) -> None:
    record().save()
    path = home / "labs" / "site" / "lab.json"
    path.write_text("{}")
    with pytest.raises(RehearsalError, match=str(path)):
        records.load("site")


def test_a_lab_is_changed_by_one_process_at_a_time() -> None:
    attempt = "from casa_install.rehearsal import records\nwith records.lab_lock('site'): print('got it')"
    other = [sys.executable, "-c", attempt]
    with records.lab_lock("site"):
        refused = subprocess.run(other, env=dict(os.environ), capture_output=True, text=True, check=False)
        assert "being changed by another process" in refused.stderr
    assert subprocess.run(other, env=dict(os.environ), capture_output=True, text=True, check=True).stdout == "got it\n"


def test_settings_are_set_and_put_back(tmp_path: Path) -> None:
    root, kept = tmp_path / "sys", tmp_path / "kept.json"
    before = {"net/ipv4/ip_forward": "0", "fs/inotify/max_user_watches": "9999999", "kernel/panic": "1"}
    for name, value in before.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(value + "\n")
    sysctls.prepare(root, kept)
    assert (root / "net/ipv4/ip_forward").read_text() == "1"
    assert (root / "fs/inotify/max_user_watches").read_text().strip() == "9999999"  # never lowered
    (root / "kernel/panic").write_text("10\n")
    sysctls.prepare(root, kept)  # a second lab must not keep what the first has changed
    assert sysctls.restore(root, kept) == []
    assert {name: (root / name).read_text().strip() for name in before} == before
    assert not kept.exists()
    assert sysctls.restore(root, kept) == []


def test_a_setting_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    root, kept = tmp_path / "sys", tmp_path / "kept.json"
    (root / "kernel").mkdir(parents=True)
    (root / "kernel/panic").write_text("1\n")
    sysctls.prepare(root, kept)
    (root / "kernel/panic").unlink()
    (root / "kernel/panic").symlink_to("/proc/version")
    assert sysctls.restore(root, kept)[0].startswith("kernel.panic to 1: ")
    assert not kept.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--name", "x1", "--network", "10.91.250.0/24", "--host", "a"],
        ["up", "--name", "x1", "--network", "10.91.250.0/24", "--host", "a=10.91.250.300"],
        ["up", "--name", "x1", "--network", "10.91.250.5/24", "--host", "a=10.91.250.11"],
        ["up", "--name", "x1", "--network", "10.91.250.0/24", "--host", "a=10.91.250.11", "--memory", "a=1G"],
        ["up", "--name", "x1", "--network", "10.91.250.0/24"],
        ["down"],
    ],
)
def test_words_that_make_no_sense(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command_line.main(arguments)
    assert refused.value.code == 2


def test_errors_are_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    twice = ["--host", "a=10.91.250.11", "--host", "a=10.91.250.12"]
    assert command_line.main(["up", "--name", "x1", "--network", "10.91.250.0/24", *twice]) == 1
    assert "named twice" in capsys.readouterr().err
    assert command_line.main(["inventory", "--name", "nobody"]) == 1
    assert "there is no lab nobody" in capsys.readouterr().err


def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(RehearsalError, match=r"(?s)status 3.*wrong"):
        commands.run("sh", "-c", "echo wrong >&2; exit 3")
    with pytest.raises(RehearsalError, match="no such program"):
        commands.run("casa-no-such-program")
    assert commands.run("cat", stdin="text") == "text"


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RehearsalError, match="need root"):
        hosts.down("site")


def test_missing_programs_without_apt_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casa_install.rehearsal.commands.shutil.which", lambda _: None)
    with pytest.raises(RehearsalError, match=r"mmdebstrap.*systemd-container"):
        commands.ensure_programs()
