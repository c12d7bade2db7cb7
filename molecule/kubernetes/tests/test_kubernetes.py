"""The cluster's promises, asked of the real thing."""

from __future__ import annotations

import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from on_hosts import eventually

FILES = Path(__file__).parent
PUBLIC = "10.91.9.200"
CONTROL = "10.91.9.11"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
NODE = "/usr/local/lib/casa-install/kube-node"
IN_POD = f"{KUBECTL} --namespace=trial exec server --"

testinfra_hosts = ["kube-1"]


def apply(host: Any, text: str) -> None:
    """Have objects in the cluster."""
    result = host.run(f"{KUBECTL} apply --filename=- <<'END'\n{text}\nEND")
    assert result.rc == 0, result.stderr


def kubectl(host: Any, arguments: str) -> str:
    """Return what kubectl prints."""
    result = host.run(f"{KUBECTL} {arguments}")
    assert result.rc == 0, result.stderr
    return str(result.stdout)


def outside() -> str:
    """Return what the public address answers to a machine that is no node; empty when it does not."""
    try:
        with urllib.request.urlopen(f"http://{PUBLIC}/", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.fixture(scope="module", autouse=True)
def trial(host: Any) -> Iterator[None]:
    """A server on the gateway behind the public address, and a volume that only the gateway has."""
    variables = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "variables.json").read_text())
    apply(host, (FILES / "trial.yaml").read_text().replace("TOOLBOX", variables["scenario_toolbox"]))
    kubectl(host, "--namespace=trial wait --for=condition=Ready pod/server pod/guest --timeout=240s")
    yield
    kubectl(host, "delete namespace trial --timeout=60s")


