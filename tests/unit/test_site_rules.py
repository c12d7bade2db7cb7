"""Rules of an inventory, each with the whole of its message: file, line, what is wrong, what to write."""

from __future__ import annotations

import re
from pathlib import Path

import ansible
import pytest

from casa_install.site import InventoryErrors, load_site
from casa_install.site.names import intended
from tests.unit.site_inventories import GOOD, line_of, load, replaced, write

LAST = GOOD.count("\n") + 1
ALL, EXEC, KUBE_2 = "group_vars/all.yml", "host_vars/exec-1.yml", "host_vars/kube-2.yml"
ENCRYPTED = "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"


def told(old: str, new: str, message: str) -> tuple[str, dict[str, str], list[str]]:
    """One text of the INI file exchanged; the only message is about its line."""
    text = replaced((old, new))
    return text, {}, [f"site.ini:{line_of(new.split(chr(10))[-1], text)}: {message}"]


def added(lines: str, *messages: str) -> tuple[str, dict[str, str], list[str]]:
    """More lines under [all:vars]; the messages are about the first of them."""
    return GOOD + lines + "\n", {}, [f"site.ini:{LAST}: {each}" for each in messages]


def beside(file: str, content: str, *messages: str) -> tuple[str, dict[str, str], list[str]]:
    """A file of variables beside the good inventory; each message says its line itself."""
    return GOOD, {file: content}, [f"{file}:{each}" for each in messages]


