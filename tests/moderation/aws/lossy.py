"""A way to the server on which answers get lost: the request arrives, is answered, and the connection breaks."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Line:
    """What went over it."""

    url: str = ""
    lose: int = 1
    meanwhile: Callable[[], object] = lambda: None
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def said(self, header: str) -> list[str]:
        """What the requests said in that header."""
        return [request[header] for request in self.requests]


@contextmanager
def lossy(to: str, lose: int = 1, meanwhile: Callable[[], object] = lambda: None) -> Iterator[Line]:
    """A line to that address that loses the first answers; `meanwhile` happens after each that is lost."""
    line = Line(lose=lose, meanwhile=meanwhile)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=_serve, args=(listener, line, urlsplit(to).netloc), daemon=True).start()
        yield line


def _serve(listener: socket.socket, line: Line, to: str) -> None:
    host, _, port = to.partition(":")
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, socket.create_connection((host, int(port))) as server:
            while request := _message(client):
                head, body = request
                line.requests.append(_headers(head))
                server.sendall(head + body)
                answer = _message(server)
                if answer is None:
                    break
                line.answers.append(answer[1])
                if line.lose > 0:
                    line.lose -= 1
                    line.meanwhile()
                    break
                client.sendall(b"".join(answer))


def _message(stream: socket.socket) -> tuple[bytes, bytes] | None:
    """Head and body of one request or answer with a Content-Length; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = stream.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(_headers(head).get("content-length", "0"))
    while len(body) < length:
        body += stream.recv(65536)
    return head + b"\r\n\r\n", body


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.lower(): value.strip() for name, _, value in pairs}
