"""What a model is to those who use it: the kinds of model, and what follows from a kind."""

from enum import StrEnum


class Kind(StrEnum):
    """A kind of model, under the name that cards, stores and tables have for it."""

    DENSE = "dense"
    SPARSE = "sparse"  # a weight for each term of a vocabulary
    LEXICAL = "lexical"  # counts words, learned nothing
    CROSS = "cross"  # scores a query with a document
    LATE = "multi-vector"  # late interaction: a vector for each token
    HYBRID = "hybrid"  # several models as one
    SEARCH = "search"  # an object that searches by itself

    @property
    def gives_vectors(self) -> bool:
        """Whether each text gets one vector, which classifiers, clusters and indexes can use."""
        return self in (Kind.DENSE, Kind.SPARSE)

    @property
    def gives_tokens(self) -> bool:
        """Whether each text gets a vector for each of its tokens."""
        return self is Kind.LATE

    @property
    def encodes(self) -> bool:
        """Whether its texts are encoded, by themselves, into vectors that the store keeps."""
        return self.gives_vectors or self.gives_tokens

    @property
    def reranks(self) -> bool:
        """Whether it can put in order what another has found."""
        return self in (Kind.CROSS, Kind.LATE)

    @property
    def is_dense(self) -> bool:
        """Whether a text's vector is an array without gaps, to which cosines apply."""
        return self is Kind.DENSE

    @property
    def is_sparse(self) -> bool:
        """Whether a text's vector is a row of a sparse matrix."""
        return self is Kind.SPARSE

    @property
    def usual_similarity(self) -> str:
        """How its vectors are compared where the model does not say."""
        return {Kind.SPARSE: "dot", Kind.LATE: "maxsim"}.get(self, "cosine")

    @property
    def has_views(self) -> bool:
        """Whether dimensions and precisions of its vectors can be chosen,
        and layers, where they are dense.
        """
        return self in (Kind.DENSE, Kind.LATE)

    @property
    def has_weights(self) -> bool:
        """Whether there are parameters to load."""
        return self is not Kind.LEXICAL

    @property
    def gives(self) -> str:
        """What an index gets of it, in the words of `retrievers.takes`;
        empty where none holds it.
        """
        return _GIVES.get(self, "")

    @property
    def index(self) -> str:  # type: ignore[override]  # a text's own `index`, which no kind needs
        """The index that it is searched through where none is named; empty where none holds it."""
        return _INDEXES.get(self, "")


_GIVES = {
    Kind.DENSE: "dense",
    Kind.SPARSE: "sparse",
    Kind.LEXICAL: "text",
    Kind.LATE: "multi-vector",
}
_INDEXES = {
    Kind.DENSE: "faiss:flat",
    Kind.SPARSE: "sparse",
    Kind.LEXICAL: "lucene",
    Kind.LATE: "maxsim",
}
