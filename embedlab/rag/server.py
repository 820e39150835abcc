"""A generator behind a URL: any server with OpenAI's chat completions (vLLM, llama.cpp, Ollama, OpenAI itself)."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, unquote, urlsplit

from embedlab.errors import UserError, missing_extra
from embedlab.rag.generators import Generated, without_credentials

try:
    import httpx
    import openai
    from openai.types.chat import ChatCompletion
except ImportError as missing:
    raise missing_extra("A generator behind a URL", "rag") from missing

_SECONDS = 300.0  # for one answer
_RETRIES = 3  # of a request that was refused for the moment (429, 5xx, no connection), with growing pauses
_MALFORMED = 3  # answers in a row that are none, before we give up
_PAUSE = 0.5  # seconds before the second try, doubled for each further one
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_KEPT = "Type the same again to go on: what was answered is kept."


class ServerGenerator:
    """See `embedlab.rag.generators.find`. The key, where one is needed, is read from OPENAI_API_KEY.

    `settings` is what is asked for; `sent` what the model takes of it, known after the first answer: some models take
    `max_completion_tokens` alone, or no temperature.
    """

    def __init__(self, url: str, model: str, max_tokens: int, temperature: float, options: dict | None = None):
        self.url = without_credentials(url)
        self._client = _client(url)
        self.name = model or self._only_model()
        self.identity = f"{self.url} {self.name}"
        self.settings = {"max_tokens": max_tokens, "temperature": temperature, **(options or {})}
        self.sent = {"max_tokens": max_tokens, "temperature": temperature}
        self._options = options or {}

    def fits(self, prompt: str) -> bool:
        return True  # the server alone knows its tokens; it refuses what is too long

    def generate(self, prompt: str) -> Generated:
        messages = [{"role": "user", "content": prompt}]
        for tries in range(_MALFORMED):
            if tries:
                time.sleep(_PAUSE * 2 ** (tries - 1))
            with self._explained():
                answer = self._create(messages)
            problem = _problem(answer)
            if not problem:
                return _generated(answer)
        raise UserError(f"{self.url} gave no answer: {problem}", f"Look at the server. {_KEPT}")

    def _create(self, messages: list[dict]) -> object:
        """The server's answer; once more without a setting that the model turns out not to take."""
        try:
            return self._client.chat.completions.create(
                model=self.name, messages=messages, extra_body=self._options or None, **self.sent
            )
        except openai.BadRequestError as error:
            refused = _refused(error, self.sent)
            if refused is None:
                raise
            value = self.sent.pop(refused)
            if refused == "max_tokens":
                self.sent["max_completion_tokens"] = value
            return self._create(messages)
        except (ValueError, RecursionError) as error:  # what the client makes of a body that is no JSON
            return f"no JSON ({error})"

    def _only_model(self) -> str:
        with self._explained():
            try:
                names = [model.id for model in self._client.models.list()]
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise UserError(
                    f"{self.url} does not list its models: {error}", "Choose one with --generator-model."
                ) from error
        if len(names) != 1:
            raise UserError(
                f"{self.url} serves {len(names)} models.",
                f"Choose one with --generator-model: {', '.join(map(str, names[:10])) or 'its name'}.",
            )
        return names[0]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except openai.APIConnectionError as error:  # a timeout is one of these
            cause = without_credentials(str(error.__cause__ or error))
            raise UserError(f"No answer from {self.url}: {cause}", f"Is the server running? {_KEPT}") from error
        except openai.APIStatusError as error:
            problem = f"{self.url} refused the request: {error.status_code} {_words(error)}"
            if error.status_code in (401, 403):
                raise UserError(problem, "Set OPENAI_API_KEY to the server's key.") from error
            raise UserError(problem, f"Check --generator-model, --k and --max-tokens. {_KEPT}") from error
        except openai.OpenAIError as error:
            raise UserError(f"{self.url}: {error}", f"Look at the server. {_KEPT}") from error


def _client(url: str) -> "openai.OpenAI":
    """A client for the address; name, password and query of the URL go to the server and nowhere else.

    Raises:
        UserError: it is no URL.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx.URL(without_credentials(url))
    except (ValueError, httpx.InvalidURL) as error:
        raise UserError(f"{without_credentials(url)} is no URL: {error}.", _URL) from error
    if not host:
        raise UserError(f"{without_credentials(url)} names no host.", _URL)
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return openai.OpenAI(
        base_url=without_credentials(url),
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        timeout=_SECONDS,
        max_retries=_RETRIES,
        default_query=dict(parse_qsl(parts.query)),
        http_client=openai.DefaultHttpxClient(auth=login) if login else None,
    )


_URL = "Type one such as http://localhost:8000/v1."


def _problem(answer: object) -> str:
    """What is wrong with a server's answer; empty where it is a completion."""
    if not isinstance(answer, ChatCompletion):
        return f"not a completion but {str(answer)[:80]!r}."
    error = (answer.model_extra or {}).get("error")
    if error:
        return str(error.get("message") if isinstance(error, dict) else error)[:300]
    if not answer.choices:
        return "a completion without choices."
    if answer.choices[0] is None or answer.choices[0].message is None:
        return "a choice without a message."
    return ""


def _generated(answer: ChatCompletion) -> Generated:
    choice, used = answer.choices[0], answer.usage
    content = choice.message.content
    if isinstance(content, list):  # parts, as in OpenAI's requests
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    text = _THOUGHT.sub("", content or "").strip()
    return Generated(
        text,
        used.prompt_tokens if used else None,
        used.completion_tokens if used else None,
        cut=choice.finish_reason == "length",
    )


def _refused(error: "openai.BadRequestError", sent: dict) -> str | None:
    """The setting that a model does not take, as the server says in its error."""
    body = error.body if isinstance(error.body, dict) else {}
    if body.get("code") not in ("unsupported_parameter", "unsupported_value"):
        return None
    return body["param"] if body.get("param") in sent else None


def _words(error: "openai.APIStatusError") -> str:
    """What the server says, without the wrapping."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)[:300]
