"""The INI inventory as Ansible reads it, with the line of everything.

Ansible's own reader stops at the first mistake and forgets lines; this one notes every
mistake and keeps for each host, variable and group where it was written.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_letters
from typing import Any

from casa_install.site.problems import Place, Problems

LARGEST = 1 << 20  # bytes; no inventory is larger, a core dump is
MOST_HOSTS = 4096

_SECTION = re.compile(r"^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$")
_RANGE = re.compile(r"^([^\[\]]*)\[([^\[\]:]*):([^\[\]:]*)(?::([^\[\]:]*))?\](.*)$", re.S)


@dataclass(frozen=True)
class Given:
    """A variable as it was written."""

    name: str
    data: Any
    place: Place
    ini: bool = False
    """``data`` is the text of an INI line, not yet a list, a number or a truth value."""
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    """Lines of nested values, by their path inside ``data``."""


@dataclass
class Group:
    """A group of the inventory."""

    name: str
    place: Place
    """Its first mention."""
    hosts: dict[str, Place] = field(default_factory=dict)
    children: dict[str, Place] = field(default_factory=dict)
    variables: list[Given] = field(default_factory=list)
    declared: bool = False
    """It has a section of hosts or children."""


@dataclass
class Inventory:
    """What the INI file says."""

    file: Path
    end: Place
    """The last line."""
    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, list[Given]] = field(default_factory=dict)
    """Host name -> its variables, hosts in the order of their first mention."""
    places: dict[str, Place] = field(default_factory=dict)
    """Host name -> first mention."""

    def group(self, name: str, place: Place) -> Group:
        """The group of that name, made when this is its first mention."""
        return self.groups.setdefault(name, Group(name, place))


def read_text(file: Path, problems: Problems) -> str | None:
    """Text of a small UTF-8 file; None after noting why it cannot be read."""
    top = Place(file, 1)
    try:
        if file.is_dir():
            problems.add(top, "is a directory", "name the INI file in it")
            return None
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        problems.add(top, "there is no such file", "give the path of an inventory, or let casa-install init write one")
        return None
    except (OSError, ValueError) as error:
        problems.add(top, f"cannot be read ({getattr(error, 'strerror', None) or error})",
                     "make it readable for the one who installs")
        return None
    if len(content) > LARGEST or b"\0" in content:
        problems.add(top, "is not a text file", "write an inventory in INI form; inventory/example shows one")
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(Place(file, line), "is not UTF-8 text", "write this line in UTF-8")
        return None


def read_ini(file: Path, problems: Problems) -> Inventory:
    """Read an inventory; whatever cannot be understood is noted and left out."""
    inventory = Inventory(file, end=Place(file, 1))
    text = read_text(file, problems)
    if text is None:
        return inventory
    if text.startswith("\ufeff"):
        problems.add(inventory.end, "begins with a byte order mark", "save the file as UTF-8 without one")
        text = text[1:]
    group, kind = "ungrouped", "hosts"
    for number, whole in enumerate(text.split("\n"), 1):
        place, line = Place(file, number), whole.strip()
        if not line or line[0] in "#;":
            continue
        inventory.end = place
        if line.startswith("["):
            group, kind = _section(inventory, line, place, problems)
        elif kind == "hosts":
            if number == 1 and line == "---":
                problems.add(place, "looks like YAML", "write the inventory in INI form; YAML belongs in group_vars")
                return inventory
            _host_line(inventory, group, line, place, problems)
        elif kind == "vars":
            _variable_line(inventory, group, line, place, problems)
        elif kind == "children":
            inventory.group(group, place).children.setdefault(line.split("#")[0].strip(), place)
    return inventory


def _section(inventory: Inventory, line: str, place: Place, problems: Problems) -> tuple[str, str]:
    match = _SECTION.match(line)
    if not match:
        problems.add(place, f"{line} is not a section", "write [group], [group:vars] or [group:children]")
        return "", "skipped"
    name, kind = match[1], match[2] or "hosts"
    if kind not in ("hosts", "vars", "children"):
        problems.add(place, f"[{name}:{kind}] is not a kind of section",
                     f"write [{name}], [{name}:vars] or [{name}:children]")
        return name, "skipped"
    group = inventory.group(name, place)
    group.declared = group.declared or kind != "vars"
    return name, kind


def _host_line(inventory: Inventory, group: str, line: str, place: Place, problems: Problems) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        problems.add(place, f"cannot be read as a host ({error})", "close the quotation, or quote the quotation mark")
        return
    if not words:
        return
    if "=" in words[0]:
        problems.add(place, f"{words[0].split('=')[0]} stands where a host name is expected",
                     "write settings of the site under [all:vars]")
        return
    if words[0].endswith(":"):
        problems.add(place, f"{words[0]} is not a host name",
                     "write the inventory in INI form: [group], then host lines")
        return
    pattern, _, port = words[0].rpartition(":") if re.search(r":\d+$", words[0]) else (words[0], "", "")
    names = expand(pattern, place, problems)
    given = [Given("ansible_port", port, place, ini=True)] if port else []
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or not name:
            problems.add(place, f"{word} is not a variable of a host", "write name=value without spaces around =")
            continue
        given.append(Given(name, value, place, ini=True))
    members = inventory.group(group, place).hosts
    for name in names:
        if name in members and group not in ("all", "ungrouped"):
            problems.add(place, f"{name} is in [{group}] already (line {members[name].line})",
                         "delete one of the lines")
        members.setdefault(name, place)
        inventory.places.setdefault(name, place)
        inventory.hosts.setdefault(name, []).extend(given)


def _variable_line(inventory: Inventory, group: str, line: str, place: Place, problems: Problems) -> None:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not name:
        problems.add(place, f"{line.split()[0]} has no value", "write name=value, one on a line")
        return
    variables = inventory.group(group, place).variables
    before = next((other for other in variables if other.name == name), None)
    if before:
        problems.add(place, f"{name} is set already on line {before.place.line}", "delete one of the lines")
        return
    variables.append(Given(name, value, place, ini=True))


def expand(pattern: str, place: Place, problems: Problems) -> list[str]:
    """Host names of a pattern such as ``exec-[01:16]`` or ``node-[a:c]``."""
    if "[" not in pattern and "]" not in pattern:
        return [pattern]
    match = _RANGE.match(pattern)
    middle = list(_counted(match[2] or "0", match[3], match[4] or "1")) if match else []
    if not match or not middle:
        problems.add(place, f"{pattern} is not a range of hosts", "write for example exec-[1:4] or exec-[01:16]")
        return []
    ends = expand(match[5], place, problems) if match[5] else [""]
    if len(middle) * len(ends) > MOST_HOSTS:
        problems.add(place, f"{pattern} means more than {MOST_HOSTS} hosts", "write a smaller range")
        return []
    return [match[1] + each + end for each in middle for end in ends]


def _counted(first: str, last: str, step: str) -> Iterator[str]:
    stride = int(step) if step.isascii() and step.isdigit() and len(step) < 5 else 0
    if stride == 0:
        return
    numbers = all(each.isascii() and each.isdigit() and len(each) < 8 for each in (first, last))
    if numbers:
        width = len(first) if first.startswith("0") else 0
        if int(last) - int(first) <= MOST_HOSTS * stride:
            yield from (str(n).zfill(width) for n in range(int(first), int(last) + 1, stride))
    elif len(first) == len(last) == 1 and first in ascii_letters and last in ascii_letters:
        yield from ascii_letters[ascii_letters.index(first):ascii_letters.index(last) + 1:stride]


def literal(text: str) -> Any:
    """A list, map or scalar as Ansible reads it in an INI file (Python form), or in JSON form; else the text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
