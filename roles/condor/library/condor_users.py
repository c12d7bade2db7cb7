#!/usr/bin/python
"""Ansible module: the users of an HTCondor access point are exactly the given ones."""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: condor_users
short_description: Users of an HTCondor access point
description:
  - Keeps one systemd user record with a group of its own for each user, without any change of the account files.
  - A user who goes, whom the schedd's settings no longer let in, loses the jobs first and then the record.
options:
  users:
    description: User name to UID and GID.
    type: dict
    required: true
  schedd:
    description: Remove jobs from the running schedd; false when it is gone with all its jobs.
    type: bool
    default: true
author: casa-install
"""

EXAMPLES = r"""
- name: Alice and Bob may submit jobs
  condor_users:
    users: {alice: 1879048193, bob: 1879048194}
"""

RETURN = r"""
added: {description: Users who got a record, returned: always, type: list}
removed: {description: Users who lost it, returned: always, type: list}
record: {description: "Users who got a record, with kind, name, what was before", returned: always, type: list}
"""

RECORDS = Path("/etc/userdb")
MARK = "casa-install"


def record_files(name: str, number: int) -> dict[str, str]:
    """File name to JSON of a user's records."""
    group = {"groupName": name, "gid": number, "service": MARK}
    user = {
        "userName": name,
        "uid": number,
        "gid": number,
        "disposition": "regular",
        "homeDirectory": "/nonexistent",
        "shell": "/usr/sbin/nologin",
        "service": MARK,
    }
    return {f"{name}.group": json.dumps(group), f"{name}.user": json.dumps(user)}


def existing() -> dict[str, int]:
    """Users who have a record of ours."""
    found = {}
    for path in RECORDS.glob("*.user"):
        if path.is_symlink():
            continue
        try:
            record = json.loads(path.read_text())
        except ValueError:
            continue
        if record.get("service") == MARK:
            found[record["userName"]] = record["uid"]
    return found


def write(name: str, number: int) -> None:
    """Make the user's records complete; each file appears whole or not at all. The user's own file comes last."""
    for file, text in record_files(name, number).items():
        kind = file.rpartition(".")[2]
        link = RECORDS / f"{number}.{kind}"
        if not linked(link, file):
            fresh = RECORDS / f".{link.name}.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(file)
            fresh.replace(link)
        path = RECORDS / file
        if not path.exists() or path.read_text() != text:
            fresh = RECORDS / f".{file}.new"
            fresh.write_text(text)
            fresh.chmod(0o644)
            fresh.replace(path)


def linked(link: Path, file: str) -> bool:
    """Whether a record is found by its number, too."""
    return link.is_symlink() and link.readlink() == Path(file)


def complete(name: str, number: int) -> bool:
    """Whether the user's records are all there and as they have to be."""
    return all(linked(RECORDS / f"{number}.{file.rpartition('.')[2]}", file)
               and (RECORDS / file).exists() and (RECORDS / file).read_text() == text
               for file, text in record_files(name, number).items())


def delete(name: str, number: int) -> None:
    """Delete the user's records, the one by which they are found last."""
    for file in (f"{number}.group", f"{number}.user", f"{name}.group", f"{name}.user"):
        (RECORDS / file).unlink(missing_ok=True)


class Schedd:
    """The running schedd, through HTCondor's tools."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module

    def _run(self, *command: str) -> str:
        code, output, errors = self._module.run_command(list(command))
        if code != 0:
            self._module.fail_json(msg=f"{' '.join(command)} failed: {(errors or output).strip()}")
        return str(output)

    def lets_in(self, names: Iterable[str]) -> None:
        """Wait until these users and no others are let in: a reload takes a moment."""
        deadline = time.monotonic() + 60
        while set(self._run("condor_config_val", "-schedd", "CASA_USERS").replace(",", " ").split()) != set(names):
            if time.monotonic() > deadline:
                self._module.fail_json(msg="the schedd does not take over CASA_USERS; see /var/log/condor/SchedLog")
            time.sleep(0.5)

    def expel(self, name: str) -> None:
        """None of the user's jobs is left."""
        mine = f'Owner == "{name}"'
        deadline = time.monotonic() + 60
        while self._run("condor_q", "-allusers", "-constraint", mine, "-autoformat", "ClusterId").strip():
            self._module.run_command(["condor_rm", "-constraint", mine])  # fails where the last job has just ended
            if time.monotonic() > deadline:
                self._module.run_command(["condor_rm", "-forcex", "-constraint", mine])
            time.sleep(1)


def system_account(name: str, number: int) -> bool:
    """Whether the host has an account of this name that is not a record of ours."""
    try:
        return pwd.getpwnam(name).pw_uid != number
    except KeyError:
        return False


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "dict", "required": True},
            "schedd": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted: dict[str, int] = {name: int(number) for name, number in module.params["users"].items()}
    had = existing()
    for name, number in wanted.items():
        if name not in had and system_account(name, number):
            module.fail_json(msg=f"casa_users: {name!r} is already an account of this host; write another name")
    gone = {name: number for name, number in had.items() if name not in wanted}
    result: dict[str, Any] = {"added": sorted(wanted.keys() - had.keys()), "removed": sorted(gone)}
    result["record"] = [{"kind": "user record", "name": name, "before": ""} for name in result["added"]]
    changed = bool(gone) or not all(complete(name, number) for name, number in wanted.items())
    if module.check_mode:
        module.exit_json(changed=changed, **result)

    os.umask(0o022)
    if wanted:
        RECORDS.mkdir(exist_ok=True)
    for name, number in wanted.items():
        write(name, number)
    schedd = Schedd(module) if module.params["schedd"] else None
    if schedd and gone:
        schedd.lets_in(wanted)
    for name, number in gone.items():
        if schedd:
            schedd.expel(name)
        delete(name, number)
    if not wanted and RECORDS.is_dir() and not any(RECORDS.iterdir()):
        RECORDS.rmdir()
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
