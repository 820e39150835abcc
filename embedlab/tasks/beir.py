"""BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`
(Thakur et al., 2021, arXiv:2104.08663).

corpus.jsonl        {"_id": "d1", "title": "...", "text": "..."}   (title may be absent)
queries.jsonl       {"_id": "q1", "text": "..."}                   (instruction, where the task has
them) qrels/test.tsv      query-id <tab> corpus-id <tab> score           (TREC's will do:
leaderboard/exchange/qrels.py) top_ranked.jsonl    {"query-id": "q1", "corpus-ids": ["d1", ...]}
(reranking only)

Qrels may also be .csv, .trec or .qrels, and any of the files may be packed (`corpus.jsonl.gz`).
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab.errors import UserError
from embedlab.tasks import kept_corpora
from leaderboard.plain_json import from_json
from retrievers.names import Names

if TYPE_CHECKING:
    from datasets import Dataset

LAYOUT = "A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv."
_BLOCK = 1_000  # lines whose ids are compared with all before at a time
_QRELS = (".tsv", ".csv", ".trec", ".qrels")


def is_folder(path: Path) -> bool:
    """Whether `path` looks like a BEIR folder."""
    return corpus_file(path) is not None


def corpus_file(folder: Path) -> Path | None:
    """The file of the documents; None where there is none."""
    return _file(folder, "corpus.jsonl")


def splits(folder: Path) -> list[str]:
    """The splits that have relevance judgements."""
    return sorted(_qrels_files(folder))


def files(folder: Path, split: str) -> dict[str, Path]:
    """The files that make up one split, by their part in it: corpus, queries, qrels, top_ranked;
    only what is there.
    """
    qrels = _qrels_files(folder).get(split, [])
    named = {part: _file(folder, f"{part}.jsonl") for part in ("corpus", "queries", "top_ranked")}
    return {
        part: path for part, path in {**named, "qrels": qrels[0] if qrels else None}.items() if path
    }


def read(folder: Path, split: str) -> dict[str, Any]:
    """One split as mteb's `RetrievalSplitData`: corpus (on disk, see `kept_corpora`), queries
    (those judged), relevant_docs, top_ranked.

    Empty documents are kept: they are part of the collection that others score. Judgements are kept
    as they are, also
    of documents that the corpus lacks: published collections have some (ArguAna five), and they
    count as not found.

    Raises:
        UserError: a file or the split is missing, a line is malformed (file:line), an id is given
            twice, the corpus is empty, no judgement is about a query and a document of the folder,
            or none is positive; no disk has room for the corpus.
    """
    from datasets import Dataset

    paths = files(folder, split)
    for part in ("corpus", "queries"):
        if part not in paths:
            raise UserError(f"{folder} has no {part}.jsonl.", LAYOUT)
    if "qrels" not in paths:
        there = ", ".join(splits(folder)) or "none"
        raise UserError(
            f"{folder} has no qrels/{split}.tsv.",
            f"Splits there: {there}. Choose one with --split.",
        )
    if len(several := _qrels_files(folder)[split]) > 1:
        raise UserError(
            f"{folder} has several files of the split {split}:"
            f" {', '.join(path.name for path in several)}.",
            "Keep one of them.",
        )

    digest = content_digest(paths["corpus"])
    corpus = kept_corpora.opened(
        digest, paths["corpus"], partial(_documents, paths["corpus"], digest)
    )
    queries = _texts(paths["queries"], ("text", "instruction"))
    relevant = _judgements(paths["qrels"], queries, corpus)
    judged = {key: query for key, query in queries.items() if key in relevant}
    query_columns = {"id": list(judged), "text": [query["text"] for query in judged.values()]}
    if any(query["instruction"] for query in judged.values()):
        query_columns["instruction"] = [query["instruction"] for query in judged.values()]
    return {
        "corpus": corpus,
        "queries": Dataset.from_dict(query_columns),
        "relevant_docs": relevant,
        "top_ranked": (
            _top_ranked(paths["top_ranked"], judged, corpus) if "top_ranked" in paths else None
        ),
    }


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line that is not blank.

    Raises:
        UserError: a line is not UTF-8 or not a JSON object, or the file cannot be read.
    """
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                row = from_json(line)
            except ValueError as error:
                raise UserError(
                    f"{place} is not JSON: {error}.", "Every line holds one JSON object."
                ) from error
            if not isinstance(row, dict):
                raise UserError(
                    f"{place} is not a JSON object.", "Every line holds one JSON object."
                )
            yield place, row


@contextmanager
def opened(path: Path) -> Iterator["gzip.GzipFile | BufferedReader"]:
    """A file's bytes, unpacked where its name ends in .gz.

    Raises:
        UserError: it cannot be read, or is not packed as its name says.
    """
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(
            f"{path} cannot be unpacked: {error}.", "Pack it again with gzip."
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check the file and its permissions.",
        ) from error


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _qrels_files(folder: Path) -> dict[str, list[Path]]:
    """split -> its files; more than one is a mistake."""
    by_split: dict[str, list[Path]] = {}
    for path in sorted((folder / "qrels").glob("*")):
        name = path.name.removesuffix(".gz")
        if Path(name).suffix in _QRELS and path.is_file():
            by_split.setdefault(Path(name).stem, []).append(path)
    return by_split


