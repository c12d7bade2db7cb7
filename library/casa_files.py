#!/usr/bin/python
"""Ansible module: what a role writes on a host is recorded, and gives way again to what was there before."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils import casa_record
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.casa_accounts import accounts, drop, groups
from ansible.module_utils.casa_claims import Claim, Record
from ansible.module_utils.casa_things import Thing, keep, look, names, put_back, remove, run, set_attributes

DOCUMENTATION = r"""
module: casa_files
short_description: Files that a role writes, and what was there before
description:
  - Before a role changes a host, what lies at the paths that it will write is kept on the host.
  - At removal what is the role's goes, and what was there before comes back with content, mode, owner and time.
  - A file of the role's that was changed by hand is never lost, it is copied to C(/var/backups/casa-install).
  - What lies in a folder of ours and is not ours stays.
  - A path that several roles write goes with the last of them.
  - In check mode it tells the same and changes nothing. A difference names paths, never what is in them.
options:
  role:
    description: The role that asks.
    type: str
    required: true
  paths:
    description:
      - Each file, link and folder that it writes, of a folder's content only what is named, too.
      - Folders on the way that are not there yet need not be named.
    type: list
    elements: str
    default: []
  data:
    description:
      - Files and folders that daemons fill. All that came into them since goes, changed by hand or not.
      - What a folder held before, and a file system that is mounted there, stay.
    type: list
    elements: str
    default: []
  staying:
    description: At removal, packages whose daemon fills folders of data and that stay; so do the folders.
    type: list
    elements: str
    default: []
  kernel:
    description: Names of kernel settings that change.
    type: list
    elements: str
    default: []
  accounts:
    description: Accounts that it makes, each with a group of the same name. One that was there before stays.
    type: list
    elements: str
    default: []
  state:
    description:
      - C(claimed) keeps what is there, before the role's first change.
      - C(settled) records what the role has made, after its last change.
      - C(absent) puts back what was there before and gives up the claim.
    type: str
    choices: [claimed, settled, absent]
    default: claimed
author: casa-install
"""

EXAMPLES = r"""
- name: What was there before the name server is kept
  casa_files:
    role: dns
    paths: [/etc/bind/casa-install/named.conf]

- name: What the name server is made of is recorded
  casa_files:
    role: dns
    state: settled

- name: What was there before the name server is back
  casa_files:
    role: dns
    state: absent
"""

RETURN = r"""
claimed: {description: Whether the role had a claim on this host before the task., returned: always, type: bool}
kept: {description: Paths where something was found that is now kept., returned: always, type: list}
gone: {description: What was ours and is gone., returned: always, type: list}
restored: {description: Paths and kernel settings that are as they were before us., returned: always, type: list}
aside: {description: Where files that were changed by hand are now., returned: always, type: list}
record:
  description: What the role has made since it was settled last, each with kind, name and what was there before.
  returned: always
  type: list