def test_nodes_are_ready_with_their_roles(host: Any) -> None:
    """Every host is a node of the right version, and pods find gateways."""
    nodes = {n["metadata"]["name"]: n for n in json.loads(kubectl(host, "get nodes --output=json"))["items"]}
    assert sorted(nodes) == ["gateway-1", "kube-1"]
    for node in nodes.values():
        assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"] == "containerd://2.4.2"
    assert nodes["gateway-1"]["metadata"]["labels"]["casa/gateway"] == "true"
    assert [t["key"] for t in nodes["gateway-1"]["spec"]["taints"]] == ["casa/gateway"]
    assert [t["key"] for t in nodes["kube-1"]["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]


def test_every_image_is_the_sites(host: Any) -> None:
    """Nothing comes from elsewhere."""
    images = kubectl(host, "get pods --all-namespaces --output=jsonpath='{.items[*].spec.containers[*].image}'")
    assert all(image.startswith("registry.casa.test:5000/casa/") for image in images.split())


@pytest.mark.parametrize("name", ["hub.casa.test", "xcache", "kubernetes.default.svc.cluster.local"])
def test_pods_resolve(host: Any, name: str) -> None:
    """The site's names, the bare alias, and the cluster's own."""
    assert host.run(f"{IN_POD} ping -c 1 -W 1 {name}").stdout.startswith("PING ")


def test_public_address_answers_outside() -> None:
    """The gateway announces it to the hosts' network."""
    assert eventually(lambda: outside() == "from the pod\n", 60)


def test_policies_are_enforced(host: Any) -> None:
    """A closed server does not answer outside, and answers again without the policy."""
    apply(host, (FILES / "policy.yaml").read_text())
    try:
        assert eventually(lambda: outside() == "", 30)
    finally:
        kubectl(host, "--namespace=trial delete networkpolicy closed")
    assert eventually(lambda: outside() == "from the pod\n", 30)


def test_secrets_are_stored_encrypted(host: Any) -> None:
    """etcd's file has no secret's text in it."""
    word = "findable-4711"
    kubectl(host, f"--namespace=trial create secret generic probe --from-literal=word={word}")
    kubectl(host, "--namespace=trial create configmap probe --from-literal=word=open-4711")
    assert host.run("grep --recursive --quiet open-4711 /var/lib/etcd/data").rc == 0
    assert host.run(f"grep --recursive --quiet {word} /var/lib/etcd/data").rc == 1


def test_strangers_are_refused(host: Any) -> None:
    """The API gives nothing to a client without a credential, and the hosts keep theirs to root."""
    authority = host.file("/etc/kubernetes/pki/ca.crt").content_string
    context = ssl.create_default_context(cadata=authority)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"https://{CONTROL}:6443/api/v1/secrets", context=context, timeout=10)
    assert refused.value.code == 403
    for path in ("admin.conf", "encryption/config.yaml", "casa-install/kubeadm.yaml"):
        assert host.file(f"/etc/kubernetes/{path}").mode == 0o600


def test_no_token_to_join_outlives_its_minutes(host: Any) -> None:
    """Tokens end by themselves, within ten minutes."""
    lines = kubectl(host, "--namespace=kube-system get secrets --field-selector=type=bootstrap.kubernetes.io/token "
                          "--output=jsonpath='{range .items[*]}{.data.expiration}{\"\\n\"}{end}'").split()
    for line in lines:
        left = host.check_output("echo $(( $(date -d \"$(echo %s | base64 -d)\" +%%s) - $(date +%%s) ))", line)
        assert int(left) <= 600


def test_ports_of_etcd_are_closed_to_strangers() -> None:
    """etcd demands a client's certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (socket.create_connection((CONTROL, 2379), timeout=5) as raw,
          context.wrap_socket(raw) as connection, pytest.raises(ssl.SSLError)):
        connection.sendall(b"GET /version HTTP/1.0\r\n\r\n")
        connection.recv(1000)


def test_killed_daemons_come_back(host: Any) -> None:
    """systemd starts kubelet again, and kubelet the API's server; the public address answers all the while."""
    main = "systemctl show --property=MainPID --value kubelet; pgrep --exact kube-apiserver"
    before = host.check_output(main).split()
    assert len(before) == 2
    host.check_output(f"kill -KILL {' '.join(before)}")
    assert outside() == "from the pod\n"

    def again() -> bool:
        now = host.run(main).stdout.split()
        return len(now) == 2 and not set(now) & {*before, "0"} and host.run(f"{KUBECTL} get --raw=/readyz").rc == 0

    assert eventually(again, 90)


def node(host: Any, name: str) -> Any:
    """Return a node's spec."""
    return json.loads(kubectl(host, f"get node {name} --output=json"))["spec"]


def test_a_node_that_goes_is_drained_as_budgets_allow(host: Any) -> None:
    """A budget keeps a pod where it is, an apply in between keeps the node, and force ends the pod."""
    apply(host, (FILES / "budget.yaml").read_text())
    blocked = host.run(f"{NODE} drain gateway-1 5")
    assert blocked.rc == 1
    assert "not drained after 5 s; pods on gateway-1: server" in blocked.stderr
    assert host.run(f"{KUBECTL} --namespace=trial get pod guest").rc == 1, "no budget holds it"
    assert node(host, "gateway-1")["unschedulable"]
    for command, says, still in (("--check appoint", "changed", True), ("appoint", "changed", False),
                                 ("--check appoint", "", False)):
        assert host.check_output(f"echo gateway-1 | {NODE} {command}") == says
        assert node(host, "gateway-1").get("unschedulable", False) is still
    assert host.check_output(f"{NODE} drain gateway-1 60 force") == "changed"
    assert node(host, "gateway-1")["unschedulable"]
    assert host.run(f"{KUBECTL} --namespace=trial get pod server").rc == 1


def test_a_node_is_forgotten_with_the_volumes_that_only_it_has(host: Any) -> None:
    """Nobody waits for ever for a volume that has gone; the node itself is not asked."""
    assert "trial/home" in kubectl(host, "get persistentvolumes")
    assert host.check_output(f"{NODE} drain gateway-1 60") == "changed"
    assert host.check_output(f"{NODE} forget gateway-1") == "changed"
    assert kubectl(host, "get nodes --output=name").split() == ["node/kube-1"]
    assert eventually(lambda: kubectl(host, "get persistentvolumes,persistentvolumeclaims --all-namespaces") == "", 30)
    assert host.check_output(f"{NODE} forget gateway-1") == ""
