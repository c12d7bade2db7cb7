#!/usr/bin/python
"""Ansible module: a role's packages come to a host, and go so that the host has the packages it had before."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible.module_utils import casa_record
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.casa_accounts import accounts, drop, groups

DOCUMENTATION = r"""
module: casa_packages
short_description: Packages that a role needs, and their exact removal
description:
  - Before an installation it records on the host which packages will come with it, dependencies included.
  - At removal those packages go that came with us and that nobody needs, as apt decides. Others are not touched.
  - A package that several roles asked for goes with the last of them.
  - In check mode it tells the same of the role's packages, as far as apt's present lists say, and changes nothing.
options:
  role:
    description: The role that asks.
    type: str
    required: true
  name:
    description: Its packages.
    type: list
    elements: str
    default: []
  state:
    description:
      - C(claimed) refuses a host that has the daemon already and records what will come; it installs nothing.
      - C(present) does that and installs.
      - C(absent) removes what is the role's alone; the role's claim stays until its files are gone, too.
      - C(released) forgets the claim.
    type: str
    choices: [claimed, present, absent, released]
    default: present
  daemon:
    description: A program that must not be on the host, unless it came with us.
    type: str
  account:
    description: An account or group that the packages make and Debian leaves; it goes with them, if it is new.
    type: str
  clearing:
    description: >-
      A program that a package leaves at its removal and that clears a folder of data at its purge, with what was there
      before us; it goes before the purge.
    type: path
  remedy:
    description: What an admin can do whose host has the daemon already.
    type: str
    default: remove it
author: casa-install
"""

EXAMPLES = r"""
- name: BIND is installed
  casa_packages:
    role: dns
    name: [bind9, bind9-dnsutils]
    daemon: named
    remedy: remove it or take the host out of the group dns

- name: BIND is gone
  casa_packages:
    role: dns
    state: absent

- name: The host has forgotten that BIND was ours
  casa_packages:
    role: dns
    state: released
"""

RETURN = r"""
claimed: {description: Whether the role had a claim on this host before the task., returned: always, type: bool}
installed: {description: Packages of the role's that are on the host after the task., returned: always, type: list}
untouched:
  description: Whether packages of the role's were missing before the task, and none of what came with us was unpacked.
  returned: always
  type: bool
staying: {description: At removal those that came with us and that others need., returned: always, type: list}
record:
  description: Packages and accounts that were not there and come now, each with kind, name and what was there before.
  returned: always
  type: list
"""

RECORD = "packages.json"
LISTS = Path("/var/lib/apt/lists")
FRESH = 86400
"""Seconds for which the package lists are good."""
APT = ("apt-get", "--assume-yes", "--quiet", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
       "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
       # where no name server answers, apt asks again for each file, for a quarter of an hour and more
       "-o", "Acquire::Retries=1", "-o", "Acquire::EnableSrvRecords=false")
# a package that came with us is needed by one that depends on it, not by one that would merely like to have it
NEEDED = ("-o", "APT::AutoRemove::RecommendsImportant=false", "-o", "APT::AutoRemove::SuggestsImportant=false")
ABSENT = ("not-installed", "config-files")
"""dpkg's words for a package of which no file but its settings is there."""
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "LC_ALL": "C.UTF-8"}


Difference = tuple[list[str], list[str]]
"""What there is before a task and after it: packages, a line each."""


@dataclass
class Record:
    """What is written on the host: it outlives a kill, because it comes before what it tells of."""

    roles: dict[str, list[str]] = field(default_factory=dict)
    """Role -> packages that it asked for."""
    ours: list[str] = field(default_factory=list)
    """Packages that were not on the host before."""
    settings: list[str] = field(default_factory=list)
    """Those of them that had left their settings there, which stay at removal."""
    accounts: dict[str, str] = field(default_factory=dict)
    """Role -> account that came with its packages."""

    @classmethod
    def read(cls) -> Record:
        """The record of this host, empty where we are new."""
        return cls(**casa_record.read(RECORD))

    def write(self) -> None:
        """Put it on the host; without a role that has a claim there is none."""
        with casa_record.alone():
            casa_record.write(RECORD, asdict(self) if self.roles else {})

    def untouched(self, names: Iterable[str], states: dict[str, str]) -> bool:
        """Whether some of these packages are missing, and dpkg has not begun with any that comes with us."""
        begun = {name for name, state in states.items() if state not in ABSENT}
        return not begun.issuperset(names) and begun.isdisjoint(set(names) & set(self.ours))

    def things(self) -> set[tuple[str, str]]:
        """Kind and name of all that came with us."""
        return {("package", name) for name in self.ours} | {("account", name) for name in self.accounts.values()}

    def wanted_by_others(self, role: str) -> set[str]:
        """Packages that roles other than this one asked for."""
        return {name for other, names in self.roles.items() if other != role for name in names}


