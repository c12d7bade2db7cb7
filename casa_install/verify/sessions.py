"""What checks do as users: in every user's session at the same time, or in one user's kernel.

The sessions live in the context's memory from the check that opens them on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from casa_install.verify.context import CheckError, Context, expect
from casa_install.verify.jupyter import UserSession

NOTEBOOKS = Path(__file__).parent / "notebooks"
RESULT = "CASA-RESULT "
SCHEDULER = "tls://localhost:8786"
READY = 300  # seconds for a server to be ready: the first spawn on a node pulls the notebook image

T = TypeVar("T")


def sessions(context: Context) -> list[UserSession]:
    """The users' sessions; a check may add to the list."""
    found: list[UserSession] = context.memory.setdefault("sessions", [])
    return found


async def both(context: Context, act: Callable[[UserSession], Awaitable[T]]) -> dict[str, T]:
    """Do the same for both users at the same time; user -> result."""
    users = sessions(context)
    results = await asyncio.gather(*(act(session) for session in users))
    return {session.user: result for session, result in zip(users, results, strict=True)}


async def start_server(session: UserSession, profile: str) -> None:
    """The user's server runs with this profile, freshly started, and has a kernel."""
    await session.stop()
    await session.spawn(profile)
    await session.wait_ready(READY)
    await session.start_kernel()


async def code(session: UserSession, program: str, seconds: float) -> str:
    """What a program printed in the user's kernel."""
    try:
        result = await session.run(program, seconds)
    except TimeoutError:
        raise CheckError(f"{session.user}'s notebook was not done after {seconds:.0f} s") from None
    expect(not result.error, f"in {session.user}'s notebook: {result.error[-1500:]}")
    return result.text


async def notebook(session: UserSession, name: str, seconds: float, **parameters: object) -> dict[str, Any]:
    """Run one of the programs in ``notebooks`` in the user's kernel and return its result."""
    text = (NOTEBOOKS / f"{name}.py").read_text()
    # a kernel's cell may not begin with __future__ once something stands before it
    program = text.replace("from __future__ import annotations", "")
    printed = await code(session, f"CASA = {parameters!r}\n{program}", seconds)
    lines = [line for line in printed.splitlines() if line.startswith(RESULT)]
    expect(len(lines) == 1, f"{session.user}'s {name} printed no result: {printed[-1500:]}")
    result: dict[str, Any] = json.loads(lines[0].removeprefix(RESULT))
    return result
