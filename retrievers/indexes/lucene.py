"""BM25 with Lucene, as Anserini runs it, in this process."""

import json
import os
import re
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from retrievers import topk
from retrievers.base import Documents, Hits
from retrievers.errors import RetrieverError
from retrievers.indexes._jvm import Java, detach, in_java, java
from retrievers.indexes.base_index import Content, Index
from retrievers.texts import Document, Texts, check_texts, joined, title_and_text

_TEXT_FIELD = (
    "(Ljava/lang/String;Ljava/lang/CharSequence;Lorg/apache/lucene/index/IndexableFieldType;)V"
)
KINDS = ("flat", "multifield")


class LuceneStore:
    """One Lucene index: written in row order, so that a Lucene document number is a row; searched
    by many threads.
    """

    def __init__(self, analyzer: Java, similarity: Java = None) -> None:
        self.analyzer, self._similarity = analyzer, similarity
        self._work = tempfile.TemporaryDirectory(prefix="retrievers-lucene-")
        self.folder = Path(self._work.name)
        self._writer: Java = None
        self._searcher: Java = None
        self._size = 0  # bytes of a loaded index

    def writer(self) -> Java:
        """Lucene's IndexWriter. Adjacent segments alone are merged, one at a time: document numbers
        stay in order.
        """
        self._searcher = None
        if self._writer is None:
            config = java("index.IndexWriterConfig")(self.analyzer)
            config.setMergePolicy(java("index.LogDocMergePolicy")())
            config.setMergeScheduler(java("index.SerialMergeScheduler")())
            config.setRAMBufferSizeMB(256.0)
            if self._similarity:
                config.setSimilarity(self._similarity)
            self._writer = java("index.IndexWriter")(_directory(self.folder), config)
        return self._writer

    def searcher(self) -> Java:
        """Lucene's IndexSearcher over everything written so far, merged into one segment."""
        if self._writer is not None:
            self._writer.forceMerge(1)
            self._writer.close()
            self._writer = None
        if self._searcher is None:
            reader = java("index.DirectoryReader").open(_directory(self.folder))
            self._searcher = java("search.IndexSearcher")(
                reader, signature="(Lorg/apache/lucene/index/IndexReader;)V"
            )
            if self._similarity:
                self._searcher.setSimilarity(self._similarity)
            java("search.IndexSearcher").setMaxClauseCount(
                1 << 20
            )  # long queries have more than Lucene's 1,024 terms
        return self._searcher

    def search(self, query: Java, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the best `k`; Lucene gives equal scores in the order of document
        numbers.
        """
        found = self.searcher().search(query, k)
        # All hits in one call, as JSON: a call into Java per hit would cost far more than the
        # search.
        hits = json.loads(_json_writer().writeValueAsString(found))["scoreDocs"]
        return np.array([hit["doc"] for hit in hits], np.int32), np.array(
            [hit["score"] for hit in hits], np.float32
        )

    def open(self, folder: Path) -> None:
        """Search the index in `folder` from now on, also when its files are removed meanwhile."""
        self.folder = folder
        self._size = self.bytes()
        try:
            self.searcher()
        except Exception as error:  # of Java
            problem = str(error).splitlines()[0]
            raise RetrieverError(
                f"Lucene cannot read {folder}: {problem}", "Build the index again."
            ) from error

    def save(self, target: Path) -> None:
        self.searcher()
        target.mkdir()
        for file in self.folder.iterdir():
            if file.name != "write.lock":
                shutil.copyfile(file, target / file.name)

    def count(self) -> int:
        """The number of documents."""
        return int(self.searcher().getIndexReader().maxDoc())

    def bytes(self) -> int:
        return self._size or sum(file.stat().st_size for file in self.folder.iterdir())


@dataclass(eq=False)
class LuceneBase(Index):
    """What the Lucene indexes share. `threads` searches run at a time; 0 takes one per core."""

    threads: int = 0

    @in_java
    def _clear(self) -> None:
        self._store = LuceneStore(self._analyzer(), self._similarity())

    @in_java
    def finish(self) -> None:
        self._store.searcher()

    @in_java
    def _add(self, documents: Content) -> None:
        self._write_documents(documents)

    def _search(self, queries: Content, k: int, rows: np.ndarray | None) -> Hits:
        count = queries.shape[0] if hasattr(queries, "shape") else len(queries)
        answers = self._found(queries, count, k, rows)
        hits = Hits(np.full((count, k), -1, np.int32), np.full((count, k), -np.inf, np.float32))
        for q, (found, scores) in enumerate(answers):
            hits.rows[q, : len(found)], hits.scores[q, : len(found)] = found, scores
        return topk.best(*hits, k)

    @in_java
    def _found(
        self, queries: Content, count: int, k: int, rows: np.ndarray | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        allowed = (
            None if rows is None else java("document.IntPoint").newSetQuery("row", *rows.tolist())
        )
        self._store.searcher()
        return self._answers([self._query(queries[q], k, allowed) for q in range(count)], k)

    def _answers(self, asked: list[Java], k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and scores for each Lucene query. The threads call one searcher and one writer,
        which is safe.
        """
        workers = min(self.threads or os.cpu_count() or 1, len(asked))
        if workers <= 1:
            return [self._store.search(query, k) for query in asked]

        def work(part: list[Java]) -> list[tuple[np.ndarray, np.ndarray]]:
            try:
                return [self._store.search(query, k) for query in part]
            finally:
                detach()

        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(work, [asked[w::workers] for w in range(workers)]))
        return [parts[q % workers][q // workers] for q in range(len(asked))]

    def memory_bytes(self) -> int:
        """The size of the index files, which Lucene maps into memory."""
        self.finish()
        return self._store.bytes()

    @in_java
    def _write(self, target: Path) -> None:
        self._store.save(target / "lucene")

    @in_java
    def _read(self, path: Path) -> None:
        self._store.open(path / "lucene")
        self._expect(self._store.count(), "documents")

    @abstractmethod
    def _analyzer(self) -> None: ...

    def _similarity(self) -> Java:
        """How Lucene scores; None for its own way."""
        return None

    @abstractmethod
    def _write_documents(self, documents: Content) -> None:
        """Write `documents` with the store's writer; their first row is the number of documents so
        far.
        """

    @abstractmethod
    def _query(self, query: Any, k: int, allowed: Java) -> Java:
        """The Lucene query for one query, limited by the Lucene query `allowed` if that is not
        None.
        """


@dataclass(eq=False)
class LuceneIndex(LuceneBase):
    """BM25 (Robertson and Zaragoza 2009) with Anserini's analysers and defaults (k1 = 0.9, b =
    0.4).

    `kind`: "flat" puts title and text into one field; "multifield" gives each its own and adds
    their scores.
    `language`: a two-letter code, English with Porter's stemmer by default; "whitespace" leaves
    words as they are.
    """

    family: ClassVar[str] = "lucene"
    takes: ClassVar[str] = "text"

    kind: str = "flat"
    k1: float = 0.9
    b: float = 0.4
    language: str = "en"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RetrieverError(
                f"Unknown Lucene index {self.kind!r}.", f"Known: {', '.join(KINDS)}, impact, hnsw."
            )
        super().__post_init__()

    @property
    def exact(self) -> bool:
        return True

    def _clear(self) -> None:
        super()._clear()
        self._texts = Texts()
        self._fields: Fields | None = None

    def text(self, row: int) -> str:
        return self._texts[row]

    def metadata(self, row: int) -> dict[str, Any]:
        return self._texts.metadata(row)

    def _checked(self, documents: Documents) -> list[Document]:
        return check_texts(documents)

    def _content(self, documents: list[Document]) -> Iterator[tuple[str, bytes]]:
        for part, texts in zip(
            ("titles", "texts"), zip(*map(title_and_text, documents), strict=True), strict=False
        ):
            yield (
                part,
                "".join(f"{len(text)}:{text}" for text in texts).encode("utf-8", "surrogatepass"),
            )

    def _write_documents(self, documents: list[Document]) -> None:
        writer = self._store.writer()
        if self._fields is None:
            self._fields = Fields(
                *(("contents", "title") if self.kind == "multifield" else ("contents",))
            )
        for row, document in enumerate(documents, start=len(self.ids)):
            title, text = title_and_text(document)
            values = (text, title) if self.kind == "multifield" else (joined(document),)
            self._fields.add(writer, row, values)
        self._texts.extend(documents)

    def _analyzer(self) -> Java:
        if self.language == "en":
            return java("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
        if self.language == "whitespace":
            return java("analysis.core.WhitespaceAnalyzer")()
        analysers = java("io.anserini.analysis.AnalyzerMap")
        if not analysers.analyzerMap.containsKey(self.language):
            known = sorted(re.findall(r"(\w\w)=", analysers.analyzerMap.toString()))
            raise RetrieverError(
                f"Lucene has no analyser for {self.language!r}.", f"Known: en, {', '.join(known)}."
            )
        analyser = analysers.getLanguageSpecificAnalyzer(self.language)
        try:
            analyser.tokenStream("contents", "word").close()
        except Exception as error:  # of Java, such as Thai without the Java runtime's word lists
            raise RetrieverError(
                f"Lucene's analyser for {self.language!r} does not work here:"
                f" {str(error).splitlines()[0]}",
                "Use 'whitespace', and texts whose words are set apart.",
            ) from error
        return analyser

    def _similarity(self) -> Java:
        return java("search.similarities.BM25Similarity")(self.k1, self.b)

    def _query(self, query: Document, k: int, allowed: Java) -> Java:
        words, text = (
            java("io.anserini.search.query.BagOfWordsQueryGenerator")(),
            _encodable(joined(query)),
        )
        if self.kind == "flat":
            return filtered(words.buildQuery("contents", self._store.analyzer, text), allowed)
        weights = java("java.util.HashMap")()
        for name in ("contents", "title"):
            weights.put(name, java("java.lang.Float")(1.0))
        return filtered(words.buildQuery(weights, self._store.analyzer, text), allowed)

    def _write(self, target: Path) -> None:
        super()._write(target)
        self._texts.save(target)

    def _read(self, path: Path) -> None:
        super()._read(path)
        self._texts = Texts.load(path)
        self._expect(len(self._texts), "texts")


class Fields:
    """One Lucene document, filled again for each of ours: a new one each would be twenty calls into
    Java.
    """

    def __init__(self, *names: str):
        options = java("document.FieldType")()
        options.setIndexOptions(java("index.IndexOptions").DOCS_AND_FREQS)
        options.freeze()
        self._fields = [
            java("document.Field")(name, "", options, signature=_TEXT_FIELD) for name in names
        ]
        self._row = java("document.IntPoint")("row", 0)
        self._document = java("document.Document")()
        for field in (*self._fields, self._row):
            self._document.add(field)

    def add(self, writer: Java, row: int, values: tuple[str, ...]) -> None:
        for field, value in zip(self._fields, values, strict=True):
            field.setStringValue(_encodable(value))
        self._row.setIntValue(row)
        writer.addDocument(self._document)


def _encodable(text: str) -> str:
    """The text with lone surrogates, which Java's strings cannot take from here, as question
    marks.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def filtered(query: Java, allowed: Java) -> Java:
    """The Lucene query, limited to the documents of `allowed`; scores stay."""
    if allowed is None:
        return query
    occur = java("search.BooleanClause$Occur")
    return (
        java("search.BooleanQuery$Builder")()
        .add(query, occur.MUST)
        .add(allowed, occur.FILTER)
        .build()
    )


def _directory(folder: Path) -> Java:
    return java("store.FSDirectory").open(java("java.io.File")(str(folder)).toPath())


def java_version() -> str:
    """The version of the Java that runs Lucene; starts it."""
    return str(java("java.lang.System").getProperty("java.version"))


@cache
def _json_writer() -> Java:
    return java("com.fasterxml.jackson.databind.ObjectMapper")()
