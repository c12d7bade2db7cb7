"""Images are pushed by password only and pulled by the site's networks without one."""

from __future__ import annotations

import hashlib
import json

import pytest
from on_hosts import eventually, killed
from testinfra.host import Host

testinfra_hosts = ["ansible://registry-1"]
URL = "https://10.91.3.11:5000"
PASSWORD = "--user casa-push:0123456789abcdef0123456789abcdef"  # noqa: S105 - of the test's own registry
CURL = "curl --silent --cacert /root/ca.pem"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INSIDE, OUTSIDE = "ansible://registry-1", "ansible://outside"


def on(host: Host, name: str) -> Host:
    """Another host of the scenario."""
    return host if name == INSIDE else host.get_host(name, ansible_inventory=host.backend.ansible_runner.inventory_file)


def status(host: Host, path: str, options: str = "") -> int:
    """HTTP status of a request."""
    return int(host.check_output(f"{CURL} --output /dev/null --write-out '%{{http_code}}' {options} {URL}{path}"))


def push_blob(host: Host, content: str) -> dict[str, str | int]:
    """Upload a blob as clients do and return its descriptor."""
    digest = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
    place = host.check_output(f"{CURL} {PASSWORD} --request POST --output /dev/null --write-out '%header{{location}}' "
                              f"{URL}/v2/casa/test/blobs/uploads/")
    place = place if place.startswith("http") else URL + place
    answer = host.check_output(f"{CURL} {PASSWORD} --request PUT --header 'Content-Type: application/octet-stream' "
                               f"--data-binary '{content}' --output /dev/null --write-out '%{{http_code}}' "
                               f"'{place}&digest={digest}'")
    assert answer == "201"
    return {"digest": digest, "size": len(content)}


@pytest.fixture(scope="module")
def manifest(host: Host) -> str:
    """A small image in the registry; its manifest."""
    config = push_blob(host, '{"architecture":"amd64","os":"linux"}')
    layer = push_blob(host, "x" * 5000)
    text = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                       "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                       "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}]})
    put = f"--request PUT --header 'Content-Type: {MANIFEST}' --data-binary '{text}'"
    assert status(host, "/v2/casa/test/manifests/1", put) == 401
    assert status(host, "/v2/casa/test/manifests/1", f"{put} {PASSWORD}") == 201
    return text


def test_pull_without_password(host: Host, manifest: str) -> None:
    assert host.check_output(f"{CURL} --header 'Accept: {MANIFEST}' {URL}/v2/casa/test/manifests/1") == manifest
    layer = json.loads(manifest)["layers"][0]["digest"]
    assert host.check_output(f"{CURL} {URL}/v2/casa/test/blobs/{layer}") == "x" * 5000


def test_outside_pulls_by_password_only(host: Host, manifest: str) -> None:
    outside = on(host, OUTSIDE)
    assert status(outside, "/v2/casa/test/manifests/1", f"--header 'Accept: {MANIFEST}'") == 401
    assert status(outside, "/v2/casa/test/manifests/1", f"--header 'Accept: {MANIFEST}' {PASSWORD}") == 200


@pytest.mark.parametrize("where", [INSIDE, OUTSIDE])
@pytest.mark.parametrize("options", ["", "--user casa-push:wrong", "--user root:"])
def test_no_push_without_password(host: Host, where: str, options: str) -> None:
    there = on(host, where)
    assert status(there, "/v2/casa/test/blobs/uploads/", f"--request POST {options}") == 401
    assert status(there, "/v2/casa/test/manifests/1", f"--request DELETE {options}") == 401


def test_docker_does_not_learn_of_the_password(host: Host) -> None:
    named = f"--resolve registry.casa.test:5000:{URL.split('/')[2].split(':')[0]} https://registry.casa.test:5000/v2/"
    assert host.check_output(f"{CURL} {named}") == "{}"
    assert host.check_output(f"{CURL} --output /dev/null --write-out '%{{http_code}}' --request POST "
                             f"{named}casa/test/blobs/uploads/") == "401"


def test_clients_learn_of_the_password(host: Host) -> None:
    answer = host.check_output(f"{CURL} --include {URL}/v2/")
    assert " 401 " in answer
    assert 'basic realm="casa registry"' in answer.lower()


def test_only_the_front_is_open(host: Host) -> None:
    listening = host.check_output("ss -Hlnt")
    assert "10.91.3.11:5000" in listening
    assert ":80 " not in listening
    socket = "--unix-socket /run/casa-registry/http.sock"
    assert host.run(f"runuser -u nobody -- curl --silent {socket} http://x/v2/").rc != 0
    assert host.run(f"curl --silent {socket} http://x/v2/").rc == 0
    assert host.run("runuser -u nobody -- cat /etc/casa-registry/tls.key").rc != 0


def test_runs_without_rights(host: Host) -> None:
    users = host.check_output("ps -o user:20= -C docker-registry,nginx").split()
    assert users
    assert set(users) == {"docker-registry"}


def test_plain_http_is_refused(host: Host) -> None:
    assert "plain HTTP request" in host.check_output("curl --silent http://10.91.3.11:5000/v2/")


def test_killed_daemons_come_back(host: Host, manifest: str) -> None:
    """Registry and front, each by itself; what was pushed is there."""
    ask = f"{CURL} --header 'Accept: {MANIFEST}' {URL}/v2/casa/test/manifests/1"
    for unit in ("casa-registry", "casa-registry-front"):
        killed(host, unit)
        assert eventually(lambda: host.run(ask).stdout == manifest)
