"""``casa-install init``: writes the inventory of a real site from four questions, or from flags."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.prompt import Prompt

from casa_install.init.draft import REDIRECTOR, Draft, draft

DONE, REFUSED = 0, 2


@dataclass(frozen=True)
class Question:
    """One thing to know about a site."""

    name: str
    flag: str
    text: str
    metavar: str
    many: bool = False
    default: str | None = None


QUESTIONS = (
    Question("domain", "--domain", "the facility's own DNS domain: users open https://hub.DOMAIN", "DOMAIN"),
    Question("public_address", "--public-address",
             "the address that users reach, which nothing has yet, with the hosts' network, such as 10.1.0.200/24",
             "ADDRESS/LENGTH"),
    Question("hosts", "--host", "a host; without groups the number of hosts decides what each does",
             "NAME=ADDRESS[:GROUP+GROUP]", many=True),
    Question("issuer", "--issuer", "issuer URL of the identity provider where users log in", "URL"),
    Question("client_id", "--client-id", "client id of the hub there, registered with the redirect address "
             "https://hub.DOMAIN/hub/oauth_callback", "ID"),
    Question("users", "--user", "an account there that may log in; the first is admin, too", "NAME", many=True),
    Question("origin", "--origin", "storage that the cache reads from", "HOST:PORT", default=REDIRECTOR),
)
_ASKED = {
    "domain": "1. The facility's own DNS domain; users will open https://hub.DOMAIN",
    "public_address": "2. The address that users reach, which nothing has yet, with the hosts' network "
                      "(10.1.0.200/24)",
    "hosts": "3. The hosts, each NAME=ADDRESS, with blanks between; at least two. Their number decides what each "
             "does, or you write NAME=ADDRESS:GROUP+GROUP",
    "issuer": "4. Who may log in, and where: the issuer URL of the identity provider",
    "client_id": "   client id of the hub there, registered with the redirect address "
                 "https://hub.DOMAIN/hub/oauth_callback",
    "origin": "   host:port of the storage that the cache reads from",
    "users": "   accounts there that may log in, with blanks between; the first is admin, too",
}


def add_flags(command: argparse.ArgumentParser) -> None:
    """The flags by which the questions are answered without a terminal."""
    for each in QUESTIONS:
        command.add_argument(each.flag, dest=each.name, metavar=each.metavar,
                             action="append" if each.many else "store",
                             help=each.text + (f" ({each.default})" if each.default else ""))


def run(options: argparse.Namespace, console: Console, errors: Console) -> int:
    """Ask or read the flags, write ``--inventory`` and ``group_vars/all.yml`` beside it, say what to do next."""
    inventory = options.inventory.absolute()
    variables = inventory.parent / "group_vars" / "all.yml"
    for file in (inventory, variables):
        if file.exists():
            return _refuse(errors, f"{file} exists already; name another file, or move this one away")
    answers = {each.name: _words(each, options) for each in QUESTIONS if _words(each, options)}
    try:
        made = _asked(answers, console) if sys.stdin.isatty() else draft(answers)
    except (EOFError, KeyboardInterrupt):
        return _refuse(errors, "\nstopped")
    missing = [each for each in QUESTIONS if each.name not in answers]
    faults = [f"{each.flag}: {words}" for each in QUESTIONS for words in made.faults.get(each.name, ())]
    if missing:
        faults.append("without a terminal the flags say everything; missing: "
                      + " ".join(f"{each.flag} {each.metavar}" for each in missing))
    if faults:
        return _refuse(errors, *faults)
    try:
        variables.parent.mkdir(parents=True, exist_ok=True)
        for file, text in ((variables, made.variables), (inventory, made.inventory)):
            with file.open("x") as stream:
                stream.write(text)
    except OSError as error:
        return _refuse(errors, f"{error.filename} cannot be written ({error.strerror}); name another file")
    _say_next(inventory, variables, made, options.origin is None, console)
    return DONE


def _words(question: Question, options: argparse.Namespace) -> tuple[str, ...]:
    given = getattr(options, question.name) or question.default
    return (given,) if isinstance(given, str) else tuple(given or ())


def _refuse(errors: Console, *messages: str) -> int:
    for each in messages:
        errors.print(each, markup=False, soft_wrap=True)
    errors.print("Nothing was written.", markup=False)
    return REFUSED


def _asked(answers: dict[str, tuple[str, ...]], console: Console) -> Draft:
    """Ask until every answer is there and good; one that is refused is asked again."""
    while True:
        made = draft(answers)
        name = next((each.name for each in QUESTIONS if each.name in made.faults or each.name not in answers), None)
        if name is None:
            return made
        for words in made.faults.get(name, ()):
            console.print(f"   {words}", markup=False, soft_wrap=True)
        domain = answers.get("domain", ("DOMAIN",))[0]
        console.print(_ASKED[name].replace("DOMAIN", domain), markup=False, soft_wrap=True)
        answers[name] = tuple(Prompt.ask("  ", console=console).split())


def _say_next(inventory: Path, variables: Path, made: Draft, redirected: bool, console: Console) -> None:
    """The commands that are left, ready to be copied."""
    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    folder = "~/.config/casa-install"
    password = f"{folder}/{made.site_name}.vault-password"
    vault = Path(sys.executable).with_name("ansible-vault")
    say(f"{inventory} and {variables} are written.")
    if redirected:
        say(f"The cache reads from {REDIRECTOR}; casa_xcache_origin changes that. Storage knows the cache by its "
            "certificate: see casa_xcache_certificate there.")
    say("\nThe client's secret at the identity provider is kept encrypted under a password of yours:\n")
    say(f"    test -e {password} || (umask 077; mkdir -p {folder}; openssl rand -hex 32 > {password})")
    say(f"    export ANSIBLE_VAULT_PASSWORD_FILE={password}")
    # with --prompt the question itself would end up in the file
    say("    read -rsp 'client secret: ' secret")
    say(f"    printf %s \"$secret\" | {shlex.quote(str(vault))} encrypt_string --stdin-name casa_oidc_client_secret >> "
        f"{shlex.quote(str(variables))}")
    say("\nThen see what will be done, and where:\n")
    say(f"    ./casa-install plan --inventory {shlex.quote(str(inventory))}")
