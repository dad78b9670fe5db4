"""What is sent to and what is not: URLs, addresses, TLS, time limits."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moderation.guarded_http import AllowList, Answer, Target, TargetError, check_url, is_public, post, vetted

NOBODY = AllowList.parse([])
HERE = AllowList.parse(["127.0.0.0/8", "hooks.example.test"])
OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Conversation = Callable[[socket.socket], None]


@contextmanager
def server(talk: Conversation) -> Iterator[int]:
    """A listening socket on loopback; every connection is handed to `talk` in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    stream, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_talk, args=(talk, stream), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _talk(talk: Conversation, stream: socket.socket) -> None:
    try:
        with stream:
            talk(stream)
    except OSError:
        pass


def answer_with(data: bytes, heard: list[bytes] | None = None) -> Conversation:
    def talk(stream: socket.socket) -> None:
        said = stream.recv(65536)
        # Head and body may come apart, and closing with unread bytes would throw the answer away.
        while said and not said.endswith(b"{}"):
            more = stream.recv(65536)
            if not more:
                break
            said += more
        if heard is not None:
            heard.append(said)
        stream.sendall(data)

    return talk


def drip(data: bytes, pause: float) -> Conversation:
    """One byte at a time: each arrives well within a timeout that counts from byte to byte."""

    def talk(stream: socket.socket) -> None:
        for byte in data:
            stream.send(bytes([byte]))
            time.sleep(pause)

    return talk


def to(url: str, timeout: float = 5, resolver: Callable[[str, int], list[str]] | None = None) -> Answer:
    return post(url, b"{}", {}, HERE, timeout, resolver or (lambda host, port: ["127.0.0.1"]))


# --- URLs ---


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com/hook?a=1", Target("example.com", 443, "/hook?a=1", True)),
        ("https://example.com.:8443", Target("example.com", 8443, "/", True)),
        ("https://[2606:4700::1111]/", Target("2606:4700::1111", 443, "/", True)),
        ("http://hooks.example.test:81/x", Target("hooks.example.test", 81, "/x", False)),
        ("http://127.0.0.1:9/", Target("127.0.0.1", 9, "/", False)),
    ],
)
def test_a_sound_url_is_taken_apart(url: str, target: Target) -> None:
    assert check_url(url, HERE) == target


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/", "Only https"),
        ("http://10.0.0.1/", "Only https"),
        ("ftp://example.com/", "of the form"),
        ("file:///etc/passwd", "of the form"),
        ("gopher://example.com:443/_x", "of the form"),
        ("https:///path", "of the form"),
        ("https://[fe80::1%25eth0]/", "of the form"),
        ("https://user@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://user:secret@example.com/", "user name"),
        ("https://example.com:22/", "port"),
        ("https://example.com:0/", "port"),
        ("http://hooks.example.test:0/", "port"),
        ("https://example.com:99999/", "not a URL"),
        ("https://example.com:x/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://exa mple.com/", "ASCII"),
        ("https://example.com/\r\nX: y", "ASCII"),
        ("https://exämple.com/", "ASCII"),
        ("https://10.0.0.1/", "private"),
        ("https://169.254.169.254/latest/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://[::1]/", "private"),
        ("https://0.0.0.0/", "private"),
    ],
)
def test_an_unsound_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        check_url(url, HERE)


# --- addresses ---


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    target = check_url("https://example.com/", NOBODY)
    assert vetted(target, NOBODY, lambda host, port: ["1.1.1.1", "1.0.0.1"]) == ["1.1.1.1", "1.0.0.1"]
    with pytest.raises(TargetError, match="private"):
        vetted(target, NOBODY, lambda host, port: ["1.1.1.1", "10.0.0.1"])


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_for_loopback_is_refused_by_where_it_leads(name: str) -> None:
    with pytest.raises(TargetError):
        vetted(check_url(f"https://{name}/", NOBODY), NOBODY)


def test_an_allowed_network_lets_its_addresses_pass_and_no_others() -> None:
    allowed = AllowList.parse(["10.0.0.0/8"])
    target = check_url("https://example.com/", allowed)
    assert vetted(target, allowed, lambda host, port: ["10.9.9.9"]) == ["10.9.9.9"]
    with pytest.raises(TargetError):
        vetted(target, allowed, lambda host, port: ["192.168.0.1"])


# --- the exchange ---


