"""Fifty raters at once over real HTTP, also when the server is killed among them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from human.servers import Server, httpx, serving
from human.studies import write_small_study
from support.waiting import PATIENCE_S

from avemo_harness.human.study import Study

RATERS = 50


class Crowd:
    """Raters who go through a study side by side, each sending again what was not answered."""

    def __init__(self, server: Server, study: Study) -> None:
        self.server = server
        self.device = asdict(study.device_checks[0])
        self.meant = {item.segments[0].media: item.expected for item in study.items}
        self.acknowledged: list[str] = []
        self.codes: list[str] = []

    async def run(self, number: int) -> None:
        async with httpx.AsyncClient(
            base_url=self.server.url, headers={"Origin": self.server.url}, timeout=PATIENCE_S
        ) as http:
            await self._ask(http, "GET", f"/join/token{number}")
            await self._ask(http, "POST", "/api/consent", {"agree": True})
            await self._ask(http, "POST", "/api/device", self.device)
            await self._ask(http, "POST", "/api/ready", {})
            screen = (await self._ask(http, "GET", "/api/screen")).json()
            while screen["screen"] == "item":
                await self._ask(http, "POST", "/api/begin", {"showing": screen["showing"]})
                ratings = {"er": 3, "en": 3, "rr": 3, **self.meant[screen["segments"][0]["media"]]}
                rating = {"showing": screen["showing"], "ratings": ratings}
                # Sent twice at once, as by a double click.
                answers = [self._ask(http, "POST", "/api/rate", rating) for _ in range(2)]
                first, second = await asyncio.gather(*answers)
                assert {first.status_code, second.status_code} == {200}
                if screen["part"] == "rating":
                    self.acknowledged.append(screen["showing"])
                screen = (await self._ask(http, "GET", "/api/screen")).json()
            self.codes.append(screen["code"])

    async def _ask(self, http: Any, method: str, path: str, body: Any = None) -> Any:
        while True:
            try:
                answer = await http.request(method, path, json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            # A step whose answer was lost with the server is over when it is sent again.
            assert answer.status_code == 200 or (answer.status_code == 409 and path != "/api/rate"), answer.text
            return answer


async def _all_rate(crowd: Crowd, kills: int, expected: int) -> None:
    work = asyncio.gather(*(crowd.run(number) for number in range(RATERS)))
    for kill in range(1, kills + 1):
        while len(crowd.acknowledged) < expected * kill / (kills + 1):
            await asyncio.sleep(0.01)
        crowd.server.kill()
        await asyncio.to_thread(crowd.server.start)
    await work


@pytest.mark.slow
@pytest.mark.parametrize("kills", [0, 3])
def test_every_item_gets_its_raters_none_double_none_lost(tmp_path: Path, kills: int) -> None:
    study = write_small_study(tmp_path / "study", dialogues=6, raters_an_item=RATERS // 2, seconds=0.0)
    assert len(study.sessions) == RATERS
    expected = sum(len(session.showings) for session in study.sessions)
    with serving(tmp_path / "study") as server:
        crowd = Crowd(server, study)
        asyncio.run(_all_rate(crowd, kills, expected))
    with sqlite3.connect(tmp_path / "study" / "ratings.sqlite") as tables:
        rows = tables.execute("SELECT session, position, rater, item, repeat FROM ratings").fetchall()
        sitting = tables.execute("SELECT session, rater FROM seats").fetchall()
    assert len(crowd.acknowledged) == len(set(crowd.acknowledged)) == len(rows) == expected
    assert len(set(crowd.codes)) == RATERS
    assert len({rater for _, rater in sitting}) == len(sitting) == RATERS
    assert all((session, rater) in sitting for session, _, rater, _, _ in rows)
    items = study.by_id()
    rated = [(rater, item) for _, _, rater, item, repeat in rows if not repeat and items[item].kind == "rated"]
    assert len(set(rated)) == len(rated)
    assert set(Counter(item for _, item in rated).values()) == {RATERS // 2}
