"""BM25 with Lucene, as Anserini runs it, in this process."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from retrievers.base import Documents
from retrievers.errors import RetrieverError
from retrievers.indexes._jvm import Java, java
from retrievers.indexes.lucene_base import LuceneBase
from retrievers.indexes.lucene_store import Fields, filtered
from retrievers.metadata_columns import encodable
from retrievers.texts import Document, Texts, WithTexts, check_texts, joined, title_and_text

KINDS = ("flat", "multifield")


@dataclass(eq=False)
class LuceneIndex(WithTexts, LuceneBase):
    """BM25 (Robertson and Zaragoza 2009) with Anserini's analysers and defaults
    (k1 = 0.9, b = 0.4).

    `kind`: "flat" puts title and text into one field; "multifield" gives each its own and adds
    their scores.
    `language`: a two-letter code, English with Porter's stemmer by default; "whitespace" leaves
    words as they are.
    """

    family: ClassVar[str] = "lucene"
    takes: ClassVar[str] = "text"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        **LuceneBase.ranges,
        "k1": (0, 1e6),
        "b": (0, 1),
    }

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

    def _write_documents(self, documents: list[Document], first: int) -> None:
        writer = self._store.writer()
        if self._fields is None:
            self._fields = Fields(
                *(("contents", "title") if self.kind == "multifield" else ("contents",))
            )
        for row, document in enumerate(documents, start=first):
            title, text = title_and_text(document)
            values = (text, title) if self.kind == "multifield" else (joined(document),)
            self._fields.add(writer, row, values)
        self._texts.extend(documents)

    def _keep(self, rows: np.ndarray) -> None:
        super()._keep(rows)
        self._texts.keep(rows)

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
            encodable(joined(query)),
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
