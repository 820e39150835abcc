"""Late interaction's vectors: one for each token of a text, those of many texts in one array."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from scipy import sparse

from retrievers import token_codes
from retrievers.errors import RetrieverError

EMPTY = -1e9  # the score of a text without tokens, as sentence-transformers has it
_PRODUCTS = 1 << 24  # similarities of tokens held at a time: 64 MB
_HINT = "A multi-vector encoder gives one float array [tokens, d] for each text."


class TokenVectors(Sequence[np.ndarray]):
    """Token vectors of `len()` texts, `[t_i, d]` each, all of one width.

    Args:
        codes: of all tokens, end to end, as `token_codes.encode` gives them.
        offsets: int64 `[n + 1]`: text i has the tokens from offsets[i] to offsets[i + 1].
        bits: of a component.
        factors: one for each token, where the codes have them.
        dim: of the vectors; the width of the codes by default.
    """

    def __init__(
        self,
        codes: np.ndarray,
        offsets: np.ndarray,
        *,
        bits: int = 32,
        factors: np.ndarray | None = None,
        dim: int | None = None,
    ) -> None:
        self.codes, self.offsets, self.bits, self.factors = codes, offsets, bits, factors
        self.dim = int(codes.shape[1] if dim is None else dim)

    @classmethod
    def of(cls, texts: Iterable[Any]) -> Self:
        """Arrays or tensors `[t_i, d]`, one for each text.

        Raises:
            RetrieverError: they are something else, of different widths, or hold NaN or infinity.
        """
        arrays = [_array(text, row) for row, text in enumerate(texts)]
        width = max((array.shape[1] for array in arrays), default=0)
        if any(array.shape[1] != width for array in arrays):
            raise RetrieverError("Token vectors of different widths.", _HINT)
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        every = np.concatenate(arrays) if arrays else np.empty((0, 0), np.float32)
        vectors = cls(every, offsets)
        if not np.isfinite(every).all():
            token = np.flatnonzero(~np.isfinite(every).all(axis=1))[0]
            row = np.searchsorted(offsets, token, side="right") - 1
            raise RetrieverError(
                f"A token vector of row {row} holds NaN or infinity.",
                "Encode again, perhaps in float32.",
            )
        return vectors

    @classmethod
    def joined(cls, parts: Sequence["TokenVectors"]) -> Self:
        """Several one after the other, all with codes of one kind."""
        lengths = np.concatenate([part.lengths for part in parts])
        first = parts[0]
        factors = [part.factors for part in parts if part.factors is not None]
        return cls(
            np.concatenate([part.codes[part.offsets[0] : part.offsets[-1]] for part in parts]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            bits=first.bits,
            factors=np.concatenate(
                [
                    each[part.offsets[0] : part.offsets[-1]]
                    for each, part in zip(factors, parts, strict=True)
                ]
            )
            if factors
            else None,
            dim=first.dim,
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 `[n]`."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, factors and offsets."""
        factors = 0 if self.factors is None else self.factors.nbytes
        return int(self.codes.nbytes + self.offsets.nbytes + factors)

    @overload
    def __getitem__(self, which: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, which: "slice | np.ndarray | list[int]") -> "TokenVectors": ...
    def __getitem__(
        self, which: "int | slice | np.ndarray | list[int]"
    ) -> "np.ndarray | TokenVectors":
        """The vectors of one text, float32 `[t, d]`; or those texts of a slice, rows or a mask."""
        if isinstance(which, int | np.integer):
            row = int(which) + (len(self) if which < 0 else 0)
            if not 0 <= row < len(self):
                raise IndexError(which)
            return self[row : row + 1].floats()
        if isinstance(which, slice) and which.step in (None, 1):
            start, stop, _ = which.indices(len(self))
            return self._with(slice(None), self.offsets[start : max(start, stop) + 1])
        rows = np.arange(len(self))[which]
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return self._with(places, offsets)

    def _with(self, tokens: "slice | np.ndarray", offsets: np.ndarray) -> "TokenVectors":
        factors = None if self.factors is None else self.factors[tokens]
        codes = self.codes if isinstance(tokens, slice) else self.codes[tokens]
        return TokenVectors(codes, offsets, bits=self.bits, factors=factors, dim=self.dim)

    def floats(self) -> np.ndarray:
        """The vectors of all tokens, end to end, float32 `[T, d]`."""
        tokens = slice(int(self.offsets[0]), int(self.offsets[-1]))
        factors = None if self.factors is None else self.factors[tokens]
        return token_codes.decode(self.codes[tokens], factors, self.bits, self.dim)

    def coded(self, bits: int) -> "TokenVectors":
        """The same with codes of so many bits."""
        if bits == self.bits:
            return self
        codes, factors = token_codes.encode(self.floats(), bits)
        offsets = self.offsets - self.offsets[0]
        return TokenVectors(codes, offsets, bits=bits, factors=factors, dim=self.dim)

    def groups(self, tokens: int) -> Iterator[slice]:
        """Rows in order, so many at a time that no more than `tokens` come together, or one."""
        start = 0
        while start < len(self):
            limit = self.offsets[start] + tokens
            stop = int(np.searchsorted(self.offsets, limit, side="right")) - 1
            yield slice(start, max(stop, start + 1))
            start = max(stop, start + 1)


