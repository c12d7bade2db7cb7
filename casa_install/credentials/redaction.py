"""The guard that takes secrets out of texts: those that the site knows by name, and what looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import quote

SHORTEST = 8
"""Characters; what is shorter is no secret of ours."""
LOOKS = tuple((name, re.compile(pattern, re.MULTILINE)) for name, pattern in (
    # a log may begin or end in the middle of a key
    ("private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----(?:[A-Za-z0-9+/=,:\s\\]|-(?!----))*"
                    r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----)?"),
    ("private key", r"(?:^[A-Za-z0-9+/=]{1,76}\n)+-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
    # JSON Web Tokens, IDTOKENs among them, and once more in base64, as objects of Kubernetes have them
    ("token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    ("token", r"\bZXlK[A-Za-z0-9+/=_-]{20,}"),
    ("macaroon", r"\b(?:MDA|AgE)[A-Za-z0-9+/=_-]{40,}"),
    ("bootstrap token", r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.-])"),
    ("password", r"(?i)(?P<before>\b(?:authorization|authz|(?:set-)?cookie)['\"]?\s*[=:]\s*['\"]?"
                 r"(?:(?:bearer|basic|token)(?:\s+|%20|\+))?)(?!\[secret )[^\s'\",;&]{6,}"),
    ("password", r"(?i)(?P<before>\b[\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|"
                 r"(?:client|certificate)-[a-z-]*data)['\"]?\s*[=:]\s*['\"]?)(?!\[secret )[^\s'\",;&)}\]]{6,}"),
    ("password", r"(?i)(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/@:]*:)(?!\[secret )[^\s/@]+(?=@)"),
    ("password hash", r"\$(?:[1567y]|2[abxy]|apr1)\$[./A-Za-z0-9$=,]{20,}"),
    # long, and of a mixture that neither words nor checksums have
    ("key or token", r"(?<![A-Za-z0-9+/=_-])(?=(?:[a-z0-9+/_-]*[A-Z]){6})(?=(?:[A-Za-z+/_-]*[0-9]){3})"
                     r"[A-Za-z0-9+/_-]{60,}={0,2}"),
))
"""What looks like a secret: its kind, and a pattern; a group ``before`` stays."""


class Redactor:
    """Replaces secrets by ``[secret NAME]`` and counts by name what it has replaced.

    :param secrets: secret -> the name that is shown for it.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms = {form: name for secret, name in secrets.items() for form in forms_of(secret) if len(form) >= SHORTEST}
        self._forms = sorted(forms.items(), key=lambda each: -len(each[0]))  # one may be a part of another
        self.replaced: Counter[str] = Counter()

    def known(self, text: str) -> str:
        """The text without the secrets that have a name, in clear or encoded."""
        for form, name in self._forms:
            if form in text:
                self.replaced[name] += text.count(form)
                text = text.replace(form, f"[secret {name}]")
        return text

    def text(self, text: str) -> str:
        """The text without those, and without what looks like a secret."""
        text = self.known(text)
        for name, look in LOOKS:
            kept = r"\g<before>" if "before" in look.groupindex else ""
            text, count = look.subn(f"{kept}[secret {name}]", text)
            if count:
                self.replaced[name] += count
        return text


def forms_of(secret: str) -> Iterator[str]:
    """The secret as it is, and as it looks in URLs, JSON, hexadecimal and base64, wherever it begins in there."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    data = secret.encode()
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):  # bytes of something else in front of it
        whole = base64.b64encode(bytes(before) + data)
        first, last = (0, 2, 3)[before], (before + len(data)) * 8 // 6  # characters that are its alone
        for coded in (whole, whole.translate(bytes.maketrans(b"+/", b"-_"))):
            yield coded[first:last].decode()
