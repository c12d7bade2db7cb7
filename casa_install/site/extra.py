"""Settings of the command line: ``-e NAME=VALUE`` and ``-e @FILE``, which overrule the inventory for one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from casa_install.site.ini import Given
from casa_install.site.names import intended
from casa_install.site.problems import COMMAND_LINE, Place, Problems
from casa_install.site.yamlvars import Opener, read_yaml

PLACE = Place(COMMAND_LINE, 0)


def read_extra(words: Iterable[str], opener: Opener, problems: Problems) -> list[Given]:
    """The variables that the words give, the later of a name for the earlier; a value is read as one of an INI line."""
    found: dict[str, Given] = {}
    for given in (each for word in words for each in _read(word, opener, problems)):
        if given.name.lower().startswith("casa") or given.name.startswith("ansible_") or intended(given.name):
            found[given.name] = given
        else:
            problems.add(given.place, f"{given.name} is neither a setting nor a variable of Ansible's own",
                         "write a setting of docs/settings.md or one that begins with ansible_")
    return list(found.values())


def _read(word: str, opener: Opener, problems: Problems) -> Iterator[Given]:
    if word.startswith("@"):
        yield from read_yaml(Path(word[1:]).absolute(), opener, problems)
        return
    name, equals, value = word.partition("=")
    if equals and name.strip().isidentifier():
        yield Given(name.strip(), value.strip(), PLACE, ini=True)
    else:
        problems.add(PLACE, f"{word} gives no variable a value", "write -e NAME=VALUE or -e @FILE")
