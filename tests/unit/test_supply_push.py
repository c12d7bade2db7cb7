"""A real image, built by buildah and pushed over TLS to a real registry on this machine."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from casa_install.machine import MachineError, ensure_packages
from casa_install.supply import RegistryError, Supply
from casa_install.supply.catalog import ROOT, read_catalog
from casa_install.supply.images import Containers, blobs, digest, local_reference
from casa_install.supply.keys import TOOLS
from casa_install.supply.publish import Registry
from casa_install.supply.runner import Runner

LOGIN = ("casa-push", "correct-horse")
CATALOG = """\
artifacts:
  - {name: pause-program, kind: c, version: "1", source: images/pause/pause.c, binary: pause}
  - {name: pause, kind: image, version: "1", inputs: [pause-program], tag: "3.10.2"}
  - {name: lower, kind: image, version: "1", inputs: [pause-program]}
  - {name: upper, kind: image, version: "1", inputs: [lower]}
  - {name: twin, kind: alias, version: "1", of: upper, tag: v1}
"""
LOWER = """\
FROM scratch
COPY --from=pause-program pause /pause
RUN ["/pause", "-v"]
ENV COLOUR=red
"""
UPPER = """\
ARG LOWER
FROM ${LOWER}
COPY word /word
ENTRYPOINT ["/pause"]
"""


@dataclass(frozen=True)
class Running:
    address: str
    authority: str
    storage: Path


def certificates(directory: Path) -> str:
    """Write registry.crt and registry.key for 127.0.0.1 and return the PEM of the CA that signed."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site CA")])

    def signed(subject: x509.Name, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(ca_name, subject, public, x509.random_serial_number(),
                                          now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1))
        certificate = builder.add_extension(extension, critical=False).sign(ca_key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (directory / "registry.crt").write_bytes(signed(name, key.public_key(), alternatives))
    (directory / "registry.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return signed(ca_name, ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=0)).decode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry with TLS that wants a password."""
    try:
        ensure_packages(["docker-registry", "buildah", "skopeo", "gcc", "libc6-dev"])
    except MachineError as error:
        pytest.skip(str(error))
    if os.geteuid() != 0:
        pytest.skip("image builds need root")
    directory = tmp_path_factory.mktemp("registry")
    authority = certificates(directory)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    hashed = subprocess.run(["perl", "-e", 'print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))', LOGIN[1]],
                            capture_output=True, text=True, check=True).stdout
    (directory / "htpasswd").write_text(f"{LOGIN[0]}:{hashed}\n")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": address, "tls": {"certificate": str(directory / "registry.crt"),
                                          "key": str(directory / "registry.key")}},
        "auth": {"htpasswd": {"realm": "site", "path": str(directory / "htpasswd")}},
    }
    (directory / "config.yml").write_text(json.dumps(settings))
    with (directory / "log").open("w") as log, subprocess.Popen(
            ["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log) as process:
        try:
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(address.split(":")[1]))) == 0:
                        break
                time.sleep(0.1)
            yield Running(address, authority, directory / "data")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def supply(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supply]:
    """Three small images, built."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / TOOLS, project / TOOLS)
    shutil.copytree(ROOT / "images/pause", project / "images/pause")
    for name, recipe in (("lower", LOWER), ("upper", UPPER)):
        (project / "images" / name).mkdir()
        (project / "images" / name / "Containerfile").write_text(recipe)
    (project / "images/upper/word").write_text("hello\n")
    (project / "catalog.yml").write_text(CATALOG)
    made = Supply("registry.casa.test:5000", project / "cache", source=read_catalog(project / "catalog.yml"),
                  root=project)
    made.ensure(["pause", "twin"], print)
    yield made
    with (project / "cache/logs/end.log").open("w") as log:
        containers = Containers(project / "cache/containers", Runner(log, {}, lambda: None))
        containers.prepare()
        for reference in containers.references():
            containers.forget(reference)
        shutil.rmtree(containers.state)


def test_references(supply: Supply) -> None:
    assert supply.image("pause") == "registry.casa.test:5000/casa/pause:3.10.2"
    assert supply.image("twin") == "registry.casa.test:5000/casa/twin:v1"
    upper = supply.key(supply.catalog.get("upper"))
    assert supply.image("upper") == f"registry.casa.test:5000/casa/upper:{upper[:16]}"


def test_images_share_the_layers_they_are_made_from(supply: Supply) -> None:
    def layers(name: str) -> list[str]:
        blobs = supply.layout(name) / "blobs/sha256"
        manifest = json.loads((blobs / digest(supply.layout(name)).removeprefix("sha256:")).read_text())
        config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
        assert "COLOUR=red" in config["config"]["Env"]
        return [layer["digest"] for layer in manifest["layers"]]

    lower, upper = layers("lower"), layers("upper")
    assert len(lower) == 1
    assert upper[:1] == lower
    assert len(upper) == 2


def test_pushed_once_and_found_under_both_names(supply: Supply, registry: Running) -> None:
    lines: list[str] = []
    names = ["pause", "upper", "twin"]
    pushed = supply.push(names, registry.address, registry.authority, LOGIN, lines.append)
    assert [p.split(":")[0] for p in pushed] == names
    assert supply.push(names, registry.address, registry.authority, LOGIN, lines.append) == []
    there = Registry(registry.address, registry.authority, LOGIN)
    tag = supply.image("upper").rpartition(":")[2]
    assert there.digest("casa/twin", "v1") == there.digest("casa/upper", tag) == digest(supply.layout("upper"))
    assert there.digest("casa/upper", "other") is None
    for log in supply.store.logs.glob("push-*"):
        assert LOGIN[1] not in log.read_text()


def test_damaged_content_goes_and_is_pushed_again(supply: Supply, registry: Running) -> None:
    supply.push(["upper"], registry.address, registry.authority, LOGIN)
    layer = blobs(supply.layout("upper"))[-1].removeprefix("sha256:")
    stored = registry.storage / "docker/registry/v2/blobs/sha256" / layer[:2] / layer / "data"
    check = ["bash", str(ROOT / "roles/registry/files/drop-damaged"), str(registry.storage)]
    assert subprocess.run(check, capture_output=True, text=True, check=True).stdout == ""
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + b"?")
    os.utime(stored, (0, 0))
    assert supply.push(["upper"], registry.address, registry.authority, LOGIN) == []
    assert subprocess.run(check, capture_output=True, text=True, check=True).stdout == f"{layer}\n"
    assert not stored.exists()
    pushed = supply.push(["upper"], registry.address, registry.authority, LOGIN)
    assert [name.split(":")[0] for name in pushed] == ["upper"]
    assert stored.read_bytes() == whole


def test_a_wrong_password_or_a_foreign_ca_is_refused(supply: Supply, registry: Running, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="401"):
        supply.push(["pause"], registry.address, registry.authority, ("casa-push", "wrong"))
    with pytest.raises(RegistryError, match="is its certificate from the site's CA"):
        supply.push(["pause"], registry.address, certificates(tmp_path), LOGIN)


def test_a_registry_that_is_away_is_named(supply: Supply, registry: Running) -> None:
    with pytest.raises(RegistryError, match=r"registry 127\.0\.0\.1:1: .*: is its service running"):
        supply.push(["pause"], "127.0.0.1:1", registry.authority, LOGIN)


def test_a_lost_base_is_restored_from_its_layout(supply: Supply) -> None:
    shutil.rmtree(supply.store.directory(supply.catalog.get("upper"), supply.key(supply.catalog.get("upper"))))
    lower = supply.catalog.get("lower")
    assert supply.store.holds(lower, supply.key(lower))
    with (supply.store.logs / "test.log").open("w") as log:
        containers = Containers(supply.store.containers, Runner(log, {}, lambda: None))
        containers.prepare()
        containers.forget(local_reference(lower, supply.key(lower)))
    assert supply.ensure(["upper"], print) == ["upper"]
    assert supply.missing(["upper", "lower"]) == []


def test_prune_drops_images_of_former_recipes_from_storage(supply: Supply) -> None:
    with (supply.store.logs / "test.log").open("w") as log:
        containers = Containers(supply.store.containers, Runner(log, {}, lambda: None))
        containers.choose()
        lower = supply.catalog.get("lower")
        now = local_reference(lower, supply.key(lower))
        subprocess.run([*containers.buildah, "tag", now, "localhost/casa/lower:0123456789abcdef"], check=True)
        assert len(containers.references()) == 2
        assert supply.prune() == []
        assert containers.references() == [now]
