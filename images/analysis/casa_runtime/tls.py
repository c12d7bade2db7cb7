"""Dask preload: an OpenSSL error that one TLS connection left behind must not end another.

CPython before the fix of gh-148594 reads OpenSSL's per-thread error queue after a TLS call without
emptying it first, so whatever an earlier connection left there is taken for a failure of the
present one. A Dask scheduler serves all its workers from one thread: a worker that joins or leaves
then breaks the connections of others. Emptying the queue before each call is all that is missing.
"""

from __future__ import annotations

import _ssl
import ctypes
import functools
import ssl
from collections.abc import Callable
from typing import Any

OPERATIONS: dict[type, tuple[str, ...]] = {
    ssl.SSLSocket: ("read", "write", "send", "do_handshake", "unwrap"),
    ssl.SSLObject: ("read", "write", "do_handshake", "unwrap"),
}
MARK = "_clears_errors_first"


def error_queue_cleaner() -> Callable[[], None]:
    """``ERR_clear_error`` of the very OpenSSL that Python's ssl module uses.

    Looked up through the extension module's file: another libcrypto of the process has another
    queue. PyDLL, because giving up the interpreter lock costs more than the call.
    """
    clear = ctypes.PyDLL(_ssl.__file__).ERR_clear_error
    clear.argtypes = []
    clear.restype = None
    return clear


def cleaned(operation: Callable[..., Any], clear: Callable[[], None]) -> Callable[..., Any]:
    """The operation with an empty error queue at its start."""

    @functools.wraps(operation)
    def with_empty_queue(*args: Any, **kwargs: Any) -> Any:
        clear()
        return operation(*args, **kwargs)

    setattr(with_empty_queue, MARK, True)
    return with_empty_queue


def install() -> None:
    """Wrap every TLS operation, once."""
    clear = error_queue_cleaner()
    for cls, names in OPERATIONS.items():
        for name in names:
            operation = getattr(cls, name)
            if not hasattr(operation, MARK):
                setattr(cls, name, cleaned(operation, clear))


install()
