"""What is sent to the server, and what it answers: the OpenAPI description is made of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

_MOST_TEXTS = 2048  # OpenAI's own limit


class SearchRequest(BaseModel):
    """A query to the index."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(description="What to search for.")
    k: int | None = Field(None, description="Documents to give; 10 by default.")
    where: str = Field(
        "", description="Only documents whose metadata are so: year >= 2020 and lang = 'en'."
    )


class FoundDocument(BaseModel):
    """A document that was found, with its score in this index: `embedlab search` gives the same."""

    rank: int
    id: str
    score: float
    text: str
    metadata: dict[str, Any] = Field(description="Title and further fields of the document.")


class SearchAnswer(BaseModel):
    """The best documents, best first."""

    query: str
    results: list[FoundDocument]


class EmbeddingRequest(BaseModel):
    """Texts to embed, as OpenAI's clients send them. What they send beside is left unread."""

    model_config = ConfigDict(strict=True)

    model: str = Field(description="A name of /v1/models.")
    input: StrictStr | Annotated[list[StrictStr], Field(min_length=1, max_length=_MOST_TEXTS)] = (
        Field(description="A text, or several.")
    )
    input_type: Literal["query", "document", "text"] | None = Field(
        None,
        description="query, document: with the model's prompt for it, as the index uses it."
        " text, or nothing: without any prompt.",
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: of little-endian float32."
    )
    dimensions: int | None = Field(None, description="The model's own, or nothing.")


class Embedding(BaseModel):
    """The vector of the text at `index`."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that the model read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage | None = None


class Prompts(BaseModel):
    """What precedes a text of each role."""

    query: str
    document: str
    text: str


class ServedModel(BaseModel):
    """A dense model of the index."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    similarity: str
    prompts: Prompts


class ModelList(BaseModel):
    """The models that /v1/embeddings takes."""

    object: Literal["list"]
    data: list[ServedModel]


class Health(BaseModel):
    """Whether the server answers."""

    status: Literal["ok"]


class Problem(BaseModel):
    """What is wrong, in one sentence."""

    message: str
    code: int


class ErrorAnswer(BaseModel):
    """Any answer whose status is 400 or above."""

    error: Problem