class Debian:
    """The host's packages, through Debian's own tools."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._architecture = self.run("dpkg", "--print-architecture").strip()

    def run(self, *command: str) -> str:
        """Standard output of a command; the task fails with it."""
        code, output, errors = self._module.run_command(list(command), environ_update=ENVIRONMENT)
        if code != 0:
            self._module.fail_json(msg=f"{' '.join(command)} failed: {(errors or output).strip()}")
        return str(output)

    def states(self) -> dict[str, str]:
        """Package, as apt names it -> dpkg's word for its state."""
        lines = self.run("dpkg-query", "--show", "--showformat", "${Package} ${Architecture} ${db:Status-Status}\n")
        found = {}
        for package, architecture, state in map(str.split, lines.splitlines()):
            native = architecture in (self._architecture, "all")
            found[package if native else f"{package}:{architecture}"] = state
        return found

    def owner(self, program: str) -> str:
        """The package that a program came with; empty where it came without one."""
        path = str(Path(program).resolve())
        code, output, _ = self._module.run_command(["dpkg-query", "--search", path], environ_update=ENVIRONMENT)
        return output.partition(":")[0] if code == 0 else ""

    def simulated(self, *words: str) -> set[str]:
        """Packages that apt would install or remove."""
        lines = self.run(*APT, *NEEDED, "--simulate", *words).splitlines()
        return {line.split()[1] for line in lines if line.startswith(("Inst ", "Remv ", "Purg "))}

    def refresh(self) -> None:
        """The package lists are of today and know every source."""
        sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
        newest = max((path.stat().st_mtime for path in sources if path.exists()), default=0.0)
        made = LISTS.stat().st_mtime if any(LISTS.glob("*_Packages*")) else 0.0
        if made <= newest or made < time.time() - FRESH:
            self.run(*APT, "update")
            os.utime(LISTS)  # apt leaves it alone where nothing is new

    def install(self, packages: list[str]) -> None:
        """Install packages; nothing goes for them."""
        if any(Path("/var/lib/dpkg/updates").iterdir()):  # a host that lost its power, and apt refuses to go on
            self.run("dpkg", "--configure", "--pending", "--force-confdef", "--force-confold")
        self.ensure_names(self.run(*APT, "--print-uris", "install", *packages))
        self.run(*APT, "--no-remove", "install", *packages)

    def ensure_names(self, uris: str) -> None:
        """The mirrors that apt will ask have addresses, unless a proxy looks them up."""
        if re.search('Proxy[^"]*"[^"]', self.run("apt-config", "dump", "Acquire")):
            return
        for name in sorted(set(re.findall("^'https?://(?:[^/@']*@)?([^/:']+)", uris, re.MULTILINE))):
            try:
                socket.getaddrinfo(name, None)
            except OSError as error:
                self._module.fail_json(msg=f"Temporary failure resolving '{name}': {error.strerror}")

    def automatic(self, packages: set[str]) -> list[str]:
        """Which of these packages apt would drop once nothing needs them."""
        return sorted(packages & set(self.run("apt-mark", "showauto").split()))


def refuse_foreign(module: AnsibleModule, debian: Debian, record: Record) -> None:
    """Fail where the host has the daemon, and not from us."""
    daemon = module.params["daemon"]
    program = module.get_bin_path(daemon) if daemon else None
    if program and debian.owner(program) not in record.ours:
        module.fail_json(msg=f"{program} is on this host already, and did not come with casa-install, which would "
                             f"take it over: {module.params['remedy']}")


def claim(module: AnsibleModule, debian: Debian, record: Record, states: dict[str, str]) -> list[str]:
    """Record what will come with the role's packages; returns those that are missing."""
    role, names = module.params["role"], set(module.params["name"])
    refuse_foreign(module, debian, record)
    missing = sorted(name for name in names if states.get(name) != "installed")
    if module.check_mode:
        return missing
    coming: set[str] = set()
    if missing:
        debian.refresh()
        coming = {package for package in debian.simulated("install", *missing)
                  if states.get(package, "not-installed") in ABSENT}
    kept = {package for package in coming - set(record.ours) if states.get(package) == "config-files"}
    account = module.params["account"]
    if account and role not in record.roles and account not in accounts() | groups():
        record.accounts[role] = account
    record.roles[role] = sorted(names | set(record.roles.get(role, ())))
    record.ours = sorted(coming | set(record.ours))
    record.settings = sorted(kept | set(record.settings))
    record.write()
    return missing


