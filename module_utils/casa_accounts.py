"""Accounts and groups of a host, as its own files name them."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable


def accounts() -> set[str]:
    """Names in the host's account file."""
    return {entry.pw_name for entry in pwd.getpwall()}


def groups() -> set[str]:
    """Names in the host's group file."""
    return {entry.gr_name for entry in grp.getgrall()}


def drop(name: str, run: Callable[..., object]) -> None:
    """There is no account and no group of this name.

    :param run: runs a program with its arguments, and fails when the program does.
    """
    if name in accounts():
        run("userdel", name)
    if name in groups():
        run("groupdel", name)
