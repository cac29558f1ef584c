"""Requests to addresses that strangers named: webhooks of foreign systems, push services of people's browsers.

Whoever names an address could make this process speak to its own neighbours. So the name is resolved here, an address
that is not of the public internet is refused (the setting `outward_allowed` names exceptions), and the connection goes
to the very address that was checked, with TLS for the name. No redirect is followed; five seconds and 64 KiB in all.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from services.settings import Settings

SECONDS = 5.0
BYTES = 64 * 1024
LONGEST_URL = 2000

_URL = re.compile(r"https://[!-~]+\Z")  # what can be written into a request's first line: no space, nothing unseen
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_NETWORK = ipaddress.IPv4Network | ipaddress.IPv6Network
# Not hosts of the internet, though Python calls them global: those of protocols, and those that carry an IPv4 address
# within, which would be reached (NAT64, Teredo, 6to4 and its relays).
_NO_HOSTS = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16")
)


class OutwardRefused(Exception):
    """This address will never be spoken to; `code` says why: `url`, `address`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class OutwardAnswer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outward:
    """Speaks to foreign https addresses."""

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError for an `outward_allowed` that is no list of networks."""
        names = [name.strip() for name in settings.outward_allowed.split(",")]
        self._allowed = tuple(ipaddress.ip_network(name) for name in names if name)
        self._ca_file = settings.outward_ca_file

    def check(self, url: str) -> None:
        """Looks at an address without speaking to it, as far as its text and its name's addresses go.

        Raises OutwardRefused; OSError where the name cannot be resolved now.
        """
        self._address(_parts(url))

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST", seconds: float | None = None
    ) -> OutwardAnswer:
        """Sends one request and hands back its answer, whatever its status.

        seconds: how long at most, where somebody waits for it; five at most in any case.

        Raises OutwardRefused for an address that is not spoken to, OSError for all that may be otherwise another time:
        no such name, no connection, a certificate that does not fit, silence, an answer without end or sense.
        """
        parts = _parts(url)
        deadline = time.monotonic() + min(seconds or SECONDS, SECONDS)
        address = self._address(parts)
        try:
            with self._connect(address, parts, deadline) as wire:
                wire.settimeout(_left(deadline))
                wire.sendall(_request(method, parts, headers, body))
                answer = http.client.HTTPResponse(_Bounded(wire, deadline), method=method)  # type: ignore[arg-type]
                answer.begin()
                told = answer.read()
                kept = {name.lower(): value for name, value in answer.getheaders()}
                return OutwardAnswer(answer.status, kept, told)
        except OSError:  # a certificate that does not fit is also a ValueError
            raise
        except (http.client.HTTPException, ValueError) as senseless:
            raise OSError(f"an answer without sense: {type(senseless).__name__}") from senseless

    def _address(self, parts: SplitResult) -> tuple[Any, ...]:
        """The address to connect to: what the name resolves to, all of it public."""
        host = parts.hostname
        assert host is not None
        try:
            found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label that is empty, or longer than any name's
            raise OutwardRefused("url") from None
        for entry in found:
            if not self._may_reach(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])):
                raise OutwardRefused("address")  # one is enough: a name that leads both ways means no good
        return found[0][4]

    def _may_reach(self, address: _IP) -> bool:
        if any(address.version == net.version and address in net for net in self._allowed):
            return True
        within = getattr(address, "ipv4_mapped", None)
        return is_public(within if within is not None else address)

    def _connect(self, address: tuple[Any, ...], parts: SplitResult, deadline: float) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca_file:
            context.load_verify_locations(cafile=self._ca_file)
        wire = socket.create_connection(address[:2], timeout=_left(deadline))
        try:
            wire.settimeout(_left(deadline))
            return context.wrap_socket(wire, server_hostname=parts.hostname)
        except BaseException:
            wire.close()
            raise


def is_public(address: _IP) -> bool:
    """Whether an address is one of the public internet's hosts, and carries no other address within."""
    if address.is_multicast or address.is_reserved or address.is_unspecified or not address.is_global:
        return False
    return not any(address.version == net.version and address in net for net in _NO_HOSTS)


def _parts(url: str) -> SplitResult:
    if not isinstance(url, str) or len(url) > LONGEST_URL or _URL.match(url) is None:
        raise OutwardRefused("url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutwardRefused("url") from None
    if not parts.hostname or parts.username is not None or parts.fragment or port == 0:
        raise OutwardRefused("url")
    return parts


def _request(method: str, parts: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}",
             "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
    if any("\r" in line or "\n" in line for line in lines):
        raise OutwardRefused("url")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


class _Bounded(io.RawIOBase):
    """A socket's bytes, for so long and so many at most: a trickle ends as a silence does."""

    def __init__(self, wire: ssl.SSLSocket, deadline: float) -> None:
        self._wire, self._deadline, self._more = wire, deadline, BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wire.settimeout(_left(self._deadline))
        try:
            count = self._wire.recv_into(buffer)
        except ssl.SSLEOFError:
            return 0  # closed without a farewell, as many servers do
        self._more -= count
        if self._more < 0:
            raise OSError("an answer without end")
        return count
