"""`python -m deploy.local COMMAND`: the commands behind the Makefile."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local import auditor, processes
from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY, SERVICES
from deploy.local.loading import KINDS, SIZES, load, populate, to_try
from deploy.local.operator import parked, replay
from deploy.local.reconcile import reconcile
from deploy.local.stack import Stack

STATE = REPOSITORY / ".run"
RECONCILE_PATIENCE = 30.0  # seconds for a trace to arrive
out = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; 0 when done, 1 with an explanation on stderr when not."""
    asked = _parser().parse_args(arguments)
    try:
        COMMANDS[asked.command](Stack(asked.state, _tell), asked)
    except StackFailure as failure:
        errors.print("\n[bold red]failed:[/] ", end="")
        errors.print(str(failure), markup=False)
        return 1
    except OSError as error:
        errors.print("\n[bold red]failed:[/] ", end="")
        advice = f"see that the disk is not full and who owns {asked.state}: what root started is root's to run"
        errors.print(str(StackFailure(str(error), advice=advice)), markup=False)
        return 1
    except KeyboardInterrupt:
        errors.print("\nInterrupted. What already runs stays up; `make down` ends it.")
        return 130
    return 0


def _up(stack: Stack, _asked: argparse.Namespace) -> None:
    stack.up()
    out.print(f"\nThe gateway answers at [bold]{stack.url}[/]", soft_wrap=True)
    _print_people(stack.people())
    shown = _near(stack)
    out.print(
        f"Mail arrives in {shown / 'mail' / 'new'}, SMS in {shown / 'sms'}, letters in {shown / 'letters'}, "
        f"logs are in {shown / 'logs'}."
    )
    out.print(f"What waits in its services and queues: {stack.monitor_url}", soft_wrap=True)


def _infra(stack: Stack, _asked: argparse.Namespace) -> None:
    stack.infra()


def _down(stack: Stack, _asked: argparse.Namespace) -> None:
    stack.down()


def _url(stack: Stack, _asked: argparse.Namespace) -> None:
    if not stack.layout.has_ports():
        raise StackFailure("there is no stack here yet", advice="`make up` starts one")
    sys.stdout.write(stack.url + "\n")


def _status(stack: Stack, _asked: argparse.Namespace) -> None:
    if not stack.supervisor.is_up():
        out.print("The stack is down. `make up` starts it.")
        return
    table = Table("part", "state", "pid", "since", "log", box=None)
    for name, facts in stack.supervisor.states().items():
        since = facts["description"].partition("uptime ")[2]
        table.add_row(name, facts["statename"].lower(), str(facts["pid"] or ""), since, stack.layout.log(name).name)
    out.print(table)
    out.print(f"\nThe gateway: {stack.url}\nThe logs lie in {_near(stack) / 'logs'}")


def _scale(stack: Stack, asked: argparse.Namespace) -> None:
    stack.scale(asked.service, asked.count)


def _parked(stack: Stack, _asked: argparse.Namespace) -> None:
    found = parked(stack.layout)
    if not found:
        out.print("Nothing is parked.")
        return
    table = Table("service", "what", "id", "from", "type", "tries", "since", "cause", box=None)
    for one in found:
        columns = ("service", "what", "id", "source", "type", "attempts", "at", "cause")
        table.add_row(*(str(one.get(column) or "") for column in columns))
    out.print(table)
    out.print("\n`make replay` gives them their tries again, `make replay SERVICE=dossier` those of one service.")


def _replay(stack: Stack, asked: argparse.Namespace) -> None:
    replayed = {service: count for service, count in replay(stack.layout, asked.service).items() if count}
    if not replayed:
        out.print("Nothing was parked.")
    for service, count in replayed.items():
        out.print(f"{service}: {count} given {'its tries' if count == 1 else 'their tries'} again")


def _reconcile(stack: Stack, _asked: argparse.Namespace) -> None:
    _require_up(stack)
    lines = reconcile(stack.layout, stack.log_lines(processes.GATEWAY), patience=RECONCILE_PATIENCE)
    for line in lines:
        out.print(line, markup=False)
    if len(lines) > 1:
        raise StackFailure("not every reading has exactly its one trace", advice="look for the requests in the logs")


def _log(stack: Stack, asked: argparse.Namespace) -> None:
    _require_up(stack)
    folder = auditor.export_log(stack.layout, asked.first)
    code, said = auditor.verify(folder)
    out.print(said, markup=False, end="")
    out.print(f"The log, the heads the witness has, and the verifier lie in {folder}")
    if code:
        raise StackFailure("the log is not what was signed", advice="keep that folder; find out who can write there")


def _archive(stack: Stack, asked: argparse.Namespace) -> None:
    _require_up(stack)
    out.print(auditor.archive(stack.layout, asked.year), markup=False)


def _load(stack: Stack, asked: argparse.Namespace) -> None:
    _require_up(stack)
    load(stack.layout, asked.kind, asked.file, asked.options)


def _population(stack: Stack, asked: argparse.Namespace) -> None:
    _require_up(stack)
    folder = populate(stack.layout, asked.size)
    out.print(
        "\nThe invented country is in the directory. Log in as the agent or a physician (`make up` tells how), and"
    )
    out.print("look for them with POST /patients/searches and GET /professionals (their form: /api/v1/docs):")
    for each in to_try(folder):
        out.print(f"  {each}")
    files = _near(stack) / folder.relative_to(stack.layout.state)
    out.print(f"Everybody, and who stands there twice (truth.csv), is in {files}.")


def _require_up(stack: Stack) -> None:
    if not stack.supervisor.is_up():
        raise StackFailure("the platform is down", advice="`make up` starts it")


COMMANDS = {
    "up": _up,
    "infra": _infra,
    "down": _down,
    "url": _url,
    "status": _status,
    "scale": _scale,
    "parked": _parked,
    "replay": _replay,
    "reconcile": _reconcile,
    "archive": _archive,
    "log": _log,
    "load": _load,
    "population": _population,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        command.add_argument("--state", type=Path, default=STATE, help="the folder that holds the stack (.run)")
        if name == "scale":
            command.add_argument("service", choices=processes.SCALED)
            command.add_argument("count", type=int, choices=range(1, 9), metavar="1..8")
        if name == "replay":
            command.add_argument("service", nargs="?", choices=SERVICES)
        if name == "archive":
            command.add_argument("year", type=int)
        if name == "log":
            command.add_argument("first", nargs="?", type=int, default=0, help="the position it begins at")
        if name == "load":
            command.add_argument("kind", choices=KINDS)
            command.add_argument("file", type=Path)
            command.add_argument("options", nargs=argparse.REMAINDER, help="of the loader: --open-records, --roles …")
        if name == "population":
            command.add_argument("size", nargs="?", choices=tuple(SIZES), default="small")
    return parser


def _tell(part: str, message: str, seconds: float) -> None:
    out.print(f"[green]✓[/] {part:<14} {message:<44} {seconds:6.1f} s")


def _near(stack: Stack) -> Path:
    # `.run` may be a link to where PostgreSQL's account can go: both paths are right, the short one is shown.
    return STATE if STATE.exists() and STATE.resolve() == stack.layout.state.resolve() else stack.layout.state


def _print_people(people: dict[str, dict[str, str]]) -> None:
    if not people:
        return
    out.print("Demo people (on this machine only; each log-in asks for a code that comes by mail):")
    for role, person in people.items():
        code = f"  presence code {person['presence_code']}" if "presence_code" in person else ""
        log_in = f"{person['matricule']}  password [bold]{person['password']}[/]"
        out.print(f"  {role:<11} {log_in}  {person['email']}{code}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