"""

BEFORE = casa_record.FOLDER / "before"
"""What was there before us, each at its own path; for root alone."""
BACKUPS = Path("/var/backups/casa-install")


class Work:
    """One task on one host."""

    def __init__(self, module: AnsibleModule, record: Record) -> None:
        self.module, self.record = module, record
        self.role: str = module.params["role"]
        self.acts = not module.check_mode
        self.told: dict[str, list[Any]] = {key: [] for key in ("kept", "gone", "restored", "aside", "record")}
        self.staying: list[str] = module.params["staying"]
        self.going: set[str] = set()
        """Every path that goes, of data each by itself."""
        self.lines: tuple[list[str], list[str]] = ([], [])
        """The difference: what there is before the task, and after it."""

    def warn(self, text: str) -> None:
        """Tell the admin."""
        self.module.warn(f"{socket.gethostname()}: {text}")

    def claim(self) -> None:
        """Keep what the role is about to change."""
        record, params = self.record, self.module.params
        claim = record.roles.setdefault(self.role, Claim())
        for path in claim.paths:
            self.save_from_loss(path)
        data = normal(params["data"])
        paths = [*self.folders_on_the_way(normal(params["paths"]) + data), *normal(params["paths"])]
        for path in [*paths, *data]:
            if path not in record.before:
                self.keep(path, path in data)
        for name in params["kernel"]:
            if name not in record.kernel_before and (value := kernel_setting(name)) is not None:
                record.kernel_before[name] = value
        for name in set(params["accounts"]) - set(record.accounts):
            record.accounts[name] = "theirs" if name in accounts() | groups() else "new"
        claim.data = merged(claim.data, data)
        claim.paths = [path for path in merged(claim.paths, paths) if path not in claim.data]
        claim.kernel = merged(claim.kernel, params["kernel"])
        claim.accounts = merged(claim.accounts, params["accounts"])
        claim.open = True
        if self.acts:
            record.write()

    def folders_on_the_way(self, paths: list[str]) -> list[str]:
        """Folders above the paths that are not there yet, or came with us."""
        found = (str(parent) for path in paths for parent in reversed(Path(path).parents)
                 if parent != casa_record.FOLDER)
        return [path for path in dict.fromkeys(found)
                if not Path(path).is_dir() or (path in self.record.before and self.record.before[path] is None)]

    def keep(self, path: str, data: bool) -> None:
        """Remember what lies at a path, and keep a copy; of a folder what it is, not what it holds."""
        here = Path(path)
        before = look(here)
        if data and here.is_dir():
            self.record.held[path] = sorted(names(here))
        elif before and before.kind != "folder":
            self.told["kept"].append(path)
            if self.acts:
                keep(here, BEFORE)
        self.record.before[path] = before

    def save_from_loss(self, path: str) -> None:
        """What was changed by hand since the role was settled has a copy that is not ours."""
        now = look(Path(path), self.record.made.get(path))
        if now is None or not self.record.changed_by_hand(path, now):
            return
        number, place = 1, BACKUPS / path[1:]
        while (there := look(place)) and (there != now or there.kind == "folder"):
            number += 1
            place = BACKUPS / f"{path[1:]}.{number}"
        if self.acts and not there:
            keep(Path(path), BACKUPS, place)
        self.told["aside"].append(str(place))
        self.warn(f"{path} was changed by hand; the changed file is kept as {place}")

    def settle(self) -> None:
        """Record what the role has made."""
        record = self.record
        claim = record.roles.get(self.role)
        if not claim or not self.acts:
            return
        for path in claim.paths + claim.data:
            was = record.made.get(path)
            now = look(Path(path), was)
            if path in claim.data and (now is None or now.kind != "folder"):
                continue
            record.made[path] = now
            if now and now not in (was, record.before[path]):
                self.note(now.kind, path, record.before[path].kind if record.before[path] else "")
        for name, before in record.kernel_before.items():
            if name in claim.kernel and (value := kernel_setting(name)) is not None:
                if value not in (record.kernel_made.get(name), before):
                    self.note("kernel setting", name, before)
                record.kernel_made[name] = value
        for name in claim.accounts:
            if record.accounts[name] == "new" and name in accounts():
                self.note("account", name, "")
                record.accounts[name] = "made"
        claim.open = False
        record.write()

    def note(self, kind: str, name: str, before: str) -> None:
        """Tell the run what was made, and what was there before; never what is in it."""
        self.told["record"].append({"kind": kind, "name": name, "before": before})

    def goes(self, path: str, what: str) -> None:
        """Something of ours is gone after the task."""
        self.told["gone"].append(path)
        self.lines[0].append(f"{path}: {what}")

    def returns(self, name: str, now: str, before: str) -> None:
        """A path or a kernel setting is after the task what it was before us."""
        self.told["restored"].append(name)
        self.lines[0].append(f"{name}: {now}")
        self.lines[1].append(f"{name}: {before}")

    def restore(self) -> None:
        """The host is as if the role had never been here, but for what others made."""
        record = self.record
        if self.role in record.roles:
            data, paths = record.ours(self.role, "data"), record.ours(self.role, "paths")
            for path in data:
                self.restore_data(path)
            for path in paths:
                self.restore_path(path)
            for path in sorted({*paths, *data}, reverse=True):
                self.restore_folder(path)
            for name in record.ours(self.role, "kernel"):
                self.restore_kernel(name)
            for name in record.ours(self.role, "accounts"):
                self.restore_account(name)
            record.forget(self.role)
        if self.acts:
            record.write()
            clear(record)  # those of a run that was killed just here, too
            record.write()

    def restore_data(self, path: str) -> None:
        """What came into a folder of data is gone."""
        here, held = Path(path), self.record.held.get(path)
        if self.staying and here.is_dir():
            self.warn(f"{path} stays with what is in it, because {', '.join(self.staying)} stays")
        elif here.is_dir() and (held is not None or (self.record.before[path] is None and not here.is_symlink())):
            going = names(here) - set(held or ())
            for name in sorted(going) if self.acts else ():
                remove(here / name)
            self.going |= {f"{path}/{name}" for name in going}
            if going and held is not None:
                self.goes(path, "what came into it")
            stays = sorted(set(held or ()) - {"lost+found"})
            if going and stays:
                self.warn(f"{path} held something before casa-install, which stays: {shortened(stays)}")
        else:
            self.restore_path(path)

    def restore_path(self, path: str) -> None:
        """A file or link of ours is gone, and the one from before is there again."""
        here, before = Path(path), self.record.before[path]
        now = look(here, self.record.made.get(path))
        if now == before or (now and now.kind == "folder" and (before is None or before.kind == "folder")):
            return
        if not self.record.roles[self.role].open and self.record.made.get(path, now) == before:
            self.warn(f"{path} was changed, but not by casa-install, and stays as it is")
            return
        self.save_from_loss(path)
        if before and before.kind != "folder":
            self.returns(path, described(now), f"{described(before)} of before")
            if self.acts:
                put_back(here, BEFORE)
        else:
            self.going.add(path)
            self.goes(path, described(now))
            if self.acts:
                remove(here)

    def restore_folder(self, path: str) -> None:
        """A folder of ours is gone if nothing is in it; one that was there before has its owner and mode again."""
        here, before = Path(path), self.record.before[path]
        now = None if path in self.going else look(here)
        if self.staying and path in self.record.roles[self.role].data:
            return
        if before is None and now and now.kind == "folder":
            if os.path.ismount(here):
                self.warn(f"{path} has a file system mounted on it since casa-install came, and stays")
            elif left := sorted(name for name in names(here) if f"{path}/{name}" not in self.going):
                self.warn(f"{path} holds what is not from casa-install, and stays: {shortened(left)}")
            else:
                self.going.add(path)
                self.goes(path, described(now))
                if self.acts:
                    here.rmdir()
        elif before and before.kind == "folder" and now != before and (now is None or now.kind == "folder"):
            if now and not self.record.roles[self.role].open and now != self.record.made.get(path, now):
                self.warn(f"owner or mode of {path} was changed by hand, and stays")
                return
            self.returns(path, described(now), f"{described(before)} of before")
            if self.acts:
                here.mkdir(exist_ok=True)
                set_attributes(here, before)

    def restore_kernel(self, name: str) -> None:
        """A kernel setting has its value from before."""
        before, made, now = (self.record.kernel_before.get(name), self.record.kernel_made.get(name),
                             kernel_setting(name))
        if before is None or now in (None, before):
            return
        if made is not None and now != made and not self.record.roles[self.role].open:
            self.warn(f"{name} was {before} before casa-install, which made it {made}; now it is {now}, and stays")
            return
        self.returns(name, now, before)
        if self.acts:
            try:
                kernel_path(name).write_text(f"{before}\n")
            except OSError as error:
                self.warn(f"{name} was {before} before casa-install and is {now}: {error.strerror}")

    def restore_account(self, name: str) -> None:
        """An account of ours is gone."""
        if self.record.accounts[name] != "theirs" and name in accounts() | groups():
            self.told["gone"].append(name)
            if self.acts:
                drop(name, run)


def clear(record: Record) -> None:
    """There are copies of what is not back yet, and no others."""
    for folder, folders, files in os.walk(BEFORE, topdown=False):
        for path in (Path(folder, name) for name in folders + files):
            if f"/{path.relative_to(BEFORE)}" not in record.before and (path.is_symlink() or path.is_file()):
                path.unlink()
        if not names(Path(folder)):
            Path(folder).rmdir()


def kernel_path(name: str) -> Path:
    """The file of a kernel setting."""
    return Path("/proc/sys") / name.replace(".", "/")


def kernel_setting(name: str) -> str | None:
    """Its present value; None where the kernel does not know it."""
    path = kernel_path(name)
    return path.read_text().strip() if path.exists() else None


def normal(paths: Iterable[str]) -> list[str]:
    """Absolute paths without detours, each once."""
    return list(dict.fromkeys(os.path.normpath(path) for path in paths))


def merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """All of them, each once."""
    return list(dict.fromkeys([*old, *new]))


def described(thing: Thing | None) -> str:
    """What lies at a path, without what is in it: that may be a secret."""
    return f"{thing.kind} {thing.mode:04o} {thing.uid}:{thing.gid}" if thing else "nothing"


def shortened(names: list[str]) -> str:
    """A few names, for a sentence."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def main() -> None:
    """Run the module."""
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "paths": texts,
            "data": texts,
            "staying": texts,
            "kernel": texts,
            "accounts": texts,
            "state": {"type": "str", "default": "claimed", "choices": ["claimed", "settled", "absent"]},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    wrong = [path for path in module.params["paths"] + module.params["data"] if not path.startswith("/")]
    if wrong:
        module.fail_json(msg=f"{', '.join(wrong)}: not an absolute path")
    with casa_record.alone():  # phases side by side
        work = Work(module, Record.read())
        claimed = work.role in work.record.roles
        try:
            {"claimed": work.claim, "settled": work.settle, "absent": work.restore}[module.params["state"]]()
        except (OSError, RuntimeError) as error:
            module.fail_json(msg=f"the record of files on this host: {error}")
    before, after = ("".join(f"{line}\n" for line in lines) for lines in work.lines)
    module.exit_json(changed=bool(work.told["gone"] or work.told["restored"]), claimed=claimed, **work.told,
                     diff={"before": before, "after": after} if module._diff else {})


if __name__ == "__main__":
    main()
