"""How the machine's own apt configuration becomes that of its virtual hosts."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from casa_install.rehearsal import aptconf, base, guest, records, resolvers
from casa_install.rehearsal.aptconf import Mirror
from casa_install.rehearsal.commands import RehearsalError

DEB822 = """\
# the archive
Types: deb deb-src
URIs: https://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example.org/security
Suites:
 bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://old.example.org/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://tools.example.org/apt nodistro main
deb-src http://src.example.org/debian bookworm main
deb [ arch=amd64 ] http://mirror.example.org/debian bookworm main contrib
deb http://security.example.org/debian-security bookworm-security main
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([DEB822], Mirror("https://mirror.example.org/debian", "https://mirror.example.org/security")),
        ([ONE_LINE], Mirror("http://mirror.example.org/debian", "http://security.example.org/debian-security")),
        (["", ONE_LINE, DEB822], Mirror("http://mirror.example.org/debian", "http://security.example.org/debian-security")),
        ([DEB822.replace("Types: deb deb-src", "Types: deb-src")], None),
        ([DEB822.replace("# the archive", "Enabled: no")], None),
        (["deb http://tools.example.org/apt nodistro main\n"], None),
        (["deb http://archive.example.org/ubuntu noble main\n"], None),
        ([], None),
    ],
)
def test_mirror_of_sources(texts: list[str], expected: Mirror | None) -> None:
    assert aptconf.find_mirror(texts) == expected


def test_machine_mirror_reads_files_that_apt_reads(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "other.list.disabled").write_text("deb http://wrong.example.org/debian sid main\n")
    assert aptconf.machine_mirror(apt=tmp_path).archive == "https://mirror.example.org/debian"
    chosen = aptconf.machine_mirror("http://near.example.org/debian/", apt=tmp_path)
    assert chosen == Mirror("http://near.example.org/debian", "https://mirror.example.org/security")


def test_a_machine_without_debian_needs_a_mirror(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="casa_debian_mirror"):
        aptconf.machine_mirror(apt=tmp_path)
    assert aptconf.machine_mirror("http://near.example.org/debian", apt=tmp_path).security is None


def test_proxy_and_certificates_are_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::https::Proxy "http://proxy.example.org:3128";\n'
        f'Acquire::https::CaInfo "{ca}";\n'
        'Acquire::https::SslCert "/is/not/there.pem";\n'
        'Acquire::Languages:: "none";\n'
        'Acquire::Check-Date "false";\n'
    )
    monkeypatch.setattr(aptconf, "run", lambda *_: dump)
    monkeypatch.setenv("http_proxy", "http://other.example.org:8080")
    monkeypatch.setenv("https_proxy", "http://unused.example.org:1")
    settings = aptconf.machine_settings().splitlines()
    assert 'Acquire::https::Proxy "http://proxy.example.org:3128";' in settings
    assert 'Acquire::http::Proxy "http://other.example.org:8080";' in settings
    assert 'Acquire::Check-Date "false";' in settings
    assert not any("unused" in line or "Languages" in line or "Architecture" in line for line in settings)
    assert aptconf.referenced_files("\n".join(settings)) == [ca]


def test_a_proxy_on_the_loopback_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aptconf, "run", lambda *_: 'Acquire::http::Proxy "http://127.0.0.1:3142/";\n')
    with pytest.raises(RehearsalError, match="loopback"):
        aptconf.machine_settings()


def test_only_lines_of_the_hosts_file_that_name_the_mirror() -> None:
    mirror = Mirror("http://mirror.example.org/debian", "http://security.example.org/debian")
    text = (
        "127.0.0.1 localhost mirror.example.org\n10.0.0.9 mirror.example.org mirror # near\n"
        "10.0.0.8 other\n#10.0.0.7 security.example.org\n"
    )
    assert aptconf.mirror_host_lines(mirror, text) == ["10.0.0.9 mirror.example.org mirror"]


def test_nameservers() -> None:
    text = "search x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver 10.0.0.1\n"
    assert resolvers.nameservers(text) == [IPv4Address("10.0.0.1")]


def test_a_stub_resolver_is_looked_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\n")
    monkeypatch.setattr(resolvers, "RESOLV_CONFS", (stub, real))
    with pytest.raises(RehearsalError, match="--resolver"):
        resolvers.machine_resolvers()
    real.write_text("nameserver 10.0.0.53\n")
    assert resolvers.machine_resolvers() == [IPv4Address("10.0.0.53")]


def test_the_base_key_changes_with_what_it_is_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aptconf, "machine_settings", lambda: "")
    monkeypatch.setattr(base.time, "time", lambda: 1e9)  # type: ignore[attr-defined]
    mirror = Mirror("http://mirror.example.org/debian", None)
    resolver = (IPv4Address("10.0.0.53"),)
    key = base.Base(mirror, resolver).key
    assert base.Base(mirror, resolver).key == key
    # hosts have resolvers of their own
    assert base.Base(mirror, (IPv4Address("10.0.0.54"),)).key == key
    assert base.Base(Mirror("http://near.example.org/debian", None), resolver).key != key
    monkeypatch.setattr(base, "PACKAGES", base.PACKAGES + ",tree")
    assert base.Base(mirror, resolver).key != key


def test_a_base_serves_new_hosts_for_half_a_day(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [1_000_003_000.0]
    monkeypatch.setattr(aptconf, "machine_settings", lambda: "")
    monkeypatch.setattr(base.time, "time", lambda: now[0])  # type: ignore[attr-defined]
    monkeypatch.setattr(records, "bases", lambda: tmp_path)

    def key() -> str:
        return base.Base(Mirror("http://mirror.example.org/debian", None), ()).key

    first = key()
    assert first.endswith("-1000000800"), "the hour that has begun"
    (tmp_path / first).mkdir()
    (tmp_path / f"{'0' * 16}-1000003000").mkdir()  # of another recipe
    now[0] += base.FRESH - 3000
    assert key() == first
    now[0] += 1000
    second = key()
    assert second != first
    (tmp_path / second).mkdir()
    assert key() == second, "the newer of the two"


def test_files_replace_links_and_never_write_through_them(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/resolv.conf").symlink_to(outside)
    guest.put(root, "etc/resolv.conf", "nameserver 10.0.0.53\n", 0o640)
    assert outside.read_text() == "untouched"
    assert (root / "etc/resolv.conf").stat().st_mode & 0o777 == 0o640
    guest.mask(root, "etc/resolv.conf")
    assert (root / "etc/resolv.conf").readlink() == Path("/dev/null")
