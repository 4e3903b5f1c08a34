"""The web application of a study: its page, its JSON API, its media, and running it with uvicorn."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from avemo_harness.errors import StoreError, UsageError
from avemo_harness.human.connections import BoundedProtocol
from avemo_harness.human.guards import MAX_BODY, Guard, PublicAddress
from avemo_harness.human.screens import Feedback, Screen, message
from avemo_harness.human.service import Rating, RefusedError, StudyService
from avemo_harness.human.study import MEDIA, SCALE_NAMES, DeviceCheck, Study
from avemo_harness.metrics.raters import HIGHEST, LOWEST

COOKIE = "rater"
PAGES = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/player.js": ("player.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    # Asked for by browsers on pages that name no icon, such as the one that an invitation leads to.
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
_ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>Rating study</title><p><a href="/">Go on to the study</a></p></html>"""
"""A page that leads on: after a redirect from another site browsers would hold the cookie back."""
_COOKIE_DAYS = 30
_LOG = logging.getLogger("uvicorn.error")  # the one that the server shows
_MAX_PROBLEM = 500


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Body of `/api/consent`."""

    agree: Literal[True]


@dataclass(frozen=True, slots=True)
class BeginRequest:
    """Body of `/api/begin`."""

    showing: str


Body = TypeVar("Body", ConsentRequest, DeviceCheck, BeginRequest, Rating)


def make_app(
    study: Study, folder: Path, address: PublicAddress, service: StudyService, clock: Callable[[], float]
) -> ASGIApp:
    """The application that serves a study.

    Args:
        folder: the study's, for its media.
        address: where raters find it; requests from elsewhere are refused.
        clock: seconds, for the limit on how many requests are answered.

    Raises:
        StoreError: a recording is missing.
    """
    site = _Site(study, folder, address, service)
    routes = [
        *(Route(path, site.page) for path in PAGES),
        Route("/join/{token}", site.join),
        Route("/media/{name}", site.media),
        Route("/api/screen", site.screen),
        Route("/api/consent", site.consent, methods=["POST"]),
        Route("/api/device", site.device, methods=["POST"]),
        Route("/api/ready", site.ready, methods=["POST"]),
        Route("/api/begin", site.begin, methods=["POST"]),
        Route("/api/rate", site.rate, methods=["POST"]),
    ]
    handlers = {RefusedError: _refused, StoreError: _not_saved, ClientDisconnect: _left}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, address, clock, COOKIE)


class _Site:
    """HTTP handlers of the study's service."""

    def __init__(self, study: Study, folder: Path, address: PublicAddress, service: StudyService) -> None:
        self._service = service
        self._secure = address.encrypted
        segments = (segment.media for item in study.items for segment in item.segments)
        names = {*segments, *(check.media for check in study.device_checks)}
        self._media = {name: folder / MEDIA / f"{name}.mp4" for name in names}
        for path in self._media.values():
            if not path.is_file():
                raise StoreError(f"{path}: is missing; restore the study's folder, or plan the study anew")
        pages = files("avemo_harness.human") / "pages"
        self._pages = {path: ((pages / name).read_bytes(), kind) for path, (name, kind) in PAGES.items()}

    def page(self, request: Request) -> Response:
        content, kind = self._pages[request.url.path]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    def join(self, request: Request) -> Response:
        cookie = self._service.join(request.path_params["token"])
        response = HTMLResponse(_ENTER, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE, cookie, max_age=_COOKIE_DAYS * 86_400, httponly=True, samesite="strict", secure=self._secure
        )
        return response

    def media(self, request: Request) -> Response:
        """A file of the step that the rater is at, in parts where the browser asks for parts."""
        rater = self._rater(request)
        name = request.path_params["name"]
        path = self._media.get(name)
        if path is None or not self._service.may_play(rater, name):
            raise RefusedError(404, "There is no such recording here.")
        if not path.is_file():
            raise StoreError(f"{path}: is missing; restore the study's folder")
        return FileResponse(path, media_type="video/mp4", headers={"Cache-Control": "private, max-age=3600"})

    def screen(self, request: Request) -> Response:
        return _answer(self._service.screen(self._rater(request)))

    async def consent(self, request: Request) -> Response:
        await _body(request, ConsentRequest)
        return await self._step(lambda: self._service.consent(self._rater(request)))

    async def device(self, request: Request) -> Response:
        named = await _body(request, DeviceCheck)
        return await self._step(lambda: self._service.check_device(self._rater(request), named))

    async def ready(self, request: Request) -> Response:
        return await self._step(lambda: self._service.ready(self._rater(request)))

    async def begin(self, request: Request) -> Response:
        begun = await _body(request, BeginRequest)
        return await self._step(lambda: self._service.begin(self._rater(request), begun.showing))

    async def rate(self, request: Request) -> Response:
        rating = _checked(await _body(request, Rating))
        screen, feedback = await run_in_threadpool(lambda: self._service.rate(self._rater(request), rating))
        return _answer(screen, feedback)

    async def _step(self, take: Callable[[], Screen]) -> Response:
        return _answer(await run_in_threadpool(take))

    def _rater(self, request: Request) -> int:
        return self._service.rater_of(request.cookies.get(COOKIE))


async def _body(request: Request, kind: type[Body]) -> Body:
    """A request's JSON as a record; refuses what is too large or not of that form."""
    from pydantic import TypeAdapter, ValidationError

    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise RefusedError(413, f"More than {MAX_BODY} bytes were sent.")
    try:
        return TypeAdapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        raise RefusedError(400, "What was sent is not complete; reload the page.") from error


def _checked(rating: Rating) -> Rating:
    given = rating.ratings
    if given is not None and (
        set(given) != set(SCALE_NAMES) or not all(LOWEST <= value <= HIGHEST for value in given.values())
    ):
        raise RefusedError(400, f"Every scale takes a rating from {LOWEST} to {HIGHEST}.")
    if len(rating.problem or "") > _MAX_PROBLEM:
        raise RefusedError(400, f"Say what does not work in at most {_MAX_PROBLEM} characters.")
    if not 0 <= rating.plays < 1000:
        raise RefusedError(400, "What was sent is not complete; reload the page.")
    return rating


def _answer(screen: Screen, feedback: Sequence[Feedback] = ()) -> Response:
    return _json(200, message(screen, feedback))


def _json(status: int, content: Any) -> Response:
    text = json.dumps(content, ensure_ascii=False)
    return Response(text, status, {"Cache-Control": "no-store"}, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # registered for it
    return _json(error.status, {"message": str(error)})


async def _left(request: Request, error: Exception) -> Response:
    """An answer that nobody reads, to a client that left before its request was whole."""
    return _json(400, {"message": "The request was not sent to its end."})


async def _not_saved(request: Request, error: Exception) -> Response:
    """Tell the rater to try again, and the one who serves the study what to mend."""
    _LOG.error("%s", error)
    return _json(503, {"message": "This could not be saved just now. Nothing is lost; try again in a minute."})


def serve(study: Study, folder: Path, address: PublicAddress, host: str, port: int) -> None:
    """Serve a study until the process is interrupted.

    Raises:
        UsageError: the port is taken.
        StoreError: `ratings.sqlite` cannot be opened.
    """
    service = StudyService(folder, study, time.time)
    try:
        # Without an access log: its lines would hold invitations.
        uvicorn.run(
            make_app(study, folder, address, service, time.monotonic),
            host=host,
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=5,
        )
    except SystemExit as error:
        raise UsageError(f"{host}:{port} cannot be listened at; choose another --port") from error
    finally:
        service.close()
