"""Codes of token vectors: 16, 8, 4, 2 or 1 bits for a component in place of 32.

With 8 and 4 bits, a vector's components are whole multiples of a 127th, a 7th of its greatest.
With 2 and 1 bits they are the levels that lose least of normally distributed components (Max, IRE
Transactions 1960, table II: steps of 0.9957 and 1.596 standard deviations). Each vector has a
factor of its own, in float16.
"""

import numpy as np

from retrievers.errors import RetrieverError

BITS = (32, 16, 8, 4, 2, 1)
_STEPS = {2: 0.9957, 1: 1.5958}  # by bits, in standard deviations
_LARGEST = 60_000.0  # what float16 holds


def check_bits(bits: int) -> int:
    """The bits of a component.

    Raises:
        RetrieverError: there is no such code.
    """
    if bits not in BITS:
        raise RetrieverError(
            f"The setting bits is {bits}.", f"Token vectors take {', '.join(map(str, BITS))} bits."
        )
    return bits


def encode(vectors: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The codes of vectors `[T, d]`, and each one's factor `[T]`, None where codes have none.

    Returns:
        float32 or float16 `[T, d]`; int8 `[T, d]`; or uint8 `[T, ceil(d * bits / 8)]`.
    """
    if bits >= 16:
        return vectors.astype(np.float32 if bits == 32 else np.float16, copy=False), None
    vectors = vectors.astype(np.float32, copy=False)
    if bits >= 4:
        top = 127 if bits == 8 else 7
        factors = _float16(np.abs(vectors).max(axis=1, initial=0) / top)
        levels = np.rint(vectors / _divisors(factors)).clip(-top, top)
        if bits == 8:
            return levels.astype(np.int8), factors
        return _packed((levels + 8).astype(np.uint8), 4), factors
    factors = _float16(_STEPS[bits] * np.sqrt(np.mean(vectors**2, axis=1)))
    half = 1 << (bits - 1)
    levels = np.floor(vectors / _divisors(factors)).clip(-half, half - 1) + half
    return _packed(levels.astype(np.uint8), bits), factors


def decode(codes: np.ndarray, factors: np.ndarray | None, bits: int, dim: int) -> np.ndarray:
    """The vectors that codes stand for, float32 `[T, dim]`."""
    if factors is None:
        return codes.astype(np.float32, copy=False)
    if bits == 8:
        levels = codes.astype(np.float32)
    else:
        zero = 8.0 if bits == 4 else (1 << (bits - 1)) - 0.5
        levels = _unpacked(codes, bits)[:, :dim] - np.float32(zero)
    levels *= factors.astype(np.float32)[:, None]
    return levels


def _float16(factors: np.ndarray) -> np.ndarray:
    if factors.max(initial=0) > _LARGEST:
        raise RetrieverError(
            "A token vector is too long for codes.", "Use bits=32, or a model that normalises."
        )
    rounded: np.ndarray = factors.astype(np.float16)
    return rounded


def _divisors(factors: np.ndarray) -> np.ndarray:
    """The factors as they will be read; of a vector of zeros, one that leaves them zeros."""
    return np.where(factors > 0, factors.astype(np.float32), np.float32(1))[:, None]


def _packed(levels: np.ndarray, bits: int) -> np.ndarray:
    """Numbers below 2 ** bits, several to a byte, the first in the highest bits."""
    each = 8 // bits
    padded = np.pad(levels, ((0, 0), (0, -levels.shape[1] % each)))
    packed = np.zeros((len(levels), padded.shape[1] // each), dtype=np.uint8)
    for place in range(each):
        packed |= padded[:, place::each] << np.uint8(8 - bits * (place + 1))
    return packed


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """What `_packed` packed, float32."""
    each = 8 // bits
    table = (np.arange(256)[:, None] >> (8 - bits * (np.arange(each) + 1))) & ((1 << bits) - 1)
    numbers: np.ndarray = table.astype(np.float32)[packed].reshape(
        len(packed), packed.shape[1] * each
    )
    return numbers
