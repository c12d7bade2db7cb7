"""group_vars and host_vars beside the inventory: YAML, with the line of every value."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from casa_install.site.ini import Given, read_text
from casa_install.site.model import Vaulted
from casa_install.site.problems import Place, Problems

VAULT_HEADER = "$ANSIBLE_VAULT;"
_ENDINGS = ("", ".yml", ".yaml", ".json")
_MERGE = "tag:yaml.org,2002:merge"
_MOST_BITS = 1024  # of a number; Python refuses to print some that are far longer


class Opener:
    """Opens ansible-vault texts with the passwords of files, if some were given; an executable file prints its own."""

    def __init__(self, password_files: Iterable[Path], problems: Problems) -> None:
        self._passwords: list[bytes] = []
        for file in password_files:
            program = file.is_file() and os.access(file, os.X_OK)
            text = _printed(file, problems) if program else read_text(file, problems)
            if text is not None and not text.strip():
                problems.add(Place(file, 1), "holds no vault password", "write the password on its first line")
            if text and text.strip():
                self._passwords.append(text.strip().encode())

    def open(self, ciphertext: str, place: Place, problems: Problems) -> str | None:
        """The plain text; None without a password, or after noting that no password fits."""
        if not self._passwords:
            return None
        from ansible.errors import AnsibleError  # slow to import and rarely needed
        from ansible.parsing.vault import VaultLib, VaultSecret

        try:
            library = VaultLib([("default", VaultSecret(each)) for each in self._passwords])
            return bytes(library.decrypt(ciphertext.strip().encode())).decode()
        except (AnsibleError, ValueError):
            problems.add(place, "this ansible-vault value does not open", "give the vault password it was made with")
            return None


def _printed(file: Path, problems: Problems) -> str | None:
    """What a program prints; None after noting that it does not run."""
    try:
        return subprocess.run([file], check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    except subprocess.CalledProcessError as error:
        why = f"exit status {error.returncode}"
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no UTF-8 text"
    problems.add(Place(file, 1), f"does not print a vault password ({why})",
                 "make it run, or write the password into a file that is not executable")
    return None


def files_of(folder: Path, name: str) -> list[Path]:
    """Variable files of a group or host in Ansible's order: ``name``, ``name.yml`` …, or all below ``name/``."""
    found: list[Path] = []
    if Path(name).name != name:  # a bad name may be a path, and must not lead out of the folder
        return found
    for ending in _ENDINGS:
        file = folder / f"{name}{ending}"
        kind = _kind(file)
        if kind == stat.S_IFREG:
            found.append(file)
        elif not ending and kind == stat.S_IFDIR:
            found += sorted(each for each in file.rglob("*") if each.is_file() and each.suffix in _ENDINGS
                            and not each.name.startswith(".") and not each.name.endswith("~"))
    return found


def _kind(file: Path) -> int | None:
    """``S_IFREG``, ``S_IFDIR`` …; None for what is not there, and for names too long to be there."""
    try:
        return stat.S_IFMT(file.stat().st_mode)
    except (OSError, ValueError):
        return None


def names_in(folder: Path, problems: Problems) -> Iterator[tuple[str, Path]]:
    """Names of the groups or hosts for which a folder has variables."""
    if _kind(folder) is None:
        return
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        problems.add(Place(folder, 1), f"cannot be read ({error.strerror})", "make it a folder that you can read")
        return
    for each in files:
        if not each.name.startswith(".") and not each.name.endswith("~"):
            yield (each.stem if _kind(each) == stat.S_IFREG and each.suffix in _ENDINGS else each.name), each


def read_yaml(file: Path, opener: Opener, problems: Problems) -> list[Given]:
    """Variables of one file; whatever cannot be understood is noted and left out."""
    text = read_text(file, problems)
    if text is None:
        return []
    if text.startswith(VAULT_HEADER):
        plain = opener.open(text, Place(file, 1), problems)
        if plain is None:
            if not any(each.file == file for each in problems.found):
                problems.add(Place(file, 1), "is encrypted with ansible-vault", "give the vault password file")
            return []
        text = plain
    return variables_of(text, file, opener, problems)


