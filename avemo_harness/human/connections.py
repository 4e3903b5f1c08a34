"""Connections of strangers within bounds: their number, and how long each may keep the server waiting."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
"""Below the usual limit of 1024 open files, since each may have a recording open too; browsers open up to six."""
HEADERS_S, BODY_S = 10.0, 10.0
"""Seconds from a connection, or the first byte of a further request, to the end of its headers; then to its body's."""
REFUSED_S = 2.0
"""Seconds to read a refusal that was sent before the request's body was whole; what still comes is thrown away."""
STALLED_S = 120.0
"""Seconds in which a client that reads slowly takes in what waits for it. Players of paused recordings ask anew."""

_NO_LINGER = struct.pack("ii", 1, 0)

Waiting = Literal["headers", "body", "refused"]
_LIMITS: dict[Waiting, float] = {"headers": HEADERS_S, "body": BODY_S, "refused": REFUSED_S}


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with limits that it lacks: on slow requests, on slow readers and on the connections' number.

    The time between requests is limited by uvicorn (`timeout_keep_alive`).

    Attributes:
        since: when the server began to wait for what it waits for now, in the loop's seconds.
    """

    _waiting: Waiting | None = None
    since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # (as uvicorn narrows it)
        """Take a connection; of too many, the one goes that has let the server wait for longest."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._wait_for("headers")
        if len(self.connections) > MOST_CONNECTIONS:
            idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and not one.answering]
            min(idle, key=lambda one: one.since).drop()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of one that is answered already."""
        self.since = self.loop.time()
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALLED_S, self.drop)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection's limits with it."""
        self._wait_for(None)
        super().connection_lost(exc)
        self.resume_writing()

    def drop(self) -> None:
        """End the connection at once, whatever still waits to be sent."""
        self.connections.discard(self)
        # Else the system goes on holding what a client does not read.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    @property
    def answering(self) -> bool:
        """True while a whole request is being answered, so that the client waits for the server."""
        return self._waiting is None and self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Set the limit on what the client is sending now."""
        if self.transport.is_closing():
            self._wait_for(None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for("refused" if self.cycle.response_complete else "body")
        else:
            unfinished = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
            self._wait_for("headers" if unfinished else None)

    def _wait_for(self, what: Waiting | None) -> None:
        if what == self._waiting:
            return
        if self._deadline:
            self._deadline.cancel()
        self._waiting, self.since = what, self.loop.time()
        self._deadline = self.loop.call_later(_LIMITS[what], self.drop) if what else None
