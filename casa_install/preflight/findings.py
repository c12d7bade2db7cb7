"""What a preflight finds: one sentence each of what is wrong and of what to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from casa_install.site.model import Host


@dataclass(frozen=True)
class Finding:
    """A refusal (nothing may be changed while there is one) or a warning (the admin should know)."""

    host: str
    """The host's name; empty for what concerns the whole site."""
    address: str
    check: str
    """Name of the check, as the table in docs/preflight.md has it."""
    problem: str
    remedy: str
    refusal: bool

    def __str__(self) -> str:
        where = f"{self.host} ({self.address}): " if self.host else ""
        return f"{where}{self.problem}; {self.remedy}"


@dataclass
class Findings:
    """All findings of a preflight, in the inventory's order of hosts, the marks of phases on each host and its kind."""

    found: list[Finding] = field(default_factory=list)
    marks: dict[str, dict[str, str]] = field(default_factory=dict)
    """Host -> phase -> fingerprint with which it was completed there, of complete phases only."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Host that answered -> what of it decides what roles make there."""

    @property
    def refusals(self) -> list[Finding]:
        """What stops an installation."""
        return [finding for finding in self.found if finding.refusal]

    @property
    def warnings(self) -> list[Finding]:
        """What does not stop it."""
        return [finding for finding in self.found if not finding.refusal]


def refusal(host: Host, check: str, problem: str, remedy: str) -> Finding:
    """A finding that stops an installation."""
    return Finding(host.name, str(host.address), check, problem, remedy, refusal=True)


def warning(host: Host, check: str, problem: str, remedy: str) -> Finding:
    """A finding that does not stop it."""
    return Finding(host.name, str(host.address), check, problem, remedy, refusal=False)
