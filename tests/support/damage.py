"""Seeded ways to damage a file."""

from __future__ import annotations

import random
from collections.abc import Callable


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data) - 1)]


def _zero_block(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) - 600)
    return data[:start] + bytes(600) + data[start + 600 :]


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(50):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _drop_chunk(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) - 300)
    return data[:start] + data[start + 300 :]


def _garble_header(data: bytes, rng: random.Random) -> bytes:
    start = data.index(b"moov")
    return data[: start + 8] + rng.randbytes(200) + data[start + 208 :]


MUTATORS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncate,
    _zero_block,
    _flip_bits,
    _drop_chunk,
    _garble_header,
)


def damaged_copies(data: bytes, count: int, seed: int) -> list[bytes]:
    """Copies of a file, damaged in turn by each of the ways above."""
    rng = random.Random(seed)
    return [MUTATORS[i % len(MUTATORS)](data, rng) for i in range(count)]
