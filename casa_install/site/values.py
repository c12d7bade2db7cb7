"""From what was written to a typed value, one setting at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from casa_install.site.ini import Given, literal
from casa_install.site.model import Expected, Vaulted
from casa_install.site.problems import Place, Problems, nearest

PLACEHOLDER = "CHANGEME"
_DOCUMENTATION = re.compile(r"(?<![a-z0-9-])example\.(?:org|com|net|edu)(?![a-z0-9-])"
                            r"|\.(?:example|invalid)(?![a-z0-9.-])"
                            r"|(?<![0-9.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9]{1,3}(?![0-9])"
                            r"|(?<![0-9a-f:])2001:0?db8:[0-9a-f:]*")
"""Domains and addresses that documents use and no site has."""


def placeholder(data: Any) -> str | None:
    """What in a value still waits for the site's own: ``CHANGEME``, a domain or an address of documentation."""
    if isinstance(data, str):
        low = data.lower()
        if PLACEHOLDER.lower() in low:
            return PLACEHOLDER
        found = _DOCUMENTATION.search(low)
        return found[0] if found else None
    if isinstance(data, Mapping):
        data = data.values()
    if not isinstance(data, Iterable) or isinstance(data, Vaulted):
        return None
    return next(filter(None, map(placeholder, data)), None)


def sealed_placeholder(given: Given, problems: Problems) -> bool:
    """True after noting that an encrypted value opens and still waits for the site's own; nothing of it is shown."""
    plain = given.data.plain if isinstance(given.data, Vaulted) else None
    if plain is None or PLACEHOLDER.lower() not in plain.get_secret_value().lower():
        return False
    problems.add(given.place, f"{given.name} is encrypted, but what is encrypted still waits for an edit",
                 "encrypt your site's own")
    return True


