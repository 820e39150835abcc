"""One Lucene index on disk, and what goes into it: documents, queries, filters."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from retrievers.errors import RetrieverError
from retrievers.indexes._jvm import Java, java
from retrievers.metadata_columns import encodable

_TEXT_FIELD = (
    "(Ljava/lang/String;Ljava/lang/CharSequence;Lorg/apache/lucene/index/IndexableFieldType;)V"
)


class LuceneStore:
    """One Lucene index: written in row order, so that a Lucene document number is a row;
    searched by many threads.
    """

    def __init__(self, analyzer: Java, similarity: Java = None) -> None:
        self.analyzer, self._similarity = analyzer, similarity
        self._work = tempfile.TemporaryDirectory(prefix="retrievers-lucene-")
        self.folder = Path(self._work.name)
        self._writer: Java = None
        self._searcher: Java = None
        self._size = 0  # bytes of a loaded index

    def writer(self) -> Java:
        """Lucene's IndexWriter. Adjacent segments alone are merged,
        one at a time: document numbers stay in order.
        """
        self._searcher = None
        if self._writer is None:
            self._take_over()
            config = java("index.IndexWriterConfig")(self.analyzer)
            config.setMergePolicy(java("index.LogDocMergePolicy")())
            config.setMergeScheduler(java("index.SerialMergeScheduler")())
            config.setRAMBufferSizeMB(256.0)
            if self._similarity:
                config.setSimilarity(self._similarity)
            self._writer = java("index.IndexWriter")(_directory(self.folder), config)
        return self._writer

    def delete(self, numbers: list[int]) -> None:
        """Delete the documents with these numbers in their field "row".

        Lucene counts deleted documents in its statistics until they are merged away, which
        `searcher` does.
        """
        query = numbered(numbers)
        self.writer().deleteDocuments(query, signature="([Lorg/apache/lucene/search/Query;)J")

    def _take_over(self) -> None:
        """Copy a loaded index to where it may be written: its own folder is not to change."""
        if self.folder == Path(self._work.name):
            return
        try:
            for file in self.folder.iterdir():
                shutil.copyfile(file, Path(self._work.name) / file.name)
        except FileNotFoundError as error:
            raise RetrieverError(
                "The index was written anew since it was loaded.", "Load it again."
            ) from error
        self.folder, self._size = Path(self._work.name), 0

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
            # Long queries have more than Lucene's 1,024 terms.
            java("search.IndexSearcher").setMaxClauseCount(1 << 20)
        return self._searcher

    def search(self, query: Java, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the best `k`;
        Lucene gives equal scores in the order of document numbers.
        """
        top = self.searcher().search(query, k)
        # All hits in one call, as JSON:
        # a call into Java per hit would cost far more than the search.
        hits = json.loads(_json_writer().writeValueAsString(top))["scoreDocs"]
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


class Fields:
    """One Lucene document, filled again for each of ours:
    a new one each would be twenty calls into Java.
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
            field.setStringValue(encodable(value))
        self._row.setIntValue(row)
        writer.addDocument(self._document)


def numbered(numbers: list[int]) -> Java:
    """The Lucene query for the documents with these numbers in their field "row"."""
    return java("document.IntPoint").newSetQuery("row", *numbers)


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
