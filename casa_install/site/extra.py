"""Settings of the command line, in the forms of Ansible's ``-e``, which overrule the inventory for one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from casa_install.site.ini import Given
from casa_install.site.names import intended
from casa_install.site.problems import COMMAND_LINE, Place, Problems
from casa_install.site.yamlvars import Opener, read_yaml, variables_of

PLACE = Place(COMMAND_LINE, 0)


def read_extra(words: Iterable[str], opener: Opener, problems: Problems) -> list[Given]:
    """The variables that the words give, the later of a name for the earlier; NAME=VALUE is read as in an INI file."""
    found: dict[str, Given] = {}
    for given in (each for word in words for each in _read(word, opener, problems)):
        if given.name.lower().startswith("casa") or given.name.startswith("ansible_") or intended(given.name):
            found[given.name] = given
        else:
            problems.add(given.place, f"{given.name} is neither a setting nor a variable of Ansible's own",
                         "write a setting of docs/settings.md or one that begins with ansible_")
    return list(found.values())


def _read(word: str, opener: Opener, problems: Problems) -> Iterator[Given]:
    """What one ``-e`` gives, in the forms that Ansible knows."""
    if word.startswith("@"):
        yield from read_yaml(Path(word[1:]).absolute(), opener, problems)
    elif word.startswith(("{", "[")):
        yield from _inline(word, opener, problems)
    else:
        yield from _pairs(word, problems)


def _inline(word: str, opener: Opener, problems: Problems) -> Iterator[Given]:
    """Variables of JSON, or of YAML in the form of JSON; the lines of such a word mean nothing to anybody."""
    noted = Problems()
    for given in variables_of(word, COMMAND_LINE, opener, noted):
        yield Given(given.name, given.data, PLACE)
    for problem in noted.found:
        problems.add(PLACE, problem.message, problem.remedy)


def _pairs(word: str, problems: Problems) -> Iterator[Given]:
    """Variables of NAME=VALUE, of which a word may hold several; no message has a value, which may be a secret."""
    from ansible.errors import AnsibleError  # slow to import and rarely needed
    from ansible.parsing.splitter import parse_kv

    try:
        pairs = parse_kv(word)
    except (AnsibleError, ValueError):
        problems.add(PLACE, f"what follows {word.partition('=')[0].strip()}= cannot be read",
                     "close its quotation or its {{")
        return
    alone = str(pairs.pop("_raw_params", "")).strip()
    if alone and pairs:
        problems.add(PLACE, f"beside {' and '.join(pairs)} there is a word without =",
                     "write -e '{\"NAME\": VALUE}', or put a value that has spaces into quotation marks of its own")
    elif alone:
        problems.add(PLACE, f"{alone.split()[0]} gives no variable a value",
                     "write -e NAME=VALUE, -e '{\"NAME\": VALUE}' or -e @FILE")
    for name, value in pairs.items():
        yield Given(name, value, PLACE, ini=True)