WRITE_NETWORK = "write a network such as 10.1.0.0/24"
YOURS = "if it is a variable of yours, rename it"
YOUR_OWN, WRITE_ADDRESS = "write your site's own", "write the host's own, such as 10.1.0.11"
OF_DOCUMENTS = GOOD.replace("10.1.0.", "192.0.2.")
HOSTS_OF_DOCUMENTS = {KUBE_2: "ansible_host: 192.0.2.12\n", "host_vars/kube-3/main.yml": "ansible_host: 192.0.2.13\n"}
PROFILE = "casa_profiles:\n- slug: ab\n  title: x\n  cores: 2\n  memory: 2Gi\n"
RULES = {
    # types that YAML makes
    "truth value for a number": beside(ALL, "---\ncasa_xcache_memory: yes\n",
                                       "2: casa_xcache_memory is True; write a whole number"),
    "number for an address": beside(ALL, "casa_dns_forwarders: [167837697]\n",
                                    "1: casa_dns_forwarders is [167837697]; write a list such as "
                                    '["first", "second"]'),
    "digits without end": beside(ALL, f"casa_xcache_memory: 0x{'f' * 5000}\n",
                                 "1: is a number of far too many digits; write a smaller one"),
    "range of a profile": beside(ALL, PROFILE.replace("cores: 2", "cores: 300"),
                                 "4: casa_profiles[0].cores is 300; it should be less than or equal to 256"),
    "only bad names": told('["alice", "bob"]', '["Alice"]', "casa_users[0] is Alice; write at most 31 lower-case "
                           "letters and digits, a letter first"),
    # names that are nearly those of others
    "setting without its head": added("home_size=20Gi", f"home_size is not a setting; did you mean casa_home_size? "
                                      f"{YOURS}"),
    "setting in capital letters": added("HOME_SIZE=20Gi", f"HOME_SIZE is not a setting; did you mean casa_home_size? "
                                        f"{YOURS}"),
    "setting with another head": added("csa_home_size=20Gi", "csa_home_size is not a setting; did you mean "
                                       f"casa_home_size? {YOURS}"),
    "setting of a host without its head": beside(EXEC, "x: 1\ncondor_cpu: 4\n", "2: condor_cpu is not a setting; did "
                                                 f"you mean casa_condor_cpus? {YOURS}"),
    "variable of Ansible": told("ansible_user=root", "ansible_usr=root", "ansible_usr is not a variable of Ansible's "
                                f"own; did you mean ansible_user? {YOURS}"),
    "variable of Ansible with a hyphen": told("10.1.0.51", "10.1.0.51 ansible-port=22", "ansible-port is not a "
                                              f"variable of Ansible's own; did you mean ansible_port? {YOURS}"),
    "interpreter": beside("group_vars/dns.yml", "ansible_pyton_interpreter: /usr/bin/python3\n",
                          "1: ansible_pyton_interpreter is not a variable of Ansible's own; did you mean "
                          f"ansible_python_interpreter? {YOURS}"),
    # positions in group_vars and host_vars
    "nested key twice": beside(ALL, PROFILE + "  memory: 4Gi\n",
                               "6: memory is set already on line 5; delete one of the two"),
    "merge key": beside(ALL, "x: &x\n  casa_home_size: 5Gi\n<<: *x\n",
                        "3: << takes variables from elsewhere, which is not read; write them here one by one"),
    "half a character": beside(ALL, '"casa_\\ud800": 1\n',
                               "1: casa_\\ud800 is not a setting; docs/settings.md lists them all"),
    "host_vars out of range": beside(EXEC, "---\nx: 1\ncasa_condor_memory: 64\n",
                                     "3: casa_condor_memory is 64; it should be greater than 127"),
    "host_vars unknown": beside(EXEC, "casa_condor_cpu: 4\n",
                                "1: casa_condor_cpu is not a setting; did you mean casa_condor_cpus?"),
    "host_vars of the wrong scope": beside(EXEC, "\ncasa_domain: other.lan\n",
                                           "2: casa_domain is a setting of the whole site; write it under [all:vars] "
                                           "or in group_vars/all.yml"),
    "encrypted address": beside(KUBE_2, f"ansible_host: {ENCRYPTED}",
                                "1: the address of kube-2 is encrypted; write it in clear"),
    "group_vars out of range": beside("group_vars/condor_execute.yml", "x: 1\ncasa_condor_cpus: 4096\n",
                                      "2: casa_condor_cpus is 4096; it should be less than or equal to 1024"),
    # the form of the file
    "byte order mark": ("\ufeff" + GOOD, {}, ["site.ini:1: begins with a byte order mark; save the file as UTF-8 "
                                              "without one"]),
    "control character": told("exec-2 ", "exec-2\x1b ", "exec-2\\x1b is not a host name; write a short name "
                              "of lower-case letters, digits and hyphens, a letter first"),
    "name of 300 letters": told("exec-2 ", f"{'e' * 300} ", f"{'e' * 300} is not a host name; write a short name of "
                                "lower-case letters, digits and hyphens, a letter first"),
    **{f"YAML nested too deeply: {name}": beside(ALL, f"x: {text}\n", "1: is nested too deeply; write plain lists and "
                                                 "maps")
       for name, text in (("lists", "[" * 3000), ("maps", "{a: " * 3000 + "}" * 3000))},
    "group_vars is a file": (GOOD, {"group_vars": ""}, ["group_vars:1: cannot be read (Not a directory); make it a "
                                                        "folder that you can read"]),
    # groups
    "host in no group": (f"spare ansible_host=10.1.0.90\n{GOOD}", {}, [
        "site.ini:1: spare is in no group of a site; write it below one of kube_control, kube_workers, gateway, "
        "condor_manager, condor_access, condor_execute, xcache, dns, registry, origin"]),
    # networks and addresses
    "host at the bridge": (replaced(("10.1.0.32", "10.1.0.1")) + "casa_rehearsal=true\n", {},
                           [f"site.ini:{line_of('exec-2')}: 10.1.0.1 of exec-2 is the bridge's own address; write "
                            "another"]),
    **{f"service network {net}": added(f"casa_service_network={net}", f"casa_service_network is {net}; write a network "
                                       "between /12 and /24")
       for net in ("10.96.0.0/11", "10.96.0.0/25")},
    "network of documents": (OF_DOCUMENTS + "casa_rehearsal=true\n", HOSTS_OF_DOCUMENTS,
                             [f"site.ini:{line_of('casa_network')}: casa_network is 192.0.2.0/24, which hosts cannot "
                              f"use; {WRITE_NETWORK}"]),
    "addresses of documents": (OF_DOCUMENTS, HOSTS_OF_DOCUMENTS, [
        f"{KUBE_2}:1: kube-2 still has 192.0.2.12 as its address; {WRITE_ADDRESS}",
        f"host_vars/kube-3/main.yml:1: kube-3 still has 192.0.2.13 as its address; {WRITE_ADDRESS}",
        *(f"site.ini:{line_of(f'{name} ansible')}: {name} still has 192.0.2.{number} as its address; {WRITE_ADDRESS}"
          for name, number in (("kube-1", 11), ("gateway-1", 14), ("condor-1", 21), ("exec-1", 31), ("exec-2", 32),
                               ("xcache-1", 41), ("dns-1", 51))),
        f"site.ini:{line_of('casa_network')}: casa_network still has 192.0.2.0 in it; {YOUR_OWN}",
        f"site.ini:{line_of('casa_public')}: casa_public_address still has 192.0.2.200 in it; {YOUR_OWN}"]),
    "pods on the Internet": added("casa_pod_network=8.8.0.0/16", "casa_pod_network is 8.8.0.0/16, where others have "
                                  "their addresses; write a private network such as 10.244.0.0/16"),
    "services overlap pods": added("casa_service_network=10.244.0.0/20",
                                   "casa_service_network (10.244.0.0/20) overlaps casa_pod_network (10.244.0.0/16); "
                                   "write casa_service_network=10.0.0.0/20, or another that hosts do not use"),
    "hosts overlap the default of pods": (
        GOOD.replace("10.1.0.", "10.244.0."),
        {KUBE_2: "ansible_host: 10.244.0.12\n", "host_vars/kube-3/main.yml": "ansible_host: 10.244.0.13\n"},
        [f"site.ini:{line_of('casa_network')}: casa_pod_network (10.244.0.0/16) overlaps casa_network "
         "(10.244.0.0/24); write casa_pod_network=10.0.0.0/16, or another that hosts do not use"]),
    "resolver twice": added('casa_dns_forwarders=["10.1.0.2", "10.1.0.2"]', "10.1.0.2 in casa_dns_forwarders is there "
                            "already; write the resolver that the hosts used before, or delete it"),
    "resolver is the site's own": added('casa_dns_forwarders=["10.1.0.51"]',
                                        "10.1.0.51 in casa_dns_forwarders is dns-1, which would ask itself; write the "
                                        "resolver that the hosts used before, or delete it"),
    "resolver inside the cluster": added('casa_dns_forwarders=["10.96.0.10"]',
                                         "10.96.0.10 in casa_dns_forwarders is inside casa_service_network "
                                         "(10.96.0.0/16); write the resolver that the hosts used before, or delete it"),
    "resolver on loopback": added('casa_dns_forwarders=["127.0.0.53"]',
                                  "127.0.0.53 in casa_dns_forwarders is no other host's address; write the resolver "
                                  "that the hosts used before, or delete it"),
    "resolver is the public address": added('casa_dns_forwarders=["10.1.0.200"]',
                                            "10.1.0.200 in casa_dns_forwarders is casa_public_address; write the "
                                            "resolver that the hosts used before, or delete it"),
    **{f"domain below {name}": told("casa_domain=casa.lan", f"casa_domain={name}",
                                    f"casa_domain is {name}, and names that end with {ending} {why}; write another "
                                    "domain, such as casa.internal")
       for name, ending, why in (
           ("cluster.local", ".local", "are looked for by multicast, and inside Kubernetes"),
           ("casa.localhost", ".localhost", "always mean the machine that asks"),
           ("1.10.in-addr.arpa", ".arpa", "are those of addresses"))},
    # how hosts are reached
    "root is somebody else": added("ansible_become_user=casa", "ansible_become_user is casa, and only root can "
                                   "install; write root or delete it"),
    # ports
    "port of a URL": added("casa_debian_mirror=http://mirror.lan:99999/debian",
                           "casa_debian_mirror is http://mirror.lan:99999/debian, whose port is not between 1 and "
                           "65535; correct the port"),
    "port of ssh": added("ansible_port=ssh", "ansible_port is ssh; write a port between 1 and 65535"),
    # the cache and its storage
    **{f"storage at {address}": told("origin=storage.lan", f"origin={address}", f"{address} in "
                                     f"casa_xcache_origin {why}; write the host:port of the storage that the cache "
                                     "reads from")
       for address, why in (("10.96.0.10", "is inside casa_service_network (10.96.0.0/16)"),
                            ("10.244.3.4", "is inside casa_pod_network (10.244.0.0/16)"),
                            ("10.1.0.200", "is casa_public_address"), ("127.0.0.1", "is no other host's address"))},
    "cache of itself": told("storage.lan:1094", "xcache.casa.lan:1094",
                            "casa_xcache_origin is xcache.casa.lan:1094, the cache xcache-1 itself; write the "
                            "host:port of the storage that it reads from"),
    "two storages of a rehearsal": (
        replaced(("[dns]", "[origin]\norigin-1 ansible_host=10.1.0.42\n\n[dns]")) + "casa_rehearsal=true\n", {},
        [f"site.ini:{LAST + 2}: casa_xcache_origin is set, and [origin] has origin-1, from which the cache would not "
         "read; delete one of the two"]),
    "two storages of a site": (
        replaced(("[dns]", "[origin]\norigin-1 ansible_host=10.1.0.42\n\n[dns]")), {},
        [f"site.ini:{line_of('[dns]') + 1}: [origin] is for rehearsals only; delete it and set casa_xcache_origin to "
         "the host:port of your storage"]),
    # what waits for an edit, and secrets
    "account that waits": told("ansible_user=root", "ansible_user=CHANGEME",
                               "ansible_user still has CHANGEME in it; write your site's own"),
    "placeholder of documents": told("storage.lan:1094", "storage.example.com:1094",
                                     "casa_xcache_origin still has example.com in it; write your site's own"),
    "storage at an address of documents": told("storage.lan:1094", "203.0.113.7:1094",
                                               f"casa_xcache_origin still has 203.0.113.7 in it; {YOUR_OWN}"),
    "mirror at an address of documents": added("casa_debian_mirror=http://198.51.100.9/debian",
                                               f"casa_debian_mirror still has 198.51.100.9 in it; {YOUR_OWN}"),
    "resolver of documents": added('casa_dns_forwarders=["192.0.2.1"]',
                                   f"casa_dns_forwarders still has 192.0.2.1 in it; {YOUR_OWN}"),
    "address of documents in IPv6": told("10.1.0.32", "2001:db8::32",
                                         f"exec-2 still has 2001:db8::32 as its address; {WRITE_ADDRESS}"),
    "host that waits": told("exec-2 ", "changeme-1 ",
                            "changeme-1 still has CHANGEME in its name; write the host's own"),
    "host that waits in capital letters": told("exec-2 ", "CHANGEME ",
                                               "CHANGEME still has CHANGEME in its name; write the host's own"),
    "jump host of documents": added("ansible_ssh_common_args=-o ProxyJump=gate.example.org",
                                    f"ansible_ssh_common_args still has example.org in it; {YOUR_OWN}"),
    "jump host at an address of documents": added("ansible_ssh_common_args=-o ProxyJump=root@2001:db8::1",
                                                  f"ansible_ssh_common_args still has 2001:db8::1 in it; {YOUR_OWN}"),
    "password in clear": added("ansible_become_password=hunter2",
                               "ansible_become_password is a secret in clear; let ansible-vault encrypt_string "
                               "--prompt --name ansible_become_password print it for group_vars"),
    "key in clear": added("ansible_private_key=abc", "ansible_private_key is a secret in clear; let ansible-vault "
                          "encrypt_string --prompt --name ansible_private_key print it for group_vars"),
    "variable twice": told("exec-1 ansible_host=10.1.0.31", "exec-1 ansible_host=10.1.0.31 ansible_port=22 "
                           "ansible_port=2222", "exec-1 has another ansible_port on line "
                           f"{line_of('exec-1')} already; write it once"),
    "password in clear that looks like a domain": added("ansible_password=pass.example",
                                                        "ansible_password is a secret in clear; let ansible-vault "
                                                        "encrypt_string --prompt --name ansible_password print it for "
                                                        "group_vars"),
    **{f"template of a password: {text}": added(f"ansible_become_password={text}",
                                                "ansible_become_password is a secret in clear; let ansible-vault "
                                                "encrypt_string --prompt --name ansible_become_password print it for "
                                                "group_vars")
       for text in ("{{ 'hunter2' }}", "{{ 'hun' ~ 'ter2' }}", "{{ 'aHVudGVyMg==' | b64decode }}",
                    "{% set it='hunter2' %}{{ it }}", "hunter2{{", "{# vault_password #}hunter2")},
    "password in clear of a host": beside(EXEC, "x: 1\nansible_password: hunter2\n",
                                          "2: ansible_password is a secret in clear; let ansible-vault encrypt_string "
                                          "--prompt --name ansible_password print it for group_vars"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, tmp_path: Path) -> None:
    text, files, messages = RULES[rule]
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, text, files)
    found = [str(each).removeprefix(f"{tmp_path}/") for each in refused.value.problems]
    assert found == messages


