"""The last verification as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)


def junit(site_name: str, last: dict[str, Any] | None) -> str:
    """The document, from the facts of a verification; a site that was never verified has a suite without tests."""
    checks = last["checks"] if last else ()
    suite = ElementTree.Element("testsuite", {
        "name": f"casa-install verify {site_name}", "tests": str(len(checks)), "errors": "0",
        "failures": str(sum(check["passed"] is False for check in checks)),
        "skipped": str(sum(check["passed"] is None for check in checks)),
        "time": f"{last['seconds']:.1f}" if last else "0"})
    if last:
        suite.set("timestamp", last["started"])
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", {
            "classname": f"verify.{site_name}", "name": f"{check['name']}: {check['title']}",
            "time": f"{check['seconds']:.1f}"})
        if check["passed"] is None:
            ElementTree.SubElement(case, "skipped", {"message": "not run: a check before it failed"})
        elif check["passed"]:
            ElementTree.SubElement(case, "system-out").text = _text(check["detail"])
        else:
            message = _text(check["detail"])
            ElementTree.SubElement(case, "failure", {"message": message.partition("\n")[0]}).text = message
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
