"""The rating pages over real HTTP: what is served to whom, and what is refused."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from human.servers import Server, httpx, serving
from human.studies import write_small_study

from avemo_harness.human.study import Study, read_study


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served") / "study"
    write_small_study(folder, dialogues=3, seconds=0.0)
    with serving(folder) as running:
        yield running


class Rater:
    """A browser with a rater's cookie."""

    def __init__(self, server: Server, token: str) -> None:
        self.study: Study = read_study(server.folder)
        self.http = httpx.Client(base_url=server.url, headers={"Origin": server.url})
        assert self.http.get(f"/join/{token}").status_code == 200

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def name_device(self) -> dict[str, Any]:
        return self.post("/api/device", asdict(self.study.device_checks[0]))

    def to_items(self) -> dict[str, Any]:
        self.post("/api/consent", {"agree": True})
        self.name_device()
        return self.post("/api/ready", {})


@pytest.fixture(scope="module")
def rater(server: Server) -> Rater:
    return Rater(server, "token0")


@pytest.fixture(scope="module")
def item(rater: Rater) -> dict[str, Any]:
    return rater.to_items()


def test_the_page_and_its_files_are_served_under_a_strict_policy(server: Server) -> None:
    for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css")):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = httpx.get(server.url).text
    assert "<script>" not in page
    assert "style=" not in page


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(server: Server) -> None:
    cookie = httpx.get(f"{server.url}/join/token9").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_nobody_gets_in_without_an_invitation(server: Server) -> None:
    assert httpx.get(f"{server.url}/join/token").status_code == 403
    for cookies in ({}, {"rater": "0" * 32}):
        assert httpx.get(f"{server.url}/api/screen", cookies=cookies).status_code == 401
        posted = httpx.post(
            f"{server.url}/api/consent", json={"agree": True}, cookies=cookies, headers={"Origin": server.url}
        )
        assert posted.status_code == 401


def test_nothing_that_a_rater_gets_names_a_system_or_a_dialogue(item: dict[str, Any]) -> None:
    text = re.sub(r"\b[0-9a-f]{32}\b", "random", json.dumps(item))
    for word in ("calm", "loud", "model", "d0", "gold", "trap", 'expected": {'):
        assert word not in text


def test_media_is_served_whole_and_in_parts(rater: Rater, item: dict[str, Any]) -> None:
    path = f"/media/{item['segments'][0]['media']}"
    whole = rater.http.get(path)
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    part = rater.http.get(path, headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, whole.content[3:10])


NO_MEDIA = ["../plan.json", "..%2fplan.json", "%2e%2e/key.json", "..%5c..%5ckey.json", "....//key.json", "plan.json"]
NO_MEDIA += ["x.mp4", "%00", "/etc/passwd", "%2fetc%2fpasswd", "a" * 5000, "con", "%ff"]


@pytest.mark.parametrize("name", NO_MEDIA, ids=range(len(NO_MEDIA)))
def test_media_names_never_become_paths(rater: Rater, item: dict[str, Any], name: str) -> None:
    answer = rater.http.get(httpx.URL(rater.http.base_url).copy_with(raw_path=f"/media/{name}".encode()))
    assert answer.status_code == 404
    assert b"invitations" not in answer.content


def test_media_of_items_that_are_not_on_the_screen_are_refused(rater: Rater, item: dict[str, Any]) -> None:
    shown = item["segments"][0]["media"]
    for other in rater.study.items:
        name = other.segments[0].media
        assert rater.http.get(f"/media/{name}").status_code == (200 if name == shown else 404)