@pytest.mark.parametrize("net", ["10.96.0.0/12", "10.96.0.0/24"])
def test_the_largest_and_the_smallest_network_of_services(tmp_path: Path, net: str) -> None:
    assert str(load(tmp_path, f"{GOOD}casa_service_network={net}\n").settings.service_network) == net


def test_storage_and_cache_are_different_hosts(tmp_path: Path) -> None:
    text = replaced(("[dns]", "[origin]\nxcache-1\n\n[dns]"), ("casa_xcache_origin=storage.lan:1094",
                                                              "casa_rehearsal=true"))
    with pytest.raises(InventoryErrors) as refused:
        load(tmp_path, text)
    assert str(refused.value) == (f"{tmp_path}/site.ini:{line_of('[origin]', text) + 1}: xcache-1 is in [xcache] and "
                                  "in [origin]; write another host in [origin]: both serve on port 1094")


@pytest.mark.parametrize("name", ["counterexample.org", "storage.example.organic.org", "my-example.com",
                                  "x.example-lab.org", "1192.0.2.7.lan", "192.0.20.7", "203.0.11.37"])
def test_names_that_only_look_like_placeholders(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, replaced(("storage.lan", name))).settings.xcache_origin == f"{name}:1094"


@pytest.mark.parametrize("name", [
    "x", "user", "admin", "profile", "domain", "network", "users",
    "domain_name", "users_list", "node_network", "network_interface", "dns_servers",
    "http_proxy", "timezone", "home_dir", "apt_mirror", "client_id", "cluster_name", "condor_port",
    "ansible_perl_interpreter", "ansible_check_mode"])
