"""The endpoints of a served index."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from embedlab import __version__
from embedlab.errors import explained
from embedlab.serve import bodies
from embedlab.serve.guard import answer, refusal
from embedlab.serve.mcp_search import mcp_server, over_http
from embedlab.serve.served_index import ServedIndex, Vectors
from embedlab.serve.shared_passes import Refusal
from embedlab.terminal import echo

_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": bodies.ErrorAnswer, "description": "What is wrong with the request."},
    "5XX": {"model": bodies.ErrorAnswer, "description": "Why there is no answer."},
}


def api(index: ServedIndex) -> FastAPI:
    """The application: search, embeddings, health, its own description, and MCP."""
    mcp = mcp_server(index)
    mcp_routes = over_http(mcp)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with mcp.session_manager.run():
            yield
        index.close()

    app = FastAPI(
        title=f"embedlab serve {index.name}",
        version=__version__,
        description=described(index),
        lifespan=running,
        docs_url=None,  # pages that fetch scripts from elsewhere
        redoc_url=None,
        responses=_ERRORS,
    )
    app.router.routes.extend(mcp_routes)
    _answer_errors(app)

    @app.get("/health", response_model=bodies.Health)
    async def health() -> Response:
        """Whether the server answers; needs no token."""
        return answer({"status": "ok"})

    @app.post("/search", response_model=bodies.SearchAnswer)
    async def search(asked: bodies.SearchRequest, request: Request) -> Response:
        """The best documents for a query, as `embedlab search` finds them."""
        results = await index.search(
            asked.query, asked.k, asked.where, has_left=request.is_disconnected
        )
        return answer({"query": asked.query, "results": results})

    @app.get("/v1/models", response_model=bodies.ModelList)
    async def models() -> Response:
        """The dense models of the index, with their prompts for queries and documents."""
        return answer({"object": "list", "data": [_model(index, name) for name in index.encoders]})

    @app.post("/v1/embeddings", response_model=bodies.EmbeddingAnswer)
    async def embeddings(asked: bodies.EmbeddingRequest, request: Request) -> Response:
        """Vectors of texts, in the form of OpenAI's endpoint."""
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        vectors = await index.embeddings(
            asked.model, texts, asked.input_type or "text", has_left=request.is_disconnected
        )
        width = vectors.rows.shape[1]
        if asked.dimensions not in (None, width):
            raise Refusal(f"{asked.model} gives {width} dimensions, not {asked.dimensions}.", 422)
        return answer(_embeddings(asked, vectors))

    return app


def described(index: ServedIndex) -> str:
    """What is served, in a few sentences."""
    lines = [f"The index {index.name}: {len(index.retriever.ids)} documents."]
    for name, encoder in index.encoders.items():
        roles = (("query", encoder.query), ("document", encoder.document))
        prompts = ", ".join(f"{role} {how.get('prompt') or ''!r}" for role, how in roles)
        lines.append(f"Its model {name} has the prompts: {prompts}.")
    lines.append(index.fields_said)
    return " ".join(lines)


def _model(index: ServedIndex, name: str) -> dict[str, Any]:
    encoder = index.encoders[name]
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "embedlab",
        "similarity": getattr(encoder.model, "similarity_fn_name", None) or "cosine",
        "prompts": {
            "query": encoder.query.get("prompt") or "",
            "document": encoder.document.get("prompt") or "",
            "text": "",
        },
    }


def _embeddings(asked: bodies.EmbeddingRequest, vectors: Vectors) -> dict[str, Any]:
    rows = vectors.rows.astype("<f4", copy=False)
    usage = {"prompt_tokens": vectors.tokens, "total_tokens": vectors.tokens}
    return {
        "object": "list",
        "model": asked.model,
        "data": [
            {"object": "embedding", "index": n, "embedding": _written(row, asked.encoding_format)}
            for n, row in enumerate(rows)
        ],
        **({"usage": usage} if vectors.tokens is not None else {}),
    }


def _written(row: np.ndarray, form: str) -> str | list[float]:
    numbers: list[float] = row.tolist()
    return base64.b64encode(row.tobytes()).decode() if form == "base64" else numbers


def _answer_errors(app: FastAPI) -> None:
    """Every error as one sentence in JSON."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        busy = {"Retry-After": "1"} if error.status == 503 else {}
        return refusal(str(error), error.status, busy)

    @app.exception_handler(HTTPException)
    async def no_such_page(request: Request, error: HTTPException) -> Response:
        sentence = {
            404: f"There is no {request.url.path} here: see /openapi.json.",
            405: f"{request.url.path} does not take {request.method}: see /openapi.json.",
        }.get(error.status_code, f"{error.detail}.")
        return refusal(sentence, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def misfit(request: Request, error: RequestValidationError) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not kind.endswith("json"):
            return refusal("Send JSON, with the header Content-Type: application/json.", 415)
        return refusal(_sentence(error.errors()[0]), 422)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        problem, _hint = explained(error) or (f"{type(error).__name__}: {error}", "")
        echo(f"Error: {problem}", err=True)
        return refusal(f"The server could not answer: {problem}", 500)


def _sentence(error: dict[str, Any]) -> str:
    """What pydantic finds wrong first, as a sentence."""
    place = ".".join(map(str, error["loc"][1:]))
    if error["type"] == "json_invalid":
        return f"The body is no JSON: {error['ctx']['error']}."
    if place.startswith("input."):  # one of its two types
        return "input is a text, or a list of 1 to 2048 texts."
    if error["type"] == "missing":
        return f"{place or 'The body'} is missing."
    if error["type"] == "extra_forbidden":
        return f"There is no field {place}."
    if not place or error["type"] == "model_attributes_type":
        return "The body is no JSON object."
    said = error["msg"].removeprefix("Input ")
    return f"{place} {said}."
