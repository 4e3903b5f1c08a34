"""Requests that want no speech say so, wherever a server takes that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from avemo_harness.errors import GenerationError
from avemo_harness.models.served.answers import Told
from avemo_harness.models.served.client import Client
from avemo_harness.models.served.failures import RequestRefusedError

FIELD, TEXT_ALONE = "modalities", ["text"]

Result = TypeVar("Result")


class TextFirstClient(Client):
    """A client whose requests ask for text alone unless they ask for more: some servers speak all they say.

    A server that refuses the field is asked without it from then on.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._is_taken = self._is_refused = False

    async def complete(self, payload: Mapping[str, Any], use: Callable[[Told], Result]) -> Result:
        """Ask for a chat completion, as `Client.complete`."""
        if FIELD in payload or self._is_refused:
            return await self._plain(payload, use)
        try:
            answer: Result = await super().complete({**payload, FIELD: TEXT_ALONE}, use)
        except RequestRefusedError as error:
            if self._is_taken:
                raise GenerationError(str(error)) from error
            # Whatever it was refused for: without the field it is refused again, or the field was the reason.
            answer = await self._plain(payload, use)
            self._is_refused = True
            return answer
        self._is_taken = True
        return answer

    async def _plain(self, payload: Mapping[str, Any], use: Callable[[Told], Result]) -> Result:
        try:
            answer: Result = await super().complete(payload, use)
        except RequestRefusedError as error:
            raise GenerationError(str(error)) from error
        return answer