def content_digest(path: Path) -> str:
    """sha256 of a file's content, unpacked."""
    sha = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def _documents(path: Path, digest: str) -> Iterator[kept_corpora.Document]:
    """Id, title and text of every line; the content had this digest before."""
    known, rows = Names(), _rows(path, ("title", "text"))
    while block := _block(rows, known):
        yield from ((key, *texts) for _, key, texts in block)  # type: ignore[misc]  # two texts
    if not known:
        raise UserError(f"{path} holds no documents.", LAYOUT)
    if content_digest(path) != digest:
        raise UserError(f"{path} has changed since this run began.", "Run again on what it holds.")


def _texts(path: Path, fields: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """id -> its texts."""
    by_id: dict[str, dict[str, str]] = {}
    known, rows = Names(), _rows(path, fields)
    while block := _block(rows, known):
        by_id |= {key: dict(zip(fields, texts, strict=True)) for _, key, texts in block}
    return by_id


Row = tuple[str, str, list[str]]  # place (file:line), id, texts


def _rows(path: Path, fields: tuple[str, ...]) -> Iterator[Row]:
    """Every line's id and texts; `text` must be there, other fields default to ""."""
    for place, row in json_lines(path):
        key = id_of(row, "_id", place)
        if "text" not in row:
            raise UserError(f'{place} has no "text".', _LINE)
        texts = [row.get(name) or "" for name in fields]
        for name, text in zip(fields, texts, strict=True):
            if not isinstance(text, str):
                raise UserError(
                    f'{place}: "{name}" is not a string.', "Write texts in double quotes."
                )
        yield place, key, texts


def _block(rows: Iterator[Row], known: Names) -> list[Row]:
    """The next rows, whose ids join those that are `known`.

    Raises:
        UserError: an id is given twice, or what `rows` raises.
    """
    block: list[Row] = []
    try:
        block.extend(islice(rows, _BLOCK))
    except UserError:
        _refuse_repeats(block, known)  # they stand before what it is about
        raise
    _refuse_repeats(block, known)
    known.extend([key for _, key, _ in block])
    return block


def _refuse_repeats(block: list[Row], known: Names) -> None:
    there, before = known.rows([key for _, key, _ in block]), set[str]()
    for (place, key, _), row in zip(block, there.tolist(), strict=True):
        if row >= 0 or key in before:
            raise UserError(
                f"{place} gives the id {key!r} a second time.", "Ids are unique within a file."
            )
        before.add(key)


_LINE = 'A line reads {"_id": "1", "title": "...", "text": "..."}.'


def id_of(row: dict[str, Any], name: str, place: str, hint: str = _LINE) -> str:
    """The id in a line, its `name`: a string, or a whole number as its digits.

    Raises:
        UserError: there is none, or it is empty, null, a list or the like, or holds the character
            NUL, at which numpy (2.4) and trec_eval end a text.
    """
    if name not in row:
        raise UserError(f'{place} has no "{name}".', hint)
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UserError(f'{place}: "{name}" is {json.dumps(value)}, which is no id.', hint)
    if "\0" in str(value):
        raise UserError(f'{place}: "{name}" holds the character NUL.', "Leave it out of ids.")
    return str(value)


_SAME_IDS = "Ids are compared letter by letter: see that the files belong to one another."


def _judgements(
    path: Path, queries: dict[str, Any], corpus: "Dataset"
) -> dict[str, dict[str, int]]:
    """query id -> document id -> grade."""
    from leaderboard.errors import Malformed
    from leaderboard.exchange.qrels import read_qrels

    hint = "A line reads query-id <tab> corpus-id <tab> score, the score a whole number."
    try:
        relevant = read_qrels(path)
    except Malformed as error:
        raise UserError(str(error), hint) from error
    if not relevant:
        raise UserError(f"{path} holds no judgements.", hint)
    known = [judged for query, judged in relevant.items() if query in queries]
    if not known:
        raise UserError(
            f"{path}: none of the queries judged, such as {next(iter(relevant))!r}, is in"
            " queries.jsonl.",
            _SAME_IDS,
        )
    if not kept_corpora.known(corpus, {document for judged in known for document in judged}):
        raise UserError(
            f"{path}: none of the documents judged, such as {next(iter(known[0]))!r}, is in"
            " corpus.jsonl.",
            _SAME_IDS,
        )
    if not any(grade > 0 for judged in known for grade in judged.values()):
        raise UserError(f"{path} judges nothing relevant to any query of queries.jsonl.", hint)
    return relevant


def _top_ranked(path: Path, queries: dict[str, Any], corpus: "Dataset") -> dict[str, list[str]]:
    """query id -> the documents to rerank, for the judged queries."""
    hint = 'A line reads {"query-id": "q1", "corpus-ids": ["d1", "d2"]}.'
    ranked: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for place, row in json_lines(path):
        query, documents = id_of(row, "query-id", place, hint), row.get("corpus-ids")
        if not isinstance(documents, list) or not all(
            isinstance(document, str | int) for document in documents
        ):
            raise UserError(f"{place} has no list of ids as corpus-ids.", hint)
        if query in ranked:
            raise UserError(
                f"{place} gives the candidates of the query {query!r} a second time.", hint
            )
        ranked[query], places[query] = [str(document) for document in documents], place
    known = kept_corpora.known(corpus, {each for among in ranked.values() for each in among})
    for query, among in ranked.items():
        if unknown := next((document for document in among if document not in known), None):
            raise UserError(
                f"{places[query]} names the document {unknown!r}, which corpus.jsonl lacks.",
                _SAME_IDS,
            )
    if missing := next((query for query in queries if query not in ranked), None):
        raise UserError(
            f"{path} has no line for the query {missing!r}.",
            "Every judged query needs its documents.",
        )
    return {query: ranked[query] for query in queries}