def plain_type(annotation: Any) -> Any:
    """The type without ``Annotated`` and ``| None``."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        return plain_type(next(each for each in get_args(annotation) if each is not NoneType))
    return annotation


def expected(annotation: Any, metadata: Iterable[Any] = ()) -> str | None:
    """How a value of a type is written, in words; None when the type says nothing."""
    for each in metadata:
        if isinstance(each, Expected):
            return each.words
    if get_origin(annotation) is Annotated:
        return expected(get_args(annotation)[0], get_args(annotation)[1:])
    if get_origin(annotation) in (Union, UnionType):
        return next((words for each in get_args(annotation) if (words := expected(each))), None)
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return 'a list of maps such as [{"slug": "small", "title": "1 core", "cores": 1, "memory": "2Gi"}]'
        return 'a list such as ["first", "second"]'
    return {IPv4Network: "a network such as 10.1.0.0/24, its first address before the /",
            IPv4Address: "an IPv4 address such as 10.1.0.200", bool: "true or false", int: "a whole number",
            float: "a number", str: "a text", Path: "the path of a file", Vaulted: "an ansible-vault value",
            }.get(annotation)


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    typed: Any = Annotated[info.annotation, info]
    return TypeAdapter(typed, config={"coerce_numbers_to_str": True})


def validate(model: type[BaseModel], name: str, given: Given, problems: Problems, *, rehearsal: bool) -> Any:
    """The typed value of field ``name``, or None after noting what is wrong with it."""
    annotation = plain_type(model.model_fields[name].annotation)
    secret = annotation is Vaulted
    data = _read(annotation, given, problems)
    if data is None:
        return None
    if secret and not isinstance(data, Vaulted):
        problems.add(given.place, f"{given.name} is a secret in clear",
                     f"let ansible-vault encrypt_string --prompt --name {given.name} print it for group_vars/all.yml")
        return None
    if secret and not rehearsal and sealed_placeholder(given, problems):
        return None
    if isinstance(data, str) and ("{{" in data or "{%" in data):
        problems.add(given.place, f"{given.name} is a template", "write the value itself: settings are not templates")
        return None
    waiting = None if rehearsal or secret else placeholder(data)
    if waiting:
        problems.add(given.place, f"{given.name} still has {waiting} in it",
                     "write your site's own")
        return None
    if not _takes(annotation, data):
        problems.add(given.place, f"{given.name} is {shown(data)}", f"write {expected(annotation)}")
        return None
    try:
        return _adapter(model, name).validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        for each in found:
            # pydantic counts the good items only: a list of bad ones is not short as well
            if each["type"] == "too_short" and any(other["loc"][:-1] == each["loc"] for other in found if other["loc"]):
                continue
            _explain(model, given, each["loc"], each["type"], each["msg"], each["input"], problems)
    return None


def _takes(annotation: Any, data: Any) -> bool:
    """False for what pydantic would make a value of by force: addresses out of numbers, numbers out of truth values."""
    if get_origin(annotation) is tuple and isinstance(data, list):
        inner = plain_type(get_args(annotation)[0])
        return all(_takes(inner, each) for each in data)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(data, Mapping):
        return all(_takes(plain_type(annotation.model_fields[name].annotation), each)
                   for name, each in data.items() if name in annotation.model_fields)
    if annotation in (IPv4Address, IPv4Network):
        return isinstance(data, str)
    return not (isinstance(data, bool) and annotation in (int, float))


def _read(annotation: Any, given: Given, problems: Problems) -> Any:
    """The data of a setting in plain Python; texts of INI lines are read as the type wants them."""
    data = given.data
    if isinstance(data, Vaulted) and annotation is not Vaulted:
        if data.plain is None:
            problems.add(given.place, f"{given.name} is encrypted", "write it in clear or give the vault password file")
            return None
        data = data.plain.get_secret_value()
    elif given.ini:
        if annotation is not Vaulted and get_origin(annotation) is not tuple and " #" in data and data[0] not in "\"'":
            problems.add(given.place, f"{given.name} has a comment behind its value", "put the comment on its own line")
            return None
        read = literal(data)
        # numbers and truth values stay as written, so that a text such as 1e3 is not changed
        data = read if isinstance(read, str | list | tuple | dict | set) else data
    if data is None or data == "":
        problems.add(given.place, f"{given.name} has no value", "write one or delete the line")
        return None
    return list(data) if isinstance(data, set) else data


def _field(model: type[BaseModel], name: str, loc: tuple[int | str, ...]) -> tuple[FieldInfo | None, Any]:
    """The field that a position inside a setting means, and its annotation."""
    info: FieldInfo | None = model.model_fields[name]
    annotation = info.annotation if info else None
    for step in loc:
        annotation = plain_type(annotation)
        if get_origin(annotation) is tuple:
            annotation, info = get_args(annotation)[0], None
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and step in annotation.model_fields:
            info = annotation.model_fields[str(step)]
            annotation = info.annotation
        else:
            return None, None
    return info, annotation


def _explain(model: type[BaseModel], given: Given, loc: tuple[int | str, ...], kind: str, message: str, data: Any,
             problems: Problems) -> None:
    name = given.name.removeprefix("casa_")
    place = place_of(given, loc)
    label = given.name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    if kind == "missing":
        problems.add(place, f"{label} is missing", f"write {loc[-1]}")
        return
    if kind == "extra_forbidden":
        _, owner = _field(model, name, loc[:-1])
        problems.add(place, f"{label} is not known", nearest(str(loc[-1]), owner.model_fields, "delete it"))
        return
    info, annotation = _field(model, name, loc)
    words = expected(annotation, info.metadata if info else ())
    bounds = message[message.find("should"):].split(" after ")[0]
    if kind in ("too_short", "too_long") or kind.startswith(("greater", "less", "string_too")):
        remedy = f"it {bounds}"
    else:
        remedy = f"write {words}" if words else f"it {bounds}"
    problems.add(place, f"{label} is {shown(data)}", remedy)


def place_of(given: Given, loc: tuple[int | str, ...]) -> Place:
    """Where a part of a setting was written: the line of the nearest thing around it that has one."""
    while loc not in given.lines and loc:
        loc = loc[:-1]
    return Place(given.place.file, given.lines.get(loc, given.place.line) if loc else given.place.line)


def shown(data: Any) -> str:
    """Data as a message shows them: on one line, and not the whole of a long text."""
    text = str(data) if isinstance(data, str) else repr(data)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= 60 else text[:57] + "…"