# Vectors of many texts: dense `[n, d]`, sparse `[n, |V|]`, or those of all their tokens.
Rows = np.ndarray | sparse.csr_matrix | TokenVectors


def stacked(parts: Sequence[Any]) -> Any:
    """Vectors of texts one after the other, all of one kind (`Rows`)."""
    if isinstance(parts[0], TokenVectors):
        return TokenVectors.joined(parts)
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def maxsim(queries: TokenVectors, documents: TokenVectors, *, mean: bool = False) -> np.ndarray:
    """MaxSim scores, float32 `[q, n]`: for each query token the greatest inner product with a
    token of the document, summed (ColBERT, arXiv:2004.12832, equation 3).

    Args:
        mean: divided by the query's tokens (sentence-transformers' meanmaxsim).
    """
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    width = max(1, _PRODUCTS // max(1, int(queries.offsets[-1] - queries.offsets[0])))
    wanted = queries.floats()
    for rows in documents.groups(width):
        scores[:, rows] = _scores(wanted, queries.lengths, documents[rows])
    if mean:
        scores /= np.maximum(queries.lengths, 1)[:, None]
    return scores


def _scores(wanted: np.ndarray, lengths: np.ndarray, documents: TokenVectors) -> np.ndarray:
    full = np.flatnonzero(documents.lengths)
    best = np.full((len(wanted), len(documents)), 0, dtype=np.float32)
    if len(full) and len(wanted):
        products = wanted @ documents.floats().T
        starts = (documents.offsets - documents.offsets[0])[full]
        best[:, full] = np.maximum.reduceat(products, starts, axis=1)
    scores = np.zeros((len(lengths), len(documents)), dtype=np.float32)
    asked = np.flatnonzero(lengths)
    if len(asked):
        starts = np.cumsum([0, *lengths])[:-1][asked]
        scores[asked] = np.add.reduceat(best, starts, axis=0)
    scores[:, documents.lengths == 0] = EMPTY
    return scores


def check_token_vectors(documents: Any) -> TokenVectors:
    """What was given as token vectors.

    Raises:
        RetrieverError: it is something else.
    """
    if isinstance(documents, TokenVectors):
        return documents
    if isinstance(documents, str) or hasattr(documents, "dtype") or not is_ragged(documents):
        raise RetrieverError(
            f"Expected token vectors, got {type(documents).__name__}: 'maxsim' and 'muvera' hold"
            " those of late interaction.",
            _HINT,
        )
    return TokenVectors.of(documents)


def is_ragged(output: Any) -> bool:
    """Whether an encoder's answer is one array `[t_i, d]` for each text."""
    return (
        isinstance(output, Sequence)
        and not isinstance(output, str)
        and all(getattr(each, "ndim", 0) == 2 for each in output)
    )


def _array(text: Any, row: int) -> np.ndarray:
    """Token vectors `[t, d]` in float32."""
    text = text.detach().float().cpu().numpy() if hasattr(text, "detach") else text
    array: np.ndarray = np.asarray(text)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise RetrieverError(
            f"Late interaction needs token vectors [t, d], got {array.dtype} of shape"
            f" {list(array.shape)} at row {row}.",
            _HINT,
        )
    return array.astype(np.float32, copy=False)
