"""Preflight: whether a host can be worked on at all, told in words with a remedy."""

from __future__ import annotations

import pytest

from casa_install.engine.playbook import Failure
from casa_install.preflight import access
from casa_install.site.model import Host

HOST = Host.model_validate({"name": "exec-1", "address": "10.91.0.9", "groups": ("condor_execute",)})


@pytest.mark.parametrize(("message", "unreachable", "told"), [
    ("Task failed: Failed to connect to the host via ssh: ssh: connect to host 10.91.0.9 port 22: Connection refused",
     True, "not reachable by ssh: connect to host 10.91.0.9 port 22: Connection refused; switch it on"),
    ("Task failed: Failed to connect to the host via ssh: root@10.91.0.9: Permission denied (publickey).", True,
     "its sshd does not let the account in: root@10.91.0.9: Permission denied (publickey); put the public key"),
    ("Task failed: Failed to connect to the host via ssh: @@@@@@\nHost key verification failed.", True,
     "its host key is unknown: Host key verification failed; compare"),
    ("Task failed: Failed to connect to the host via ssh: @@@@@@\nHost key for 10.91.0.9 has changed and you have "
     "requested strict checking.\nHost key verification failed.", True,
     "its host key has changed: Host key for 10.91.0.9 has changed and you have requested strict checking; find out"),
    ("Task failed: Missing sudo password", False, "no root rights, sudo asks for a password: Missing"),
    ("Task failed: Incorrect sudo password", False, "no root rights, sudo refuses the password: Incorrect"),
    ("Module result deserialization failed: No start of json char found\ncms is not in the sudoers file.", False,
     "no root rights, sudo refuses the account: cms is not in the sudoers file; let ansible_user"),
    ("Module result deserialization failed: No start of json char found\n/bin/sh: 1: sudo: not found", False,
     "no root rights, there is no sudo: /bin/sh: 1: sudo: not found; install"),
    ("The module interpreter '/usr/bin/python3' was not found.\n/bin/sh: 1: /usr/bin/python3: not found", False,
     "no Python: /bin/sh: 1: /usr/bin/python3: not found; install"),
    ("Task failed: Error processing keyword 'become_pass': Decryption failed (no vault secrets were found).", False,
     "an encrypted value of the inventory does not open: Error processing keyword 'become_pass'"),
    ("Module result deserialization failed: No start of json char found\nThis account is currently not available.",
     False, "nothing can be run on it: This account is currently not available; mend"),
])
def test_what_a_host_lacks_is_one_refusal_with_a_remedy(message: str, unreachable: bool, told: str) -> None:
    [finding] = access.judge(HOST, [Failure("exec-1", "Root may work", message, unreachable)], "")
    assert finding.refusal
    assert str(finding).startswith(f"exec-1 (10.91.0.9): {told}")
    assert "\n" not in str(finding)


TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\r\nID=debian\r\nVERSION_ID="13"\r\n'


def test_debian_13_is_nothing_to_tell() -> None:
    assert access.judge(HOST, [], TRIXIE) == []


@pytest.mark.parametrize(("system", "named"), [
    (TRIXIE.replace("13", "12"), "Debian GNU/Linux 12"),
    ("ID='ubuntu'\nVERSION_ID=13", "ubuntu"),
    ('ID=debian\nPRETTY_NAME="Debian GNU/Linux forky/sid"', "Debian GNU/Linux forky/sid"),
    ("cat: /etc/os-release: No such file", "a system without /etc/os-release"),
])
def test_another_system_is_refused(system: str, named: str) -> None:
    [finding] = access.judge(HOST, [], system)
    assert finding.refusal
    assert f"runs {named}" in finding.problem
    assert "install Debian 13" in finding.remedy


def test_a_host_without_root_rights_is_told_of_its_system_too() -> None:
    lacking = Failure("exec-1", "Root may work", "Task failed: Missing sudo password")
    found = access.judge(HOST, [lacking], 'ID=almalinux\nPRETTY_NAME="AlmaLinux 9.6"')
    assert [("sudo" in str(f), "AlmaLinux" in str(f)) for f in found] == [(True, False), (False, True)]
