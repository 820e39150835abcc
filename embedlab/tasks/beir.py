"""BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv` (Thakur et al., 2021, arXiv:2104.08663).

corpus.jsonl        {"_id": "d1", "title": "...", "text": "..."}   (title may be absent)
queries.jsonl       {"_id": "q1", "text": "..."}                   (instruction, where the task has them)
qrels/test.tsv      query-id <tab> corpus-id <tab> score           (header line optional; scores are integers)
top_ranked.jsonl    {"query-id": "q1", "corpus-ids": ["d1", ...]}  (reranking only)
"""

import json
from collections.abc import Iterator
from pathlib import Path

from embedlab.errors import UserError

LAYOUT = "A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv."


def is_folder(path: Path) -> bool:
    """Whether `path` looks like a BEIR folder."""
    return (path / "corpus.jsonl").is_file()


def splits(folder: Path) -> list[str]:
    """The splits that have relevance judgements."""
    return sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))


def files(folder: Path, split: str) -> list[Path]:
    """The files that make up one split, in reading order."""
    found = [folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / f"{split}.tsv"]
    top_ranked = folder / "top_ranked.jsonl"
    return [*found, top_ranked] if top_ranked.is_file() else found


def read(folder: Path, split: str) -> dict:
    """One split as mteb's `RetrievalSplitData`: corpus, queries (those judged), relevant_docs, top_ranked.

    Empty documents are kept: they are part of the collection that others score. Grades are kept as they are.

    Raises:
        UserError: a file or the split is missing, a line is malformed (file:line), an id is given twice, the corpus
            is empty, or the judgements name an id that does not exist.
    """
    from datasets import Dataset

    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}.", LAYOUT)
    if split not in splits(folder):
        there = ", ".join(splits(folder)) or "none"
        raise UserError(f"{folder} has no qrels/{split}.tsv.", f"Splits there: {there}. Choose one with --split.")

    corpus = _texts(folder / "corpus.jsonl", ("title", "text"))
    if not corpus:
        raise UserError(f"{folder / 'corpus.jsonl'} holds no documents.", LAYOUT)
    queries = _texts(folder / "queries.jsonl", ("text", "instruction"))
    relevant = _qrels(folder / "qrels" / f"{split}.tsv", queries, corpus)
    judged = {key: query for key, query in queries.items() if key in relevant}
    query_columns = {"id": list(judged), "text": [query["text"] for query in judged.values()]}
    if any(query["instruction"] for query in judged.values()):
        query_columns["instruction"] = [query["instruction"] for query in judged.values()]
    return {
        "corpus": Dataset.from_dict(
            {
                "id": list(corpus),
                "title": [document["title"] for document in corpus.values()],
                "text": [document["text"] for document in corpus.values()],
            }
        ),
        "queries": Dataset.from_dict(query_columns),
        "relevant_docs": relevant,
        "top_ranked": _top_ranked(folder / "top_ranked.jsonl", judged, corpus),
    }


def json_lines(path: Path) -> Iterator[tuple[str, dict]]:
    """(file:line, object) of every line that is not blank.

    Raises:
        UserError: a line is not UTF-8 or not a JSON object.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{place} is not JSON: {error}.", "Every line holds one JSON object.") from error
            if not isinstance(row, dict):
                raise UserError(f"{place} is not a JSON object.", "Every line holds one JSON object.")
            yield place, row


def _texts(path: Path, fields: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """id -> its texts; `text` must be there, other fields default to ""."""
    found = {}
    for place, row in json_lines(path):
        if "_id" not in row or "text" not in row:
            lacking = "_id" if "_id" not in row else "text"
            raise UserError(f'{place} has no "{lacking}".', 'A line reads {"_id": "1", "title": "...", "text": "..."}.')
        texts = {name: row.get(name) or "" for name in fields}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise UserError(f'{place}: "{name}" is not a string.', "Write texts in double quotes.")
        key = str(row["_id"])
        if key in found:
            raise UserError(f"{place} gives the id {key!r} a second time.", "Ids are unique within a file.")
        found[key] = texts
    return found


def _qrels(path: Path, queries: dict, corpus: dict) -> dict[str, dict[str, int]]:
    """query id -> document id -> grade."""
    hint = "A line reads query-id <tab> corpus-id <tab> score, the score an integer."
    relevant: dict[str, dict[str, int]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise UserError(f"{path}:{number} has {len(fields)} columns, not 3.", hint)
        query, document, grade = (field.strip() for field in fields)
        try:
            score = int(grade)
        except ValueError as error:
            if number == 1:  # the header
                continue
            raise UserError(f"{path}:{number}: the score {grade!r} is not an integer.", hint) from error
        if query not in queries:
            raise UserError(f"{path}:{number} names the query {query!r}, which queries.jsonl lacks.", hint)
        if document not in corpus:
            raise UserError(f"{path}:{number} names the document {document!r}, which corpus.jsonl lacks.", hint)
        relevant.setdefault(query, {})[document] = score
    if not relevant:
        raise UserError(f"{path} holds no judgements.", hint)
    return relevant


def _top_ranked(path: Path, queries: dict, corpus: dict) -> dict[str, list[str]] | None:
    """query id -> the documents to rerank, for the judged queries; None where there is no such file."""
    if not path.is_file():
        return None
    ranked = {}
    for place, row in json_lines(path):
        if not isinstance(row.get("corpus-ids"), list) or "query-id" not in row:
            raise UserError(f"{place} is malformed.", 'A line reads {"query-id": "q1", "corpus-ids": ["d1", "d2"]}.')
        documents = [str(document) for document in row["corpus-ids"]]
        if unknown := next((document for document in documents if document not in corpus), None):
            raise UserError(f"{place} names the document {unknown!r}, which corpus.jsonl lacks.")
        ranked[str(row["query-id"])] = documents
    if missing := next((query for query in queries if query not in ranked), None):
        raise UserError(f"{path} has no line for the query {missing!r}.", "Every judged query needs its documents.")
    return {query: ranked[query] for query in queries}