def variables_of(text: str, file: Path, opener: Opener, problems: Problems) -> list[Given]:
    """Variables of a YAML text that came from a file; whatever cannot be understood is noted and left out."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return []
        return list(_variables(root, file, opener, problems))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(Place(file, mark.line + 1 if mark else 1), f"is not YAML ({error.problem or error.context})",
                     "correct the line")
    except yaml.YAMLError as error:
        problems.add(Place(file, 1), f"is not YAML ({str(error).splitlines()[0]})", "correct the file")
    except RecursionError:
        problems.add(Place(file, 1), "is nested too deeply", "write plain lists and maps")
    return []


def _variables(root: yaml.Node, file: Path, opener: Opener, problems: Problems) -> Iterator[Given]:
    if not isinstance(root, yaml.MappingNode):
        problems.add(Place(file, root.start_mark.line + 1), "does not hold variables", "write name: value lines")
        return
    seen: dict[str, int] = {}
    for key, value in root.value:
        place = Place(file, key.start_mark.line + 1)
        name = str(key.value)
        if key.tag == _MERGE:
            problems.add(place, "<< takes variables from elsewhere, which is not read", "write them here one by one")
            continue
        if name in seen:
            problems.add(place, f"{name} is set already on line {seen[name]}", "delete one of the lines")
            continue
        seen[name] = place.line
        lines: dict[tuple[str | int, ...], int] = {}
        builder = _Builder(file, opener, problems, lines)
        try:
            yield Given(name, builder.build(value, (), frozenset()), place, lines=lines)
        except _BadValueError:
            continue


class _BadValueError(Exception):
    """The value was noted as a problem."""


class _Builder:
    """Builds plain data from YAML nodes and notes the line of each."""

    def __init__(self, file: Path, opener: Opener, problems: Problems,
                 lines: dict[tuple[str | int, ...], int]) -> None:
        self.file, self.opener, self.problems, self.lines = file, opener, problems, lines
        self.scalars = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: tuple[str | int, ...], above: frozenset[int]) -> Any:
        place = Place(self.file, node.start_mark.line + 1)
        self.lines[path] = place.line
        if id(node) in above or len(self.lines) > 10000:
            self._refuse(place, "contains itself or is far too large", "write plain lists and maps")
        above |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*path, index), above) for index, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._map(node, path, above)
        if node.tag in ("!vault", "!vault-encrypted"):
            ciphertext = str(node.value).strip()
            if not ciphertext.startswith(VAULT_HEADER):
                self._refuse(place, "is marked !vault but is not encrypted", "encrypt it: ansible-vault encrypt_string")
            plain = self.opener.open(ciphertext, place, self.problems)
            return Vaulted(ciphertext=ciphertext, plain=None if plain is None else SecretStr(plain))
        if node.tag == "!unsafe":
            return str(node.value)
        try:
            value = self.scalars.construct_object(node, deep=True)
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                self._refuse(place, "is a number of far too many digits", "write a smaller one")
            return value
        except (yaml.YAMLError, ValueError, OverflowError, KeyError) as error:
            self._refuse(place, f"is not a value ({str(error).splitlines()[0]})", "put the text in quotation marks")

    def _map(self, node: yaml.MappingNode, path: tuple[str | int, ...], above: frozenset[int]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, each in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in built:
                self._refuse(Place(self.file, line), f"{name} is set already on line {self.lines[(*path, name)]}",
                             "delete one of the two")
            built[name] = self.build(each, (*path, name), above)
        return built

    def _refuse(self, place: Place, message: str, remedy: str) -> Any:
        self.problems.add(place, message, remedy)
        raise _BadValueError
