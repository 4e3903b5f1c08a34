"""What a rater's browser is told when it asks for what it may not have."""

from __future__ import annotations

from avemo_harness.errors import UsageError


class RefusedError(UsageError):
    """A request that is answered with an HTTP status and a sentence; nothing is changed by it.

    Args:
        status: 400 to 499.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
