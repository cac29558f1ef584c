"""The mailbox of the stack: a real SMTP server that keeps every message as a file of a Maildir.

`python -m deploy.local.mailbox PORT FOLDER`. A message is acknowledged once its file is synced to the disk.
"""

import asyncio
import mailbox
import os
import signal
import sys
from email.header import Header
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.layout import REPOSITORY, Layout
from deploy.local.part import Part

LARGEST_MESSAGE = 32 * 1024 * 1024


class Keeper:
    """aiosmtpd's handler: any sender, any recipient, everything is kept and nothing is passed on."""

    def __init__(self, folder: Path) -> None:
        self._maildir = mailbox.Maildir(folder, create=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        """Keep one message, with the envelope it came in."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        # Before the message as it came, which nobody takes apart; in a Maildir lines end as files' lines do here.
        said = {"X-Envelope-From": envelope.mail_from or "<>", "X-Envelope-To": ", ".join(envelope.rcpt_tos)}
        head = "".join(f"{name}: {Header(value).encode(maxlinelen=0)}\n" for name, value in said.items())
        self._maildir.add(head.encode() + content.replace(b"\r\n", b"\n"))
        self._maildir.flush()
        return "250 OK"


def part(layout: Layout) -> Part:
    """The supervised mailbox."""
    return Part(
        name="mailbox",
        command=[sys.executable, "-m", "deploy.local.mailbox", str(layout.ports["smtp"]), str(layout.mail)],
        directory=REPOSITORY,
        environment={"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
    )


def messages(folder: Path) -> list[mailbox.MaildirMessage]:
    """Every message kept so far, the oldest first."""
    files = sorted((folder / "new").glob("*"), key=lambda file: file.stat().st_mtime_ns)
    return [mailbox.MaildirMessage(file.read_bytes()) for file in files]


async def _serve(port: int, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keeper = Keeper(folder)
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="localhost", data_size_limit=LARGEST_MESSAGE, enable_SMTPUTF8=True),
        host="127.0.0.1",
        port=port,
    )
    await stop.wait()
    server.close()


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