def test_the_checked_address_is_connected_to_and_the_name_kept() -> None:
    heard: list[bytes] = []
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with server(answer_with(OK, heard)) as port:
        answer = to(f"http://hooks.example.test:{port}/in?x=1", resolver=rebinding)
    assert answer == Answer(204, "") and answer.is_success
    assert asked == ["hooks.example.test"]
    assert heard[0].startswith(b"POST /in?x=1 HTTP/1.1\r\n")
    assert f"Host: hooks.example.test:{port}\r\n".encode() in heard[0]


def test_a_private_address_is_never_connected_to() -> None:
    heard: list[bytes] = []
    with server(answer_with(OK, heard)) as port:
        answer = post(f"https://127.0.0.1:{port}/", b"", {}, NOBODY, 5)
        rebound = post("https://example.com/", b"", {}, NOBODY, 5, lambda host, _: ["127.0.0.1"])
    assert answer.status is rebound.status is None
    assert "port" in answer.error and "private" in rebound.error
    assert heard == []


def test_a_redirect_is_a_failure_and_not_followed() -> None:
    heard: list[bytes] = []
    with server(answer_with(OK, heard)) as second:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{second}/\r\nContent-Length: 0\r\n\r\n"
        with server(answer_with(moved.encode())) as first:
            answer = to(f"http://127.0.0.1:{first}/")
    assert answer == Answer(307, "HTTP 307: redirects are not followed.")
    assert not answer.is_success and heard == []


def test_little_of_an_error_is_kept_and_nothing_unprintable() -> None:
    page = b"HTTP/1.1 500 No\r\nContent-Length: 9000000\r\n\r\nbad\0\x1b[31m " + b"x" * 100_000
    with server(answer_with(page)) as port:
        answer = to(f"http://127.0.0.1:{port}/")
    assert answer.status == 500
    assert answer.error.startswith("HTTP 500 bad [31m xxx") and len(answer.error) <= 300


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(lambda stream: time.sleep(8), id="says nothing"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50, 0.05), id="drips the head"),
        pytest.param(drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0.02), id="continues for ever"),
    ],
)
def test_the_limit_holds_for_the_whole_exchange(talk: Conversation) -> None:
    with server(talk) as port:
        began = time.monotonic()
        answer = to(f"http://127.0.0.1:{port}/", timeout=0.5)
    assert answer == Answer(None, "No answer within 0.5 s.")
    assert time.monotonic() - began < 2


def test_a_dripping_body_does_not_hold_the_sender() -> None:
    def talk(stream: socket.socket) -> None:
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n")
        drip(b"x" * 200, 0.05)(stream)

    with server(talk) as port:
        began = time.monotonic()
        assert to(f"http://127.0.0.1:{port}/", timeout=0.5).status == 503
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("noise", [b"SSH-2.0-OpenSSH\r\n", b"", b"\0" * 1000, b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_not_http_is_a_failure(noise: bytes) -> None:
    with server(answer_with(noise)) as port:
        answer = to(f"http://127.0.0.1:{port}/")
    assert answer.status is None and answer.error and answer.error.isprintable()


def test_a_closed_port_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "ConnectionRefusedError" in to(f"http://127.0.0.1:{port}/").error


# --- TLS ---


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for hooks.example.test, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def tls(certificate: Path, asked_for: list[str | None]) -> Conversation:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda stream, name, ctx: asked_for.append(name)

    def talk(stream: socket.socket) -> None:
        with context.wrap_socket(stream, server_side=True) as secured:
            answer_with(OK)(secured)

    return talk


def test_tls_asks_for_the_name_and_checks_it(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked_for: list[str | None] = []
    with server(tls(certificate, asked_for)) as port:
        assert to(f"https://hooks.example.test:{port}/").is_success
        wrong_name = to(f"https://127.0.0.1:{port}/")
    assert asked_for[0] == "hooks.example.test"
    assert wrong_name.status is None and "CERTIFICATE_VERIFY_FAILED" in wrong_name.error


def test_an_unknown_issuer_is_refused(certificate: Path) -> None:
    with server(tls(certificate, [])) as port:
        answer = to(f"https://hooks.example.test:{port}/")
    assert answer.status is None and "CERTIFICATE_VERIFY_FAILED" in answer.error


def test_the_limit_holds_in_the_handshake() -> None:
    with server(lambda stream: time.sleep(8)) as port:
        began = time.monotonic()
        answer = to(f"https://hooks.example.test:{port}/", timeout=0.5)
    assert answer == Answer(None, "No answer within 0.5 s.")
    assert time.monotonic() - began < 2
