"""A generator behind a URL: any server with OpenAI's chat completions (vLLM, llama.cpp, Ollama, OpenAI itself)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from embedlab.errors import UserError, missing_extra
from embedlab.rag.generators import Generated

try:
    import openai
except ImportError as missing:
    raise missing_extra("A generator behind a URL", "rag") from missing

_SECONDS = 300.0  # for one answer
_RETRIES = 3  # of a request that was refused for the moment, with growing pauses


class ServerGenerator:
    """See `embedlab.rag.generators.find`. The key, where one is needed, is read from OPENAI_API_KEY."""

    def __init__(self, url: str, model: str, max_tokens: int, temperature: float):
        self.url = url.rstrip("/")
        self._client = openai.OpenAI(
            base_url=self.url,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=_SECONDS,
            max_retries=_RETRIES,
        )
        self.name = model or self._only_model()
        self.identity = f"{self.url} {self.name}"
        self.settings = {"max_tokens": max_tokens, "temperature": temperature}

    def fits(self, prompt: str) -> bool:
        return True  # the server alone knows its tokens; it refuses what is too long

    def generate(self, prompt: str) -> Generated:
        messages = [{"role": "user", "content": prompt}]
        with self._explained():
            answer = self._client.chat.completions.create(model=self.name, messages=messages, **self.settings)
        used = answer.usage
        return Generated(
            (answer.choices[0].message.content or "").strip(),
            used.prompt_tokens if used else None,
            used.completion_tokens if used else None,
        )

    def _only_model(self) -> str:
        with self._explained():
            names = [model.id for model in self._client.models.list()]
        if len(names) != 1:
            raise UserError(
                f"{self.url} serves {len(names)} models.",
                f"Choose one with --generator-model: {', '.join(names[:10]) or 'its name'}.",
            )
        return names[0]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        kept = "Type the same again to go on: what was answered is kept."
        try:
            yield
        except openai.APIConnectionError as error:  # a timeout is one of these
            raise UserError(
                f"No answer from {self.url}: {error.__cause__ or error}", f"Is the server running? {kept}"
            ) from error
        except openai.APIStatusError as error:
            problem = f"{self.url} refused the request: {error.status_code} {_words(error)}"
            if error.status_code in (401, 403):
                raise UserError(problem, "Set OPENAI_API_KEY to the server's key.") from error
            raise UserError(problem, f"Check --generator-model, --k and --max-tokens. {kept}") from error


def _words(error: "openai.APIStatusError") -> str:
    """What the server says, without the wrapping."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)[:300]
