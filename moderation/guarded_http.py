"""One POST to an address that somebody typed in, without becoming their way into the local network.

The host is resolved once, every address must be public (or allowed by name or network), and one of those very addresses
is connected to: a name that changes its answer meanwhile (DNS rebinding) gains nothing.  Redirects are not followed,
proxies are not used, TLS is verified, the whole exchange ends within one limit and hardly any of the answer is read.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

CONNECT_SECONDS: Final = 5.0
MAX_ADDRESSES: Final = 4
MAX_BODY_READ: Final = 300
MAX_ERROR: Final = 300
# Elsewhere on the internet only what serves HTTPS: the product must not serve to knock at strangers' other ports.
PUBLIC_PORTS: Final = (443, 8443)


class TargetError(ValueError):
    """An address that nothing is sent to; the message says why."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts and networks that may be private."""

    names: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, words: Iterable[str]) -> "AllowList":
        """From host names, addresses and networks in CIDR form."""
        names, networks = set(), []
        for word in words:
            try:
                networks.append(ipaddress.ip_network(word.strip("[]"), strict=False))
            except ValueError:
                names.add(word.lower().rstrip("."))
        return cls(frozenset(names), tuple(networks))

    def names_host(self, host: str) -> bool:
        """Whether the host stands in the list, by name or as a literal address."""
        literal = _literal(host)
        return host in self.names if literal is None else self.holds(literal)

    def holds(self, address: Address) -> bool:
        """Whether the address lies in an allowed network."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, in the parts that a connection needs."""

    host: str
    port: int
    path: str
    is_tls: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, or none and the reason.  `error` is empty when the status is 2xx."""

    status: int | None
    error: str

    @property
    def is_success(self) -> bool:
        """2xx, and nothing else."""
        return self.status is not None and 200 <= self.status < 300


def check_url(url: str, allowed: AllowList) -> Target:
    """Take a URL apart; TargetError where it is not one to send to, as far as that shows without resolving the host."""
    if any(ord(char) <= 32 or ord(char) > 126 for char in url):
        raise TargetError("The URL may hold printable ASCII characters only (write other host names in punycode).")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetError("This is not a URL.") from None
    host = (parts.hostname or "").rstrip(".")
    listed = allowed.names_host(host)
    if parts.scheme not in ("https", "http") or not host or "%" in host:
        raise TargetError("The URL must be of the form https://host/path.")
    if "@" in parts.netloc:
        raise TargetError("The URL must not carry a user name or password.")
    if parts.scheme == "http" and not listed:
        raise TargetError("Only https is accepted; http is for hosts named in WEBHOOK_PRIVATE_HOSTS.")
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    if port == 0 or (port not in PUBLIC_PORTS and not listed):
        raise TargetError(f"The port must be {' or '.join(map(str, PUBLIC_PORTS))}, not {port}.")
    literal = _literal(host)
    if literal is not None and not listed and not is_public(literal):
        raise TargetError("The address is private; WEBHOOK_PRIVATE_HOSTS can allow it.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, path, parts.scheme == "https")


def is_public(address: Address) -> bool:
    """Whether the address is of the public internet, with any IPv4 address inside it (mapped, NAT64, 6to4, Teredo)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address.is_site_local or any(each is not None and not is_public(each) for each in inner):
            return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in network for network in _SPECIAL)


def resolve(host: str, port: int) -> list[str]:
    """The host's addresses in the system's order; OSError when there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def vetted(target: Target, allowed: AllowList, resolver: Resolver = resolve) -> list[str]:
    """The addresses to connect to; TargetError unless every one of them is public or allowed."""
    try:
        found = resolver(target.host, target.port)
    except (OSError, UnicodeError):
        raise TargetError("The host name could not be resolved.") from None
    for text in found:
        address = _literal(text.partition("%")[0])
        if address is None:
            raise TargetError("The host name could not be resolved.")
        if not (target.host in allowed.names or allowed.holds(address) or is_public(address)):
            raise TargetError("The host resolves to a private address; WEBHOOK_PRIVATE_HOSTS can allow it.")
    return found[:MAX_ADDRESSES]


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    allowed: AllowList,
    timeout: float,
    resolver: Resolver = resolve,
) -> Answer:
    """POST `body`; never raises.  `timeout` is in seconds, for all of it after the name is resolved."""
    try:
        target = check_url(url, allowed)
        connection = _Connection(target, vetted(target, allowed, resolver), timeout)
    except TargetError as error:
        return Answer(None, str(error))
    watchdog = threading.Timer(timeout, connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", target.path, body, dict(headers))
        return _answer(connection.getresponse())
    except (OSError, HTTPException, ValueError) as error:
        late = connection.is_aborted or isinstance(error, TimeoutError)
        return Answer(
            None, f"No answer within {timeout:g} s." if late else _printable(f"{type(error).__name__}: {error}")
        )
    finally:
        watchdog.cancel()
        connection.close()


class _Connection(HTTPConnection):
    """Connects to addresses already vetted, while Host, SNI and the certificate check keep to the name."""

    def __init__(self, target: Target, addresses: list[str], timeout: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self.default_port = 443 if target.is_tls else 80
        self.is_aborted = False
        self._addresses = addresses
        self._is_tls = target.is_tls
        # Kept beside `sock`, which http.client lets go of before the body is read.
        self._stream: socket.socket | None = None

    def connect(self) -> None:
        """Take the first address that accepts."""
        self._use(self._first_open())
        if self._is_tls:
            context = ssl.create_default_context()
            # The handshake comes second, so that `abort` can reach the socket meanwhile.
            stream = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self._use(stream)
            stream.do_handshake()

    def abort(self) -> None:
        """End the exchange from another thread: whoever waits for a byte gets the end of the stream instead."""
        self.is_aborted = True
        if self._stream is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which takes the TLS state away under the reader.
                socket.socket.shutdown(self._stream, socket.SHUT_RDWR)

    def _use(self, stream: socket.socket) -> None:
        self.sock = self._stream = stream
        stream.settimeout(self.timeout)
        if self.is_aborted:  # before there was a socket to end
            raise TimeoutError

    def _first_open(self) -> socket.socket:
        refused: OSError = ConnectionError("the host has no address")
        for address in self._addresses:
            if self.is_aborted:
                break
            try:
                return socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError as error:
                refused = error
        raise refused


def _answer(response: HTTPResponse) -> Answer:
    if 200 <= response.status < 300:
        return Answer(response.status, "")
    if 300 <= response.status < 400:
        return Answer(response.status, f"HTTP {response.status}: redirects are not followed.")
    try:
        said = response.read(MAX_BODY_READ)
    except (OSError, HTTPException, ValueError):
        said = b""
    return Answer(response.status, _printable(f"HTTP {response.status} {said.decode(errors='replace')}"))


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_ERROR]


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Protocol assignments and 6to4 relays, which older Pythons take for global.
_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
