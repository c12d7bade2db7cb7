"""Bad inventories: each is refused with its file, its line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from casa_install.credentials.authority import make_authority, make_leaf
from casa_install.site import InventoryErrors, load_site
from tests.unit.site_inventories import GOOD, line_of, load, replaced, write

# name: (text of the inventory, {file: content}, file of the problem, its line, part of the line that reports it)
INI = "site.ini"
ALL = "group_vars/all.yml"
AUTHORITY = make_authority("proxy.lan")
SERVER = make_leaf(AUTHORITY, "proxy", ["proxy.lan"]).certificate


def swapped(old: str, new: str, told: str) -> tuple[str, dict[str, str], str, int, str]:
    """One text exchanged; the problem is on the line of the new one."""
    text = replaced((old, new))
    return text, {}, INI, line_of(old.split("\n")[0]), told


def added(line: str, told: str) -> tuple[str, dict[str, str], str, int, str]:
    """One more line at the end, under [all:vars]."""
    return GOOD + line + "\n", {}, INI, GOOD.count("\n") + 1, told


def beside(file: str, content: str, line: int, told: str) -> tuple[str, dict[str, str], str, int, str]:
    """A variable file beside the good inventory."""
    return GOOD, {file: content}, file, line, told


def without(line: str, at: str, told: str) -> tuple[str, dict[str, str], str, int, str]:
    """One line missing."""
    text = replaced((line + "\n", ""))
    return text, {}, INI, line_of(at, text), told


OIDC = ("casa_authenticator=dummy", "casa_authenticator=oidc")
RUN = "make it run, or write the password into a file that is not executable"
VAULT = "  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
BAD = {
    "misspelt setting": swapped("casa_domain=", "casa_domian=",
                                "casa_domian is not a setting; did you mean casa_domain?"),
    "unknown setting": added("casa_q=1", "casa_q is not a setting; docs/settings.md"),
    "capital letters": added("Casa_Domain=casa.lan", "did you mean casa_domain?"),
    "missing setting": without("casa_domain=casa.lan", "[all:vars]", "casa_domain is missing; write casa_domain"),
    "missing users": without('casa_users=["alice", "bob"]', "[all:vars]", "casa_users is missing"),
    "empty value": swapped("casa_site_name=casa", "casa_site_name=", "casa_site_name has no value"),
    "no equals sign": swapped("casa_site_name=casa", "casa_site_name: casa", "has no value; write name=value"),
    "set twice": added("casa_domain=other.lan", f"is set already on line {line_of('casa_domain')}"),
    "comment behind value": swapped("casa.lan", "casa.lan # ours", "comment behind its value"),
    "template": swapped("casa.lan", "casa.{{ x }}", "casa_domain is a template"),
    "capital domain": swapped("casa.lan", "Casa.lan", "write a DNS domain in lower case"),
    "domain of one label": swapped("casa.lan", "casalan", "casa_domain is casalan"),
    "domain with empty label": swapped("casa.lan", "casa..lan", "casa_domain is casa..lan"),
    "site name too long": swapped("site_name=casa", "site_name=a-very-long-name", "2 to 12 lower-case letters"),
    "network with host bits": swapped("10.1.0.0/24", "10.1.0.1/24", "its first address before the /"),
    "network unreadable": swapped("10.1.0.0/24", "10.1.0/24", "write a network such as"),
    "network too wide": swapped("casa_network=10.1.0.0/24", "casa_network=10.0.0.0/7", "between /8 and /29"),
    "network of the machine itself": swapped("10.1.0.0/24", "127.0.0.0/24", "which hosts cannot use"),
    "pod network too small": added("casa_pod_network=10.244.0.0/26", "between /8 and /23"),
    "pod network too small for nodes": added("casa_pod_network=10.244.0.0/23", "too small for 4 nodes"),
    "pods overlap hosts": added("casa_pod_network=10.1.0.0/16", "overlaps casa_network (10.1.0.0/24)"),
    "services overlap pods": added("casa_service_network=10.244.128.0/18", "overlaps casa_pod_network"),
    "public address is no address": swapped("10.1.0.200", "10.1.0.300", "write an IPv4 address"),
    "public address elsewhere": swapped("10.1.0.200", "10.2.0.200", "is outside casa_network"),
    "public address of a host": swapped("10.1.0.200", "10.1.0.51", "is the address of dns-1"),
    "public address of the gateway": swapped("10.1.0.200", "10.1.0.1", "address of the network's gateway"),
    "public address of the network": swapped("10.1.0.200", "10.1.0.0", "network's own address"),
    "public address is broadcast": swapped("10.1.0.200", "10.1.0.255", "broadcast address"),
    "text for a number": added("casa_xcache_memory=much", "casa_xcache_memory is much; write a whole number"),
    "number too small": added("casa_xcache_memory=0", "greater than or equal to 1"),
    "text for a truth value": added("casa_rehearsal=perhaps", "write true or false"),
    "text for a list": swapped('["alice", "bob"]', "alice,bob", "write a list such as"),
    "unclosed list": swapped('["alice", "bob"]', '["alice", "bob"', "write a list such as"),
    "no users": swapped('["alice", "bob"]', "[]", "casa_users is []; it should have at least 1 item"),
    "bad user": swapped('"bob"', '"Bob Smith"', "casa_users[1] is Bob Smith; write at most 31 lower-case"),
    "user twice": swapped('"bob"', '"alice"', "alice is in casa_users 2 times"),
    "admin is no user": swapped('casa_admins=["alice"]', 'casa_admins=["carol"]', "admin carol is not in casa_users"),
    "quantity": added("casa_home_size=10GB", "write a whole number with Mi, Gi or Ti"),
    "cms site": added("casa_cms_site=T2-US", "3 to 40 letters, digits and underscores"),
    "mirror": added("casa_debian_mirror=mirror.lan/debian", "starts with http:// or https://"),
    "unknown containers": added("casa_job_containers=podman", "is podman; write apptainer or docker"),
    "docker beside Kubernetes": (replaced(("[registry]", "[condor_execute]\nkube-2\n[registry]"))
                                 + "casa_job_containers=docker\n", {}, INI, GOOD.count("\n") + 3,
                                 "but kube-2 is a Kubernetes node too; write apptainer, or another host than kube-2"),
    "unknown authenticator": swapped("=dummy", "=ldap", "write dummy or oidc"),
    "dummy in public": swapped("casa_authenticator=dummy", "casa_authenticator=dummy\ncasa_home_size=1Gi", "x"),
    "placeholder": swapped("site_name=casa", "site_name=CHANGEME", "still has CHANGEME in it"),
    "documentation domain": swapped("casa.lan", "casa.example.org", "still has example.org in it"),
    "placeholder of a host": swapped("10.1.0.51", "CHANGEME", "dns-1 still has CHANGEME as its address"),
    "origin not a port": swapped("storage.lan:1094", "storage.lan", "write host:port"),
    "origin port too high": swapped("storage.lan:1094", "storage.lan:99999", "whose port is not between 1 and 65535"),
    "no origin": without("casa_xcache_origin=storage.lan:1094", "[all:vars]", "nothing says where the cache reads"),
    "origin group": swapped("[registry]", "[origin]\ndns-1\n[registry]", "x"),
    "missing group": without("[xcache]", "xcache", "x"),
    "empty group": swapped("xcache-1 ansible_host=10.1.0.41\n", "\n", "x"),
    "misspelt group": swapped("[kube_workers]", "[kube_worker]",
                              "is not a group of a site; did you mean kube_workers?"),
    "strange group": swapped("[registry]", "[zebra]\nz ansible_host=10.1.0.60\n[registry]", "groups are kube_control"),
    "bad section": swapped("[registry]", "[regi stry]", "is not a section"),
    "bad kind of section": swapped("[registry]", "[registry:host]", "is not a kind of section; write [registry]"),
    "host twice in a group": swapped("[condor_access]\ncondor-1", "[condor_access]\ncondor-1\ncondor-1", "x"),
    "two hosts with one address": swapped("10.1.0.32", "10.1.0.31", "exec-2 has the address of exec-1"),
    "no address": swapped("xcache-1 ansible_host=10.1.0.41", "xcache-1", "write xcache-1 ansible_host=ADDRESS"),
    "address is a name": swapped("10.1.0.41", "xcache.lan", "is not an IPv4 address"),
    "address is IPv6": swapped("10.1.0.41", "fd00::41", "is not an IPv4 address"),
    "address elsewhere": swapped("10.1.0.41", "10.2.0.41", "is outside casa_network"),
    "address is broadcast": swapped("10.1.0.41", "10.1.0.255", "first or last address"),
    "host name with domain": swapped("xcache-1 ", "xcache-1.casa.lan ", "write xcache-1: the domain is casa_domain"),
    "name of a service": swapped("xcache-1 ", "hub ", "hub.<domain> is the name of a service"),
    "host name": swapped("xcache-1 ", "xcache_1 ", "xcache_1 is not a host name"),
    "spaces around equals": swapped("=10.1.0.41", " = 10.1.0.41", "without spaces around ="),
    "open quotation": swapped("10.1.0.41", "'10.1.0.41", "close the quotation"),
    "bad range": swapped("kube-[2:3]", "kube-[2-3]", "is not a range of hosts"),
    "backward range": swapped("kube-[2:3]", "kube-[3:2]", "is not a range of hosts"),
    "endless range": swapped("kube-[2:3]", "kube-[1:99][1:99]", "means more than"),
    "setting before any section": (f"casa_domain=casa.lan\n{GOOD}", {}, INI, 1,
                                   "write settings of the site under [all:vars]"),
    "site setting on a host": swapped("10.1.0.51", "10.1.0.51 casa_home_size=1Gi", "write it under [all:vars]"),
    "host setting for the site": added("casa_condor_cpus=3", "is a setting of one host"),
    "execute setting elsewhere": swapped("10.1.0.51", "10.1.0.51 casa_condor_cpus=3", "which dns-1 is not"),
    "bad host setting": swapped("casa_condor_cpus=24", "casa_condor_cpus=0",
                                "casa_condor_cpus is 0; it should be greater"),
    "gateway is control": swapped("gateway-1 ansible_host=10.1.0.14", "kube-1",
                                  "is in [kube_control] and in [gateway]"),
    "unknown child": (GOOD + "[rack:children]\nkube_contro\n", {}, INI, GOOD.count("\n") + 2,
                      "did you mean kube_control?"),
    "circle": (GOOD + "[dns:children]\nxcache\n[xcache:children]\ndns\n", {}, INI, GOOD.count("\n") + 2, "contains"),
    "vars of nothing": (GOOD + "[zebras:vars]\nx=1\n", {}, INI, GOOD.count("\n") + 1, "is for a group without hosts"),
    "user of the system": swapped('"bob"', '"nobody"', "user nobody has a name of the system"),
    "trusted CA missing": added('casa_trusted_cas=["ca.pem"]', "ca.pem cannot be read (No such file"),
    "trusted CA not PEM": (GOOD + 'casa_trusted_cas=["ca.pem"]\n', {"ca.pem": "DER"}, INI, GOOD.count("\n") + 1,
                           "holds no PEM certificate"),
    "trusted CA is a server": (GOOD + 'casa_trusted_cas=["ca.pem"]\n', {"ca.pem": AUTHORITY.certificate + SERVER},
                               INI, GOOD.count("\n") + 1, "ca.pem holds the certificate CN=proxy,O=casa-install, which "
                               "is no authority's (CA:TRUE is missing); write a file with certificates of authorities"),
    "profile without a field": added('casa_profiles=[{"slug": "ab", "title": "x", "cores": 1}]', "memory is missing"),
    "profiles of one slug": beside(ALL, "casa_profiles:\n- {slug: ab, title: x, cores: 1, memory: 1Gi}\n"
                                        "- {slug: ab, title: y, cores: 1, memory: 1Gi}\n", 3,
        "two profiles have the slug"),
    "profile with a strange field": beside(ALL, "casa_profiles:\n- slug: ab\n  title: x\n  cors: 1\n  cores: 1\n"
                                                "  memory: 1Gi\n", 4,
        "casa_profiles[0].cors is not known; did you mean cores?"),
    "profile with a bad value": beside(ALL, "casa_profiles:\n- slug: ab\n  title: x\n  cores: 1\n  memory: 1GB\n", 5,
                                       "casa_profiles[0].memory is 1GB"),
    "no profiles": beside(ALL, "casa_profiles: []\n", 1, "casa_profiles is empty"),
    "worker larger than its pod": beside(ALL,
                                         "casa_profiles:\n- {slug: ab, title: x, cores: 1, memory: 2Gi, worker: true, "
                                              "worker_cores: 2, worker_memory: 1Gi}\n", 2, "2 cores leave the pod"),
    "worker takes all memory": beside(ALL,
                                      "casa_profiles:\n- {slug: ab, title: x, cores: 2, memory: 2Gi, worker: true}\n",
                                      2, "leaves the pod nothing"),
    "secret in clear": beside(ALL, "casa_oidc_client_secret: hunter2\n", 1, "is a secret in clear"),
    "not encrypted": beside(ALL, "casa_oidc_client_secret: !vault |\n  hunter2\n", 1, "is marked !vault but"),
    "encrypted setting": beside(ALL, f"casa_home_size: !vault |\n{VAULT}", 1, "casa_home_size is encrypted"),
    "encrypted file": beside(ALL, "$ANSIBLE_VAULT;1.1;AES256\n6162\n", 1, "give the vault password file"),
    "YAML twice": beside(ALL, "casa_home_size: 1Gi\ncasa_home_size: 2Gi\n", 2, "is set already on line 1"),
    "YAML null": beside(ALL, "casa_home_size:\n", 1, "casa_home_size has no value"),
    "YAML list": beside(ALL, "- casa_home_size\n", 1, "does not hold variables"),
    "YAML broken": beside(ALL, "x: 1\ncasa_home_size: [1\n", 3, "is not YAML"),
    "YAML in a circle": beside(ALL, "casa_users: &a [*a]\n", 1, "contains itself"),
    "YAML date": beside(ALL, "casa_home_size: 2024-99-99\n", 1, "is not a value"),
    "YAML unknown setting": beside(ALL, "x: 1\ncasa_hom_size: 1Gi\n", 2, "did you mean casa_home_size?"),
    "YAML of an unknown group": beside("group_vars/kube_worker.yml", "x: 1\n", 1, "did you mean kube_workers?"),
    "YAML of an unknown host": beside("host_vars/dns-2.yml", "x: 1\n", 1, "there is no host dns-2"),
    "site setting for a group": beside("group_vars/dns.yml", "---\ncasa_home_size: 1Gi\n", 2,
                                       "setting of the whole site"),
    "address in YAML": beside("host_vars/kube-2.yml", "x: 1\nansible_host: kube.lan\n", 2, "is not an IPv4 address"),
    "not UTF-8": (GOOD.replace("casa.lan", "c\udcffsa.lan"), {}, INI, line_of("casa.lan"), "is not UTF-8"),
    "binary": ("\x7fELF\0\0", {}, INI, 1, "is not a text file"),
    "empty": ("", {}, INI, 1, "holds no hosts"),
    "only comments": ("# nothing\n", {}, INI, 1, "holds no hosts"),
    "YAML inventory": ("---\nall:\n  hosts:\n", {}, INI, 1, "looks like YAML"),
    "YAML inventory without a head": ("all:\n  hosts:\n", {}, INI, 1, "write the inventory in INI form"),
    "prose": ("Dear installer,\n", {}, INI, 1, "installer, is not a variable of a host"),
}
# those whose problem is on a line of its own
BAD["dummy in public"] = (replaced(("casa.lan", "casa.physics.edu")), {}, INI, line_of("casa_authenticator"),
                          "casa_authenticator=dummy lets anybody into casa.physics.edu; write oidc")
BAD["origin group"] = (replaced(("[registry]", "[origin]\nstore-1 ansible_host=10.1.0.42\n\n[registry]")), {}, INI,
                       line_of("[registry]") + 1, "[origin] is for rehearsals only")
BAD["missing group"] = (replaced(("[xcache]\n", "")), {}, INI, GOOD.count("\n") - 1, "no host is in [xcache]")
BAD["empty group"] = (replaced(("xcache-1 ansible_host=10.1.0.41", "")), {}, INI, line_of("[xcache]"),
                      "no host is in [xcache]; write the host of it below [xcache] (XRootD cache)")
BAD["host twice in a group"] = (replaced(("[condor_access]\ncondor-1\n", "[condor_access]\ncondor-1\ncondor-1\n")), {},
                                INI,
                                line_of("[condor_access]") + 2, "condor-1 is in [condor_access] already")
BAD["host with two addresses"] = (
    replaced(("[condor_access]\ncondor-1\n", "[condor_access]\ncondor-1 ansible_host=10.1.0.9\n")), {}, INI,
    line_of("[condor_access]") + 1, "condor-1 has another ansible_host on line")
for count, part in ((2, "even number of control hosts"), (3, "several control hosts are not supported yet")):
    more = "".join(f"kube-{9 + n} ansible_host=10.1.0.{90 + n}\n" for n in range(count - 1))
    BAD[f"{count} control hosts"] = (replaced(("\n\n[kube_workers]", f"\n{more}\n[kube_workers]")), {}, INI, 3, part)
for name in ("condor_manager", "condor_access", "xcache", "registry"):
    BAD[f"two of {name}"] = (replaced((f"[{name}]\n", f"[{name}]\nexec-2\n")), {}, INI, 0, f"[{name}] has 2 hosts")
for name in ("authorize_url", "client_id", "client_secret"):
    BAD[f"no {name}"] = (replaced(OIDC), {}, INI, line_of("casa_authenticator"), f"casa_oidc_{name} is missing")


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, tmp_path: Path) -> None:
    text, files, file, line, told = BAD[case]
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, text, files)
    where = [str(problem) for problem in refused.value.problems
             if problem.file == tmp_path / file and line in (0, problem.line)]
    assert any(told in each for each in where), str(refused.value)
    assert all(problem.line >= 1 and problem.message and problem.remedy for problem in refused.value.problems)


def test_every_problem_in_one_pass(tmp_path: Path) -> None:
    text = replaced(("casa_domain=", "casa_domian="), ("10.1.0.200", "10.2.0.200"), ("10.1.0.41", "no"),
                    ('"bob"', '"B"'))
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, text)
    assert [problem.line for problem in refused.value.problems] == sorted(map(
        line_of, ("xcache-1", "[all:vars]", "casa_domain", "casa_public_address", "casa_users")))


def test_no_secret_in_messages(tmp_path: Path) -> None:
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, GOOD + "casa_oidc_client_secret=hunter2\n", {ALL: "casa_oidc_client_id: [hunter3]\n"})
    assert "hunter2" not in str(refused.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "none.ini", "there is no such file"), (tmp_path, "is a directory")):
        with pytest.raises(InventoryErrors, match=told):
            load_site(path)


def test_inventory_that_cannot_be_read(tmp_path: Path) -> None:
    inventory = tmp_path / "site.ini"
    inventory.symlink_to("nowhere")
    with pytest.raises(InventoryErrors, match="there is no such file"):
        load_site(inventory)
    inventory.unlink()
    inventory.symlink_to("site.ini")  # the tests may run as root, whom no mode keeps from reading
    with pytest.raises(InventoryErrors) as refused:
        load_site(inventory)
    assert str(refused.value) == (f"{inventory}:1: cannot be read (Too many levels of symbolic links); make it "
                                  "readable for the one who installs")


@pytest.mark.parametrize(("mode", "content", "told"), [
    (0o700, b"#!/bin/sh\nexit 3\n", f"does not print a vault password (exit status 3); {RUN}"),
    (0o700, b"secret\n", f"does not print a vault password (Exec format error); {RUN}"),
    (0o700, b"#!/none/at/all\n", f"does not print a vault password (No such file or directory); {RUN}"),
    (0o700, b"#!/bin/sh\nprintf '\\377'\n", f"does not print a vault password (no UTF-8 text); {RUN}"),
    (0o700, b"#!/bin/sh\necho\n", "holds no vault password; write the password on its first line"),
    (0o600, b"\n", "holds no vault password; write the password on its first line"),
    (0o600, b"\xff\n", "is not UTF-8 text; write this line in UTF-8"),
])
def test_file_without_a_vault_password(tmp_path: Path, mode: int, content: bytes, told: str) -> None:
    password = tmp_path / "password"
    password.write_bytes(content)
    password.chmod(mode)
    with pytest.raises(InventoryErrors) as refused:
        load_site(write(tmp_path, GOOD), vault_passwords=[password])
    assert str(refused.value) == f"{password}:1: {told}"


def test_wrong_vault_password(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    inventory = write(tmp_path, GOOD, {ALL: f"casa_oidc_client_secret: !vault |\n{VAULT}"})
    with pytest.raises(InventoryErrors, match="does not open"):
        load_site(inventory, vault_passwords=[password])