def test_variables_of_the_admin(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, f"{GOOD}{name}=1\n", {EXEC: f"{name}: 2\n"})


def test_variables_of_ansible_are_no_slips() -> None:
    core = Path(ansible.__file__).parent
    files = [*core.glob("plugins/**/*.py"), core / "config/base.yml",
             *(file for kind in ("become", "connection", "doc_fragments", "shell")
               for file in core.parent.glob(f"ansible_collections/*/*/plugins/{kind}/*.py"))]
    documented = {name for file in files for name in re.findall(r"name: (ansible_\w+)", file.read_text())}
    assert {"ansible_host", "ansible_become_password", "ansible_doas_user"} < documented
    assert {name: meant for name in documented if (meant := intended(name))} == {}


@pytest.mark.parametrize("value", [ENCRYPTED, '"{{ lookup(\'env\', \'BECOME\') }}"\n', '"{{ vault_password }}"\n',
                                   '"{{ vault_password | b64decode }}"\n', '"{{ passwords[\'root\'] }}"\n'])
def test_passwords_that_are_not_in_clear(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, GOOD, {ALL: f"ansible_become_password: {value}"})


def test_a_rehearsal_has_no_secrets_of_its_hosts(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD + "casa_rehearsal=true\nansible_become_password=x\n").settings.rehearsal


def test_problems_of_all_files_come_in_one_pass(tmp_path: Path) -> None:
    inventory = write(tmp_path, replaced(("casa_domain=", "casa_domian="), ("ansible_user=root", "ansible_port=0")),
                      {ALL: "casa_home_size: 1GB\n", EXEC: "casa_condor_cpus: 0\n",
                       "group_vars/kube_worker.yml": "x: 1\n", "host_vars/dns-2.yml": "x: 1\n"})
    with pytest.raises(InventoryErrors) as refused:
        load_site(inventory)
    found = {str(each.file.relative_to(tmp_path)) for each in refused.value.problems}
    assert found == {"site.ini", ALL, EXEC, "group_vars/kube_worker.yml", "host_vars/dns-2.yml"}
    assert [each.line for each in refused.value.problems if each.file == inventory] == [
        line_of("[all:vars]"), line_of("ansible_user"), line_of("casa_domain")]
