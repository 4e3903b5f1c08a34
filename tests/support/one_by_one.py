"""Models of tests that answer one request after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from avemo_harness.benchmark.request import Request, Response


class OneByOne(ABC):
    """A model whose name is all that tells it from others."""

    name: str

    def identity(self) -> Mapping[str, str]:
        return {"model": self.name}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [self.answer(request) for request in requests]

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """The response to one request."""
