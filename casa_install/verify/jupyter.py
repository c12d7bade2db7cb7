"""A user's session, as a browser has it: log in by the form, start a server, run code in its kernel."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

REQUEST_SECONDS = 60.0
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Resolve = Callable[[str], Awaitable[list[str]]]
"""Gives a host name's IPv4 addresses."""


class SessionError(Exception):
    """The hub or the user's server did not do what it was asked; the message says what and its answer."""


@dataclass
class Result:
    """What a cell did: its output, and its traceback when it failed."""

    text: str = ""
    error: str = ""
    data: list[dict[str, Any]] = field(default_factory=list)
    """Rich output, by MIME type."""


class _Resolver(AbstractResolver):
    """Names as the site's DNS gives them, whatever this machine uses."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET,
                      ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0,
                          flags=socket.AI_NUMERICHOST)
            for address in await self._resolve(host)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class UserSession:
    """One user at one hub; use it in an ``async with`` block.

    :param hub_url: ``https://hub.<domain>``.
    :param ca_file: PEM file of the CA that every connection is verified by.
    :param resolve: gives a host name's addresses.
    """

    def __init__(self, hub_url: str, user: str, password: str, ca_file: Path, resolve: Resolve) -> None:
        self._url = hub_url.rstrip("/")
        self.user = user
        self._password = password
        self._ca_file = ca_file
        self._resolve = resolve
        self._kernel = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context(cafile=str(self._ca_file))
        connector = aiohttp.TCPConnector(ssl=tls, resolver=_Resolver(self._resolve))
        # no Origin, but a Referer: the hub's API takes a browser's cookie only from its own pages
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers={"Referer": f"{self._url}/hub/home"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self._http.close()

    def _xsrf(self, path: str) -> str:
        cookie = self._http.cookie_jar.filter_cookies(URL(self._url + path)).get("_xsrf")
        return cookie.value if cookie else ""

    @property
    def server_path(self) -> str:
        """Path of the user's server, with a slash at its end."""
        return f"/user/{quote(self.user, safe='@~')}/"

    def _api(self, rest: str = "") -> str:
        return f"/hub/api/users/{quote(self.user, safe='@~')}{rest}"

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and text of any request under the hub's URL, with the cookies and token of this session."""
        headers = {"X-XSRFToken": self._xsrf(path), **options.pop("headers", {})}
        async with self._http.request(method, self._url + path, headers=headers, **options) as response:
            return response.status, await response.text()

    async def _expect(self, wanted: tuple[int, ...], method: str, path: str, **options: Any) -> str:
        status, text = await self.request(method, path, **options)
        if status not in wanted:
            raise SessionError(f"{method} {path}: {status} {text[:300]}")
        return text

    async def login(self) -> None:
        """The session is the user's; wrong passwords and users who are not listed raise SessionError."""
        await self._expect((200,), "GET", "/hub/login")
        form = {"username": self.user, "password": self._password}
        token = {"_xsrf": self._xsrf("/hub/login")}
        status, text = await self.request("POST", "/hub/login", params=token, data=form, allow_redirects=False)
        if status != 302:
            shown = re.search(r'class="login_error"[^>]*>\s*([^<]*)', text)
            raise SessionError(f"{self.user} cannot log in: {shown[1].strip() if shown else status}")
        await self._expect((200,), "GET", "/hub/home")  # the token that belongs to this login
        me = json.loads(await self._expect((200,), "GET", "/hub/api/user"))
        self.user = me["name"]  # the hub's spelling

    async def spawn(self, profile: str | None = None) -> None:
        """The server starts, by the profile's slug (the first profile when not given), like the form would."""
        options = {"profile": profile} if profile else {}
        await self._expect((201, 202), "POST", self._api("/server"), json=options)

    async def spawn_by_form(self, profile: str) -> None:
        """The same through the spawn page's own form."""
        page = await self._expect((200,), "GET", f"/hub/spawn/{self.user}")
        if f'value="{profile}"' not in page:
            raise SessionError(f"the spawn page offers no profile {profile!r}")
        token = {"_xsrf": self._xsrf("/hub/spawn")}
        await self._expect((302,), "POST", f"/hub/spawn/{self.user}", params=token, data={"profile": profile},
                           allow_redirects=False)

    async def wait_ready(self, seconds: float = 300) -> None:
        """The server answers and this session is logged in there; a failed start raises with the hub's last words."""
        last = ""
        async with asyncio.timeout(seconds):
            async with self._http.get(
                self._url + self._api("/server/progress"),
                headers={"X-XSRFToken": self._xsrf("/hub/api"), "Accept": "text/event-stream"},
                timeout=aiohttp.ClientTimeout(total=None),
            ) as stream:
                if stream.status != 200:
                    raise SessionError(f"progress of the start: {stream.status} {(await stream.text())[:300]}")
                async for line in stream.content:
                    if not line.startswith(b"data:"):
                        continue
                    event = json.loads(line[5:])
                    last = event.get("message", last)
                    if event.get("failed"):
                        raise SessionError(f"the server of {self.user} did not start: {last}")
                    if event.get("ready"):
                        break
            # the server sends a browser to the hub and back before it shows anything
            page = await self._expect((200,), "GET", f"{self.server_path}lab")
        if "jupyter-config-data" not in page:
            raise SessionError(f"{self.server_path}lab is not JupyterLab: {page[:300]}")

    async def start_kernel(self, name: str = "python3") -> None:
        """A kernel runs and this session listens to it."""
        text = await self._expect((201,), "POST", f"{self.server_path}api/kernels", json={"name": name})
        self._kernel = json.loads(text)["id"]
        path = f"{self.server_path}api/kernels/{self._kernel}/channels"
        address = urlsplit(self._url)._replace(scheme="wss").geturl() + path
        self._socket = await self._http.ws_connect(address, max_msg_size=0, heartbeat=30)

    async def run(self, code: str, seconds: float = 60) -> Result:
        """Run a cell and wait until the kernel is done with it.

        :raises TimeoutError: after that many seconds. :raises SessionError: when the kernel's connection ends.
        """
        if self._socket is None:
            raise SessionError("no kernel: call start_kernel() first")
        message = uuid.uuid4().hex
        await self._socket.send_json({
            "channel": "shell", "buffers": [], "metadata": {}, "parent_header": {},
            "header": {"msg_id": message, "username": self.user, "session": message, "msg_type": "execute_request",
                       "version": "5.3"},
            "content": {"code": code, "silent": False, "store_history": False, "user_expressions": {},
                        "allow_stdin": False, "stop_on_error": True},
        })
        result = Result()
        # the reply and the output come by different channels, in any order
        awaited = {"execute_reply", "idle"}
        async with asyncio.timeout(seconds):
            while awaited:
                received = await self._socket.receive()
                if received.type is not aiohttp.WSMsgType.TEXT:
                    raise SessionError(f"the kernel's connection ended: {received.type.name} {received.data}")
                reply = json.loads(received.data)
                if reply["parent_header"].get("msg_id") == message:
                    awaited.discard(_gather(reply, result))
        return result

    async def upload(self, path: str, text: str) -> None:
        """A text file lies in the user's home."""
        body = {"type": "file", "format": "text", "content": text}
        await self._expect((200, 201), "PUT", f"{self.server_path}api/contents/{quote(path)}", json=body)

    async def download(self, path: str) -> str:
        """A text file from the user's home."""
        text = await self._expect((200,), "GET", f"{self.server_path}api/contents/{quote(path)}?type=file&format=text")
        return str(json.loads(text)["content"])

    async def stop(self, seconds: float = 120) -> None:
        """The server is gone; nothing happens when none runs."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
        async with asyncio.timeout(seconds):
            while True:
                state = json.loads(await self._expect((200,), "GET", self._api()))
                servers = state.get("servers") or {}
                if not servers.get("", {}).get("ready") and not state.get("pending"):
                    return
                if not state.get("pending"):
                    await self._expect((202, 204), "DELETE", self._api("/server"))
                await asyncio.sleep(0.3)


def _gather(reply: dict[str, Any], result: Result) -> str:
    """Add a kernel's message to the result, and return what it was: its type, or the kernel's new state."""
    content, kind = reply["content"], str(reply["msg_type"])
    match kind:
        case "stream":
            result.text += content["text"]
        case "execute_result" | "display_data":
            result.data.append(content["data"])
            result.text += content["data"].get("text/plain", "")
        case "error":
            result.error = TERMINAL_COLOURS.sub("", "\n".join(content["traceback"])) or content["ename"]
        case "execute_reply" if content["status"] != "ok" and not result.error:
            result.error = TERMINAL_COLOURS.sub("", "\n".join(content.get("traceback", ()))) or content["status"]
        case "status":
            return str(content["execution_state"])
    return kind
