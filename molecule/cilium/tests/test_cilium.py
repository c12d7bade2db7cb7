"""Pods reach each other as policies allow, whatever becomes of Cilium's agents."""

import json
from collections.abc import Iterator

import pytest
from on_hosts import eventually
from trial import Trial, trial

from casa_install.facility import Facility

TEXT = "from the pod\n"
SERVE = f"mkdir -p /tmp/w && printf '{TEXT.strip()}\\n' > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w"
CLOSED = {
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed"},
    "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]},
}


@pytest.fixture(scope="module")
def pods(facility: Facility) -> Iterator[Trial]:
    """A server on a gateway behind a Service, and a pod of a user's node."""
    gateway, worker = (facility.site.group(group)[0].name for group in ("gateway", "kube_workers"))
    with trial(facility, "trial-cilium") as made:
        made.apply(
            made.pod("server", ["/bin/sh", "-c", SERVE], nodeName=gateway),
            made.pod("user", ["sleep", "infinity"], nodeName=worker),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"},
             "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]}},
        )
        made.ready("server", "user")
        yield made


def answer(pods: Trial, target: str, port: int, asker: str = "user") -> str:
    """What a server answers to a pod; empty when it does not."""
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 nc {target} {port} || true"
    said = pods.kubectl("exec", asker, "--", "sh", "-c", ask)
    return said.replace("\r", "").partition("\n\n")[2]


def agents(pods: Trial) -> dict[str, int]:
    """Starts of the agent of each node; a node whose agent is not ready is left out."""
    items = json.loads(pods.kubectl("get", "pods", "--namespace=kube-system", "--selector=k8s-app=cilium",
                                    "--output=json"))["items"]
    return {pod["spec"]["nodeName"]: status["restartCount"] + 1 for pod in items
            for status in pod["status"]["containerStatuses"] if status["name"] == "cilium-agent" and status["ready"]}


def test_pods_talk_across_nodes(pods: Trial) -> None:
    address = pods.kubectl("get", "pod", "server", "--output=jsonpath={.status.podIP}")
    for target, port in ((address, 8080), ("server", 80), ("server.trial-cilium.svc.cluster.local", 80)):
        assert eventually(lambda at=target, on=port: answer(pods, at, on) == TEXT), target


@pytest.mark.parametrize("name", ["hub.{domain}", "xcache", "kubernetes.default.svc.cluster.local"])
def test_pods_of_users_nodes_resolve(pods: Trial, facility: Facility, name: str) -> None:
    """The site's names, the bare alias, and the cluster's own."""
    asked = name.format(domain=facility.site.settings.domain)
    assert pods.kubectl("exec", "user", "--", "sh", "-c", f"ping -c 1 -W 1 {asked} || true").startswith("PING ")


def test_policies_are_enforced(pods: Trial) -> None:
    """A closed server answers no more, and answers again without the policy."""
    pods.apply(CLOSED)
    try:
        assert eventually(lambda: answer(pods, "server", 80) == "")
    finally:
        pods.kubectl("delete", "networkpolicy", "closed")
    assert eventually(lambda: answer(pods, "server", 80) == TEXT)


def test_the_network_outlives_its_killed_agents(pods: Trial, facility: Facility) -> None:
    """What pods have stays, policies too; the agents come back, and give new pods what they need."""
    nodes = [host.name for group in ("gateway", "kube_workers") for host in facility.site.group(group)[:1]]
    before = agents(pods)
    for node in nodes:
        pods.on(node, "pkill", "--signal", "KILL", "--exact", "cilium-agent")
    assert answer(pods, "server", 80) == TEXT
    assert eventually(lambda: all(agents(pods).get(node, 0) > before[node] for node in nodes), 120)
    pods.apply(pods.pod("late", ["sleep", "infinity"], nodeName=nodes[1]), CLOSED)
    pods.ready("late")
    assert eventually(lambda: answer(pods, "server", 80) == "" == answer(pods, "server", 80, "late"))
    pods.kubectl("delete", "networkpolicy", "closed")
    assert eventually(lambda: answer(pods, "server", 80) == TEXT == answer(pods, "server", 80, "late"))
