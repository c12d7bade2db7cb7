"""Whether a host can be worked on at all: ssh, root rights, Python, and the system that it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from casa_install.engine.causes import Cause
from casa_install.engine.playbook import Failure
from casa_install.preflight.findings import Finding, refusal
from casa_install.site.model import Host

SUPPORTED = (("debian", "13"),)
"""``ID`` and ``VERSION_ID`` of systems that the roles know."""

# In both tables the last expression is empty and fits everything.
UNREACHABLE = (
    Cause("Host key for .* has changed", "its host key has changed",
          "find out why: the host was installed anew, or another one answers; then remove the old key (ssh-keygen -R) "
          "and log in once"),
    Cause("Host key verification failed", "its host key is unknown",
          "compare its host key's fingerprint on its console, then log in once, so that the key is in known_hosts"),
    Cause("Permission denied", "its sshd does not let the account in",
          "put the public key into the account's authorized_keys, or correct ansible_user or "
          "ansible_ssh_private_key_file"),
    Cause("", "not reachable by ssh",
          "switch it on and let sshd run and the firewall pass, or correct ansible_host or ansible_port"),
)
UNFIT = (
    Cause("Missing sudo password", "no root rights, sudo asks for a password",
          "let ansible_user use sudo without one, or set ansible_become_password in an encrypted file"),
    Cause("Incorrect sudo password", "no root rights, sudo refuses the password",
          "correct ansible_become_password"),
    Cause("sudo: .*not found", "no root rights, there is no sudo",
          "install the package sudo and let ansible_user use it, or set ansible_user=root"),
    Cause("sudo", "no root rights, sudo refuses the account",
          "let ansible_user use sudo, or name another account in ansible_user"),
    Cause("[Dd]ecrypt", "an encrypted value of the inventory does not open",
          "set ANSIBLE_VAULT_PASSWORD_FILE to the file with its password"),
    Cause("python.*not found", "no Python", "install the package python3"),
    Cause("", "nothing can be run on it", "mend what the log shows"),
)
_WRAPPING = re.compile(r"^(Task failed: |Failed to connect to the host via ssh: |ssh: )+")


def judge(host: Host, failures: Sequence[Failure], os_release: str) -> list[Finding]:
    """What keeps anybody from working on a host, from what Ansible says of it and what it says of its system."""
    found = [_explained(host, failure) for failure in failures if failure.host == host.name]
    return found + _of_system(host, os_release, silent=bool(found))


def rightless(host: Host, uid: int) -> Finding:
    """What answered is not root, and nothing has failed: the inventory says that nobody need become root."""
    return refusal(host, "access", f"no root rights: commands run there with uid {uid}, without sudo",
                   "take ansible_become=false out of the inventory and let ansible_user use sudo, or set "
                   "ansible_user=root")


def _explained(host: Host, failure: Failure) -> Finding:
    """What is wrong, in whose words, and what to do."""
    # what a program on the host wrote stands below what Ansible makes of it
    lines = [line.strip() for line in reversed(failure.message.splitlines()) if line.strip()]
    causes = UNREACHABLE if failure.unreachable else UNFIT
    cause, line = next((cause, line) for cause in causes for line in lines if re.search(cause.words, line))
    return refusal(host, "access", f"{cause.meaning}: {_WRAPPING.sub('', line).rstrip('.')}", cause.remedy)


def _of_system(host: Host, os_release: str, *, silent: bool) -> list[Finding]:
    """What speaks against a host's system; a host that is ``silent`` for another reason need not name it."""
    lines = [line.strip().split("=", 1) for line in os_release.splitlines() if re.match(r"[A-Z_]+=", line)]
    values = {name: value.strip("\"'") for name, value in lines}
    if (values.get("ID"), values.get("VERSION_ID")) in SUPPORTED or (not values and silent):
        return []
    name = values.get("PRETTY_NAME", values.get("ID")) or "a system without /etc/os-release"
    return [refusal(host, "system", f"runs {name}",
                    "install Debian 13 (trixie) on it, or take it out of the inventory")]