def ensure_present(module: AnsibleModule, debian: Debian, record: Record, states: dict[str, str]) -> Difference:
    """The packages are there."""
    missing = claim(module, debian, record, states)
    # came for the sake of another role's package, and would go with it
    automatic = debian.automatic(set(module.params["name"]) & set(record.ours))
    if not module.check_mode:
        if missing:
            debian.install(missing)
        if automatic:
            debian.run("apt-mark", "manual", *automatic)
    return [f"{name} automatic" for name in automatic], missing + [f"{name} manual" for name in automatic]


def unneeded(debian: Debian, record: Record, others: set[str]) -> set[str]:
    """Packages of ours that nothing on the host depends on any more, remains of an interrupted removal included."""
    states, ours = debian.states(), set(record.ours) - others
    going = debian.simulated("autoremove") & ours
    # a package that the admin has without need may depend on ours
    if going and debian.simulated("remove", *going) - ours:
        going = {package for package in going if debian.simulated("remove", package) <= ours}
    return going | {package for package in ours - set(record.settings) if states.get(package) == "config-files"}


def foreseen(debian: Debian, record: Record, own: set[str], others: set[str]) -> list[str]:
    """Which of a role's own packages would go: those that only what came with us depends on."""
    ours = set(record.ours) - others
    remains = {package for package, state in debian.states().items() if state == "config-files"}
    return sorted({package for package in own if debian.simulated("remove", package) <= ours}
                  | (remains & ours - set(record.settings)))


def ensure_absent(module: AnsibleModule, debian: Debian, record: Record, states: dict[str, str]) -> Difference:
    """What came with this role alone is gone."""
    role = module.params["role"]
    others = record.wanted_by_others(role)
    own = {name for name in record.roles[role] if name in record.ours and states.get(name) == "installed"} - others
    if module.check_mode:
        return foreseen(debian, record, own, others), []
    if own:
        debian.run("apt-mark", "auto", *sorted(own))
    going = unneeded(debian, record, others)
    if going and module.params["clearing"]:
        debian.run(*APT, "remove", *sorted(name for name in going if states.get(name) == "installed"))
        Path(module.params["clearing"]).unlink(missing_ok=True)
    for verb, packages in (("remove", going & set(record.settings)), ("purge", going - set(record.settings))):
        if packages:
            debian.run(*APT, verb, *sorted(packages))
    if staying := own - going:
        module.warn(f"{socket.gethostname()}: {', '.join(sorted(staying))} came with casa-install and stays: other "
                    "packages need it")
    elif account := record.accounts.get(role):
        drop(account, debian.run)
    record.roles[role] = sorted(staying)  # a removal that is repeated says the same
    record.write()
    return sorted(going), []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "name": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "default": "present", "choices": ["claimed", "present", "absent", "released"]},
            "daemon": {"type": "str"},
            "account": {"type": "str"},
            "clearing": {"type": "path"},
            "remedy": {"type": "str", "default": "remove it"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    with casa_record.alone(Path("/var/lib/dpkg")):  # phases side by side
        run(module)


def run(module: AnsibleModule) -> None:
    """Do what is asked for, and tell what came of it."""
    role, state = module.params["role"], module.params["state"]
    record, debian = Record.read(), Debian(module)
    known = record.things()
    claimed = role in record.roles
    states = debian.states()
    untouched = record.untouched(module.params["name"], states)
    difference: Difference = ([], [])
    if state == "claimed":
        claim(module, debian, record, states)
    elif state == "present":
        difference = ensure_present(module, debian, record, states)
    elif claimed and state == "absent":
        difference = ensure_absent(module, debian, record, states)
    elif claimed and not module.check_mode:
        del record.roles[role]
        record.accounts.pop(role, None)
        record.write()
    states = debian.states()
    coming = record.things() - known
    asked = {*module.params["name"], *record.roles.get(role, ())}
    before, after = ("".join(f"{line}\n" for line in lines) for lines in difference)
    module.exit_json(changed=before != after, claimed=claimed, untouched=untouched,
                     diff={"before": before, "after": after} if module._diff else {},
                     staying=record.roles.get(role, []) if state == "absent" else [],
                     installed=sorted(name for name in asked if states.get(name) == "installed"),
                     record=[{"kind": kind, "name": name, "before": ""} for kind, name in sorted(coming)])


if __name__ == "__main__":
    main()
