"""What is known of the files on a host that roles write."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from ansible.module_utils import casa_record
from ansible.module_utils.casa_things import Thing

RECORD = "files.json"


@dataclass
class Claim:
    """What a role writes."""

    paths: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    kernel: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    open: bool = False
    """The role is at work, or was killed at it: a file that is not as it was recorded says nothing."""


@dataclass
class Record:
    """What is known of a host. It is written before anything changes, so a kill costs nothing."""

    roles: dict[str, Claim] = field(default_factory=dict)
    before: dict[str, Thing | None] = field(default_factory=dict)
    """What lay at each path; the files themselves are kept."""
    held: dict[str, list[str]] = field(default_factory=dict)
    """Folder of data that was there before -> names in it."""
    made: dict[str, Thing | None] = field(default_factory=dict)
    kernel_before: dict[str, str] = field(default_factory=dict)
    kernel_made: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    """Account -> ``theirs``, which was there before, ``new``, or ``made``, which a role is known to have made."""

    @classmethod
    def read(cls) -> Record:
        """The record of this host, empty where we are new."""
        found = casa_record.read(RECORD)
        for part in ("before", "made"):
            found[part] = {path: Thing(**thing) if thing else None for path, thing in found.get(part, {}).items()}
        return cls(**found | {"roles": {role: Claim(**claim) for role, claim in found.get("roles", {}).items()}})

    def write(self) -> None:
        """Put it on the host; without a role that has a claim there is none."""
        casa_record.write(RECORD, asdict(self) if self.roles else {})

    def ours(self, role: str, part: str) -> list[str]:
        """What only this role claims, of a part of its claim."""
        others = {name for other, claim in self.roles.items() if other != role
                  for name in (claim.paths + claim.data if part in ("paths", "data") else getattr(claim, part))}
        return [name for name in getattr(self.roles[role], part) if name not in others]

    def changed_by_hand(self, path: str, now: Thing) -> bool:
        """Whether what lies at a path is neither what a role left there nor what was there before."""
        before = self.before[path]
        if now.kind == "folder":
            return "file" in {thing.kind for thing in (before, self.made.get(path)) if thing}
        busy = any(claim.open and path in claim.paths for claim in self.roles.values())
        return not busy and path in self.made and now not in (self.made[path], before)

    def forget(self, role: str) -> None:
        """The role never was here, and what nobody claims was never known."""
        del self.roles[role]
        claims = self.roles.values()
        paths = {path for claim in claims for path in claim.paths + claim.data}
        kernel = {name for claim in claims for name in claim.kernel}
        accounts = {name for claim in claims for name in claim.accounts}
        for part, known in (("before", paths), ("held", paths), ("made", paths), ("kernel_before", kernel),
                            ("kernel_made", kernel), ("accounts", accounts)):
            setattr(self, part, {name: value for name, value in getattr(self, part).items() if name in known})
