"""Documents that are searched in chunks: cut for a model, and ranked by their chunks' scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from embedlab.chunks import chunking, cutting
from embedlab.chunks.cutting import Pieces, Span
from embedlab.errors import UserError
from embedlab.evaluation import searching
from embedlab.evaluation.protocols.protocol import SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.models.loaded_model import LoadedModel
from embedlab.progress import Reporter
from retrievers.indexes.base_index import Index


def cut_for(model: LoadedModel, spec: str, documents: list[str], prompt: str) -> Pieces:
    """The documents' chunks as the model's tokenizer counts tokens.

    Raises:
        UserError: the model shows no tokenizer, or does not read chunks of that size.
    """
    how = chunking.parse(spec)
    tokenizer: Any = getattr(model.encoder, "tokenizer", None)
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            f"{model.name} shows no tokenizer that says where in a text its tokens stand.",
            "Leave --chunk out for it.",
        )
    limit = model.fact("max_length")
    if how.size and limit and how.size > limit:
        raise UserError(
            f"--chunk {spec}: {model.name} reads {limit} tokens of a text.",
            f"Type size={limit} or less.",
        )
    length = how.size or limit
    if not length:
        raise UserError(
            f"{model.name} names no limit of tokens.", f"Type --chunk {how.method}:size=256"
        )
    size = length - len(tokenizer(prompt)["input_ids"])
    if size <= how.overlap:
        raise UserError(
            f"--chunk {spec} leaves {max(size, 0)} tokens beside prompt and special tokens, with an"
            f" overlap of {how.overlap}.",
            "Type a greater size, or a smaller overlap.",
        )

    def tokens(texts: Any) -> list[list[Span]]:
        found: list[list[Span]] = tokenizer(
            list(texts), add_special_tokens=False, truncation=False, padding=False,
            return_offsets_mapping=True, verbose=False,
        )["offset_mapping"]  # fmt: skip
        return found

    return cutting.pieces(documents, how.method, tokens, size=size, overlap=how.overlap)


def similarity_of_means(model: LoadedModel, spec: str) -> str:
    """By what queries are compared with means of chunks' vectors, normalised ones for cosine.

    Raises:
        UserError: the model's similarity is no inner product.
    """
    if model.card.similarity not in ("cosine", "dot"):
        raise UserError(
            f"--chunk {spec}: the mean is of inner products, and {model.name} ranks by"
            f" {model.card.similarity}.",
            "Type over=max or over=first.",
        )
    return "dot"


def one_for_each(chunks: Iterator[np.ndarray], pieces: Pieces, over: str) -> Iterator[np.ndarray]:
    """A vector `[d]` for each document out of those of its chunks: the first one's, or their mean,
    whose inner product with a query is the mean of theirs.
    """
    starts, done, rest = pieces.starts, 0, None
    document = 0
    for chunk in chunks:
        rest = chunk if rest is None else np.concatenate([rest, chunk])
        last = int(np.searchsorted(starts, done + len(rest), side="right")) - 1
        if last > document:
            edges = starts[document : last + 1] - done
            first = rest[edges[:-1]]
            if over == "mean":
                sums = np.add.reduceat(rest[: edges[-1]], edges[:-1], axis=0)
                first = (sums / np.diff(edges)[:, None]).astype(np.float32)
            yield np.ascontiguousarray(first)
            rest, done, document = rest[edges[-1] :], int(starts[last]), last


def search_best(
    index: Index,
    chunks: Iterator[np.ndarray],
    queries: np.ndarray,
    data: RetrievalData,
    pieces: Pieces,
    *,
    k: int,
    reporter: Reporter,
) -> SearchResult:
    """Documents by the score of their best chunk: chunks are searched, more and more of them, until
    they are of `k` documents for each query.
    """
    owner, width = pieces.owner, min(k, len(data.document_ids))
    inside = data._replace(
        document_ids=[str(piece) for piece in range(len(owner))],
        candidates=_of_chunks(data, pieces),
    )
    built = searching.fill(
        lambda rows, chunk: index.add(inside.document_ids[rows], chunk), chunks, inside, reporter
    )
    depth, seconds = width, 0.0
    while True:
        rows, scores, spent = searching.run_queries(index, queries, inside, k=depth)
        seconds += spent["search_seconds"]
        rows, scores = _best(rows, scores, owner, width)
        if depth >= len(owner) or (rows[:, -1] >= 0).all():
            break
        depth = min(2 * depth, len(owner))
    return SearchResult(
        rows,
        scores,
        {
            "index_seconds": built,
            "index_bytes": float(index.memory_bytes()),
            **searching.rate(seconds, data),
        },
    )


def _of_chunks(data: RetrievalData, pieces: Pieces) -> Mapping[str, list[str]] | None:
    """A task's candidates as chunks."""
    if data.candidates is None:
        return None
    row_of = {id: row for row, id in enumerate(data.document_ids)}
    return {
        query: [
            str(piece)
            for id in among
            for piece in range(pieces.starts[row_of[id]], pieces.starts[row_of[id] + 1])
        ]
        for query, among in data.candidates.items()
    }


def _best(
    rows: np.ndarray, scores: np.ndarray, owner: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each document once, at its best chunk: int32 and float32 `[queries, width]`."""
    found = np.full((len(rows), width), -1, dtype=np.int32)
    best = np.full(found.shape, -np.inf, dtype=np.float32)
    for query, (row, score) in enumerate(zip(rows, scores, strict=True)):
        held = row >= 0
        documents, first = np.unique(owner[row[held]], return_index=True)
        order = np.argsort(first)[:width]
        found[query, : len(order)] = documents[order]
        best[query, : len(order)] = score[held][first[order]]
    return found, best
