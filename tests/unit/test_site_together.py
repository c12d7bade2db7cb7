"""Problems of which one could hide the other: both are told in one pass, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from casa_install.site import InventoryErrors
from tests.unit.site_inventories import GOOD, line_of, load, replaced

NAME = "write a short name of lower-case letters, digits and hyphens, a letter first"
DOMAIN = "write a DNS domain in lower case such as casa.physics.edu"
SMALL = "casa_condor_memory is 64; it should be greater than 127"
PUBLIC = "write an address of the network that nothing else has"
DOCKER = "write apptainer, or another host than {0} in [condor_execute]"
# name: (texts exchanged in the inventory, [(text of the line, message)])
TOGETHER: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "a host's name and its address": (
        [("exec-2 ansible_host=10.1.0.32", "exec_2 ansible_host=10.1.0.999")],
        [("exec_2", "ansible_host=10.1.0.999 of exec_2 is not an IPv4 address; write the host's address such as "
                    "10.1.0.11"),
         ("exec_2", f"exec_2 is not a host name; {NAME}")]),
    "a host's name and that its address is missing": (
        [("exec-2 ansible_host=10.1.0.32", "exec_2")],
        [("exec_2", "exec_2 has no address; write exec_2 ansible_host=ADDRESS"),
         ("exec_2", f"exec_2 is not a host name; {NAME}")]),
    "a host's name and the address of another": (
        [("exec-2 ansible_host=10.1.0.32", "exec_2 ansible_host=10.1.0.31")],
        [("exec_2", "exec_2 has the address of exec-1 (10.1.0.31); write the host's own"),
         ("exec_2", f"exec_2 is not a host name; {NAME}")]),
    "a host's setting and the address of another": (
        [("exec-2 ansible_host=10.1.0.32", "exec-2 ansible_host=10.1.0.31 casa_condor_memory=64")],
        [("exec-2", SMALL), ("exec-2", "exec-2 has the address of exec-1 (10.1.0.31); write the host's own")]),
    "a host's setting and its address elsewhere": (
        [("exec-2 ansible_host=10.1.0.32", "exec-2 ansible_host=10.2.0.32 casa_condor_memory=64")],
        [("exec-2", "10.2.0.32 of exec-2 is outside casa_network (10.1.0.0/24); correct the address or casa_network"),
         ("exec-2", SMALL)]),
    "a host's setting and the public address": (
        [("exec-2 ansible_host=10.1.0.32", "exec-2 ansible_host=10.1.0.200 casa_condor_memory=64")],
        [("exec-2", SMALL),
         ("casa_public", f"casa_public_address 10.1.0.200 is the address of exec-2; {PUBLIC}")]),
    "a host's setting, its address and docker": (
        [("exec-2 ansible_host=10.1.0.32", "kube-2 casa_condor_memory=64\ngateway-1"),
         ("gateway-1 ansible_host=10.1.0.14", "gateway-1"), ("dummy", "dummy\ncasa_job_containers=docker")],
        [("gateway-1", "gateway-1 has no address; write gateway-1 ansible_host=ADDRESS"), ("kube-2 casa", SMALL),
         *(("casa_job", f"casa_job_containers=docker, but {name} is a Kubernetes node too; {DOCKER.format(name)}")
           for name in ("gateway-1", "kube-2"))]),
    "capital letters and a public domain": (
        [("casa_domain=casa.lan", "casa_domain=Casa.Physics.edu")],
        [("casa_domain", f"casa_domain is Casa.Physics.edu; {DOMAIN}"),
         ("casa_auth", "casa_authenticator=dummy lets anybody into casa.physics.edu; write oidc, or use a private "
                       "domain such as casa.test")]),
    "capital letters and a domain of others": (
        [("casa_domain=casa.lan", "casa_domain=Casa.local")],
        [("casa_domain", f"casa_domain is Casa.local; {DOMAIN}"),
         ("casa_domain", "casa_domain is casa.local, and names that end with .local are looked for by multicast, and "
                         "inside Kubernetes; write another domain, such as casa.internal")]),
    "capital letters and a private domain": (
        [("casa_domain=casa.lan", "casa_domain=Casa.lan")], [("casa_domain", f"casa_domain is Casa.lan; {DOMAIN}")]),
    "capital letters and what an identity provider needs": (
        [("casa_authenticator=dummy", "casa_authenticator=OIDC")],
        [("casa_auth", "casa_authenticator is OIDC; write dummy or oidc"),
         *(("casa_auth", f"casa_oidc_{name} is missing; casa_authenticator=oidc needs it: write casa_oidc_{name}")
           for name in ("authorize_url", "client_id", "client_secret", "token_url", "userinfo_url"))]),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_together(case: str, tmp_path: Path) -> None:
    pairs, messages = TOGETHER[case]
    text = replaced(*pairs)
    assert text != GOOD
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, text)
    found = [str(each).removeprefix(f"{tmp_path}/") for each in refused.value.problems]
    assert found == [f"site.ini:{line_of(part, text)}: {message}" for part, message in messages]