def test_posts_from_other_sites_are_refused(rater: Rater, item: dict[str, Any]) -> None:
    body = {"showing": item["showing"]}
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", ""):
        answer = rater.http.post("/api/begin", json=body, headers={"Origin": origin})
        assert answer.status_code == 403
    without = httpx.post(f"{rater.http.base_url}/api/begin", json=body, cookies=dict(rater.http.cookies))
    assert without.status_code == 403
    form = rater.http.post("/api/begin", content=json.dumps(body), headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    assert rater.http.get("/api/screen", headers={"Host": "evil.example"}).status_code == 421


def test_oversized_bodies_are_refused_whatever_they_say_of_their_length(rater: Rater, item: dict[str, Any]) -> None:
    large = json.dumps({"showing": "x" * 17_000}).encode()
    json_type = {"Content-Type": "application/json"}
    assert rater.http.post("/api/begin", content=large, headers=json_type).status_code == 413
    in_chunks = (large[start : start + 1000] for start in range(0, len(large), 1000))
    assert rater.http.post("/api/begin", content=in_chunks, headers=json_type).status_code == 413


HOSTILE_BODIES = [
    "",
    "[]",
    "{}",
    "nothing",
    "[" * 8000,
    '{"showing": 1}',
    '{"showing": "x", "ratings": {"er": 6, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": 0, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": 1.5, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": true, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": "5", "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": NaN, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": 1e99, "en": 1, "rr": 1}}',
    '{"showing": "x", "ratings": {"er": 1, "en": 1}}',
    '{"showing": "x", "ratings": {"er": 1, "en": 1, "rr": 1, "xx": 1}}',
    '{"showing": "x", "ratings": {"er": 1, "en": 1, "rr": 1}, "plays": -1}',
    '{"showing": "x", "ratings": null, "problem": "' + "x" * 600 + '"}',
]


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=lambda body: body[:40])
def test_what_is_no_rating_is_refused(rater: Rater, item: dict[str, Any], body: str) -> None:
    answer = rater.http.post("/api/rate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert rater.http.get("/api/screen").json()["showing"] == item["showing"]


def test_other_raters_items_are_refused(server: Server, rater: Rater, item: dict[str, Any]) -> None:
    other = Rater(server, "token1")
    own = other.to_items()
    assert own["showing"] != item["showing"]
    for path, body in (
        ("/api/begin", {"showing": item["showing"]}),
        ("/api/rate", {"showing": item["showing"], "ratings": {"er": 1, "en": 1, "rr": 1}}),
    ):
        assert other.http.post(path, json=body).status_code == 409
    assert other.http.get("/api/screen").json() == own


def test_wrong_methods_and_unknown_paths_are_refused(rater: Rater) -> None:
    assert rater.http.get("/api/rate").status_code == 405
    assert rater.http.put("/api/rate", json={}).status_code == 405
    assert rater.http.get("/plan.json").status_code == 404
    assert rater.http.get("/ratings.sqlite").status_code == 404
    assert rater.http.get("/docs").status_code == 404


def test_a_flood_of_requests_is_held_back(server: Server) -> None:
    rater = Rater(server, "token2")
    codes = {rater.http.get("/api/screen").status_code for _ in range(700)}
    assert codes == {200, 429}


def test_hostile_problem_reports_are_kept_as_they_are(server: Server) -> None:
    rater = Rater(server, "token3")
    rater.post("/api/consent", {"agree": True})
    rater.name_device()
    screen = rater.post("/api/ready", {})
    hostile = "=cmd|'/c calc'!A0 <script>alert(1)</script>\x1b[31m'; DROP TABLE ratings;--\x00\u202e"
    while screen["part"] == "training":
        rater.post("/api/begin", {"showing": screen["showing"]})
        meant = {item.segments[0].media: item.expected for item in rater.study.items}
        ratings = {"er": 3, "en": 3, "rr": 3, **meant[screen["segments"][0]["media"]]}
        screen = rater.post("/api/rate", {"showing": screen["showing"], "ratings": ratings})
    rater.post("/api/rate", {"showing": screen["showing"], "ratings": None, "plays": 0, "problem": hostile})
    with sqlite3.connect(server.folder / "ratings.sqlite") as tables:
        assert tables.execute("SELECT problem FROM ratings WHERE problem IS NOT NULL").fetchall() == [(hostile,)]
