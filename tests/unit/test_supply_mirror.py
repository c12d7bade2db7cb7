"""The machine's Debian mirror is read from both of apt's formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from casa_install.mirror import NoMirrorError, machine_mirror, security_mirror

DEB822 = """\
# made by an installer
Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/fast-security
Suites: bookworm-security
Components: main
"""


def apt(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "sources.list.d").mkdir(exist_ok=True)
    for name, text in files.items():
        path = tmp_path / "sources.list" if name == "sources_list" else tmp_path / "sources.list.d" / name.replace(
            "_", ".")
        path.write_text(text)
    return tmp_path


def test_deb822(tmp_path: Path) -> None:
    folder = apt(tmp_path, debian_sources=DEB822)
    assert machine_mirror(folder) == "http://mirror.example/debian"
    assert security_mirror(apt=folder) == "http://mirror.example/fast-security"


def test_one_line_format_with_options_and_comments(tmp_path: Path) -> None:
    folder = apt(tmp_path, sources_list=(
        "# deb http://old.example/debian trixie main\n"
        "deb-src http://source.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/etc/key.gpg] https://one.example/debian trixie main contrib # ours\n"))
    assert machine_mirror(folder) == "https://one.example/debian"
    assert security_mirror(apt=folder) == "https://one.example/debian-security"


def test_other_vendors_and_disabled_sources_are_passed_over(tmp_path: Path) -> None:
    folder = apt(
        tmp_path,
        aaa_list="deb https://vendor.example/apt cloud-sdk-bookworm main\n",
        bbb_sources="Enabled: no\n" + DEB822.split("\n", 1)[1].split("\n\n")[0] + "\n",
        ccc_sources="Types: deb-src\nURIs: http://source.example/debian\nSuites: trixie\nComponents: main\n",
        ddd_list="deb http://right.example/debian trixie main\n",
    )
    assert machine_mirror(folder) == "http://right.example/debian"


def test_folded_fields_and_mirror_lists(tmp_path: Path) -> None:
    listing = tmp_path / "debian.list"
    listing.write_text("# fastest first\nhttp://near.example/debian/ priority:1\nhttp://far.example/debian\n")
    folder = apt(tmp_path, debian_sources=f"Types: deb\nURIs:\n mirror+file:{listing}\nSuites:\n trixie\n"
                                          "Components:\n main\n")
    assert machine_mirror(folder) == "http://near.example/debian"


def test_a_sites_own_mirror_has_its_security_archive_beside_it(tmp_path: Path) -> None:
    assert security_mirror("http://site.example/debian/", apt(tmp_path)) == "http://site.example/debian-security"


def test_no_debian_sources_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(NoMirrorError, match="casa_debian_mirror"):
        machine_mirror(apt(tmp_path, sources_list="deb http://other.example/ubuntu noble main\n"))
