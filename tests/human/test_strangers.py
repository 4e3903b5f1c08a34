"""The rating server among strangers: slow clients, many of them, those that leave, and those that never stop."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from human.servers import Server, httpx, serving
from human.studies import write_small_study
from support.waiting import PATIENCE_S, wait_until

from avemo_harness.cli import main

SHORT = "connections._LIMITS.update(headers=0.5, body=0.5, refused=0.5)\nconnections.STALLED_S = 0.5"
POST = b"POST /api/begin HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with limits of half a second, where each recording is larger than what sockets hold back."""
    folder = tmp_path_factory.mktemp("strangers") / "study"
    write_small_study(folder, dialogues=3, seconds=0.0, clip=bytes(16 * 2**20))
    with serving(folder, SHORT) as running:
        yield running


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def post(server: Server, *headers: bytes) -> bytes:
    host = server.url.removeprefix("http://").encode()
    return POST % (host, host) + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def is_ended(client: socket.socket) -> bool:
    """Read until the server ends the connection."""
    with suppress(ConnectionError):
        while client.recv(2**16):
            pass
    return True


def answers(server: Server) -> bool:
    return bool(httpx.get(f"{server.url}/", timeout=PATIENCE_S).status_code == 200)


BEGINNINGS = {
    "says nothing": b"",
    "stops in its first line": b"GET / HT",
    "stops in its headers": b"GET / HTTP/1.1\r\nHost: ",
    "stops before its body": None,
    "begins a second request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_client_that_stops_in_a_request_is_let_go(server: Server, beginning: bytes | None) -> None:
    with connect(server) as client:
        client.sendall(post(server, b"Content-Length: 100") if beginning is None else beginning)
        assert is_ended(client)
    assert answers(server)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_client_that_sends_a_byte_now_and_then_is_let_go_too(server: Server, part: str) -> None:
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " if part == "headers" else post(server, b"Content-Length: 9999"))
        over = threading.Event()

        def trickle() -> None:
            with suppress(OSError):
                while not over.wait(0.02):
                    client.send(b"x")

        sending = threading.Thread(target=trickle)
        sending.start()
        try:
            assert is_ended(client)
        finally:
            over.set()
            sending.join()
    assert answers(server)


def test_a_client_that_never_ends_a_refused_body_is_let_go(server: Server) -> None:
    with connect(server) as client:
        client.sendall(post(server, b"Transfer-Encoding: chunked"))
        with suppress(ConnectionError):  # the only way out
            while True:
                client.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    assert answers(server)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="connections are looked up in Linux's /proc")
def test_a_client_that_does_not_read_a_recording_is_let_go(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Origin": server.url}) as rater:
        rater.get("/join/token1")
        screen = rater.post("/api/consent", json={"agree": True}).json()
        cookie = rater.cookies["rater"]
    media = screen["media"]
    with connect(server) as client:
        client.sendall(
            f"GET /media/{media} HTTP/1.1\r\nHost: {server.url[7:]}\r\nCookie: rater={cookie}\r\n\r\n".encode()
        )
        assert client.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: not is_open(server, client), "the server lets the client go")
    assert answers(server)


def is_open(server: Server, client: socket.socket) -> bool:
    """True while the server's process holds the other end of a connection."""
    port = client.getsockname()[1]
    lines = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()[1:]
    own = f"0100007F:{server.port:04X}"
    return any(line.split()[1] == own and line.split()[2].endswith(f":{port:04X}") for line in lines)


def test_clients_that_leave_in_the_middle_put_no_traceback_into_the_log(server: Server) -> None:
    beginnings = [b"GET / HT", post(server, b"Content-Length: 100") + b"{", post(server, b"Content-Length: 2") + b"{}"]
    for beginning in beginnings:
        for reset in (False, True):
            with connect(server) as client:
                client.sendall(beginning)
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert answers(server)
    assert "Traceback" not in server.log.read_text()


def test_a_recording_that_is_gone_is_an_answer_and_a_line_in_the_log(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Origin": server.url}) as rater:
        rater.get("/join/token2")
        media = rater.post("/api/consent", json={"agree": True}).json()["media"]
        path = server.folder / "media" / f"{media}.mp4"
        hidden = path.rename(path.with_suffix(".away"))
        try:
            assert rater.get(f"/media/{media}").status_code == 503
        finally:
            hidden.rename(path)
    log = server.log.read_text()
    assert f"{path}: is missing; restore the study's folder" in log
    assert "Traceback" not in log


def test_a_crowd_of_idle_clients_keeps_no_rater_out(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_small_study(folder)
    with serving(folder, "connections.MOST_CONNECTIONS = 3") as server, ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(6)]
        assert all(is_ended(client) for client in idle[:3])
        assert answers(server)


def test_requests_to_speak_another_protocol_are_answered_as_any_other(server: Server) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x" * 24}
    assert httpx.get(f"{server.url}/", headers=upgrade).status_code == 200


def test_an_address_in_the_clear_is_warned_of_before_anything_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_small_study(tmp_path / "study")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        serve = ["human", "serve", str(tmp_path / "study"), "--port", port]
        for url, warned in (("http://ratings.example.org", True), ("https://ratings.example.org", False)):
            assert main([*serve, "--url", url]) == 2
            assert ("is not encrypted" in capsys.readouterr().err) is warned
