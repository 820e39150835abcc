"""Providers with a protocol of their own (Cohere, Voyage, Gemini, Bedrock, ...) through the package
litellm, which knows them and reads their keys from the environment.
"""

import os
from collections.abc import Callable
from typing import Any

from embedlab.compat.litellm_internals import headers_of
from embedlab.errors import missing_extra
from embedlab.servers import chat as chat_models
from embedlab.servers import rate_limits
from embedlab.servers.embeddings import Ask
from embedlab.servers.http_client import Reply
from embedlab.servers.refusals import Refused

_SECONDS = 300.0
# What providers call the role of a text, by litellm's name of the provider (as mteb's wrappers).
INPUT_TYPES = {
    "cohere": ("search_query", "search_document", "search_document"),
    "voyage": ("query", "document", "document"),
}


def embeddings(model: str) -> Ask:
    """Requests through `litellm.embedding`.

    Args:
        model: PROVIDER/MODEL.

    Raises:
        UserError: litellm is not installed.
    """
    litellm = _litellm()

    def ask(texts: list[str], more: dict[str, Any]) -> Reply:
        named = {key: value for key, value in more.items() if key != "encoding_format"}
        return _answered(lambda: litellm.embedding(model=model, input=texts, **named, **_ONCE))

    return ask


def rerank(model: str) -> Callable[[str, list[str]], Reply]:
    """Requests through `litellm.rerank`."""
    litellm = _litellm()

    def ask(query: str, texts: list[str]) -> Reply:
        return _answered(
            lambda: litellm.rerank(
                model=model, query=query, documents=texts, top_n=len(texts), **_ONCE
            )
        )

    return ask


def chat(model: str) -> chat_models.Ask:
    """Requests through `litellm.completion`."""
    litellm = _litellm()

    def ask(messages: list[dict[str, str]], more: dict[str, Any]) -> Reply:
        return _answered(
            lambda: litellm.completion(model=model, messages=messages, **more, **_ONCE)
        )

    return ask


_ONCE = {"num_retries": 0, "max_retries": 0, "timeout": _SECONDS}  # trying again is our own


def _litellm() -> Any:
    # Its table of prices is fetched from elsewhere otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ImportError:
        raise missing_extra("A model through litellm", "litellm") from None
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _answered(call: Callable[[], Any]) -> Reply:
    try:
        response = call()
    except Exception as error:
        status = getattr(error, "status_code", 0)
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        # Where there was no answer at all, litellm says 500.
        raise Refused(
            str(getattr(error, "message", error)),
            status if isinstance(status, int) else 0,
            retry_after=rate_limits.retry_after(headers),
        ) from error
    body = response.model_dump() if hasattr(response, "model_dump") else dict(response)
    return Reply(body, headers_of(response))
