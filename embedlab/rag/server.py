"""A generator behind a URL: any server with OpenAI's chat completions
(vLLM, llama.cpp, Ollama, OpenAI itself).
"""

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from embedlab.errors import UserError, missing_extra
from embedlab.rag.generator import Generated
from embedlab.resources import DATA, home
from embedlab.servers import rate_limits, secrecy
from embedlab.servers.prices import Price, estimated_tokens, price_of
from embedlab.servers.refusals import Refused
from embedlab.servers.requests_in_flight import InFlight, Sent
from embedlab.servers.secrecy import without_credentials
from embedlab.servers.server_names import Address
from embedlab.spending import Purse

try:
    import httpx
    import openai
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
except ImportError as missing:
    raise missing_extra("A generator behind a URL", "rag") from missing

_SECONDS = 300.0  # for one answer
_USAGE = ("prompt", "completion")
_MALFORMED = 3  # answers in a row that are none, before we give up
_PAUSE = 0.5  # seconds before the second try, doubled for each further one
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_KEPT = "Type the same again to go on: what was answered is kept."


class ServerGenerator:
    """See `embedlab.rag.generators.find`.
    The key, where one is needed, is read from OPENAI_API_KEY.

    `settings` is what is asked for; `sent` what the model takes of it, known after the first
    answer: some models take `max_completion_tokens` alone, or no temperature.
    """

    def __init__(
        self,
        url: str,
        model: str,
        max_tokens: int,
        temperature: float,
        options: dict[str, Any] | None = None,
        in_flight: int = 16,
        purse: Purse | None = None,
    ) -> None:
        self.url = without_credentials(url)
        self._secrets = secrecy.of_url(url)
        self._client = _client(url)
        self.name = model or self._only_model()
        # Two values of ?api-version= or ?deployment= may be two models.
        query = secrecy.rest_of_query(url)
        self.identity = f"{self.url} {self.name}" + f" ?{query}" * bool(query)
        self.settings = {"max_tokens": max_tokens, "temperature": temperature, **(options or {})}
        self.sent = {"max_tokens": max_tokens, "temperature": temperature}
        self._options = options or {}
        self._most, self._answered = max_tokens, False
        self._lock = threading.Lock()
        self._price = self._listed_price()
        self._in_flight = InFlight(in_flight, purse or Purse(), self._price)

    def tokens(self, text: str) -> int:
        return estimated_tokens(text)

    def fits(self, prompt: str) -> bool:
        return True  # the server alone knows its tokens; it refuses what is too long

    def generate(self, prompt: str) -> Generated:
        messages = [{"role": "user", "content": prompt}]
        for tries in range(_MALFORMED):
            if tries:
                time.sleep(_PAUSE * 2 ** (tries - 1))
            began = time.perf_counter()
            answer = self._asked(messages)
            problem = _problem(answer)
            if not problem:
                return self._priced(_generated(answer, time.perf_counter() - began))
        raise UserError(
            f"{self.url} gave no answer: {self._shown(problem)}", f"Look at the server. {_KEPT}"
        )

    def _priced(self, generated: Generated) -> Generated:
        """With its price, where that is known and the server counts tokens."""
        read, wrote = generated.prompt_tokens, generated.answer_tokens
        if self._price is None or read is None or wrote is None:
            return generated
        return replace(generated, price=self._price.of(read, 0, wrote))

    def generate_all(self, prompts: Sequence[str]) -> Iterator[tuple[int, Generated]]:
        """As many at once as `in_flight` says, each as it comes."""
        yield from self._in_flight.all(
            range(len(prompts)), lambda place: (place, self.generate(prompts[place]))
        )

    def _asked(self, messages: list[dict[str, Any]]) -> Any:
        """The server's answer; what it refuses for the moment is asked again (`InFlight.ask`)."""
        about = sum(estimated_tokens(message["content"]) for message in messages)

        def request() -> Sent[Any]:
            try:
                answer, headers = self._create(messages)
            except openai.APIConnectionError as error:
                if not self._answered:  # it is not there: nobody waits for it
                    raise
                raise Refused(str(error)) from error
            except openai.APIStatusError as error:
                wait = rate_limits.retry_after(error.response.headers)
                raise Refused(_words(error), error.status_code, retry_after=wait) from error
            self._answered = True
            read, wrote = (_count(getattr(answer, "usage", None), f"{n}_tokens") for n in _USAGE)
            tokens = None if read is None or wrote is None else read + wrote
            return Sent(answer, headers, tokens, wrote or 0)

        with self._explained():
            try:
                return self._in_flight.ask(about, request, written=self._most).answer
            except Refused as refused:
                raise refused.__cause__ or refused from None

    def _listed_price(self) -> Price | None:
        url = self.url.rstrip("/")
        route = "openai" if urlsplit(url).hostname == "api.openai.com" else "url"
        files = [home() / "prices.toml", DATA / "prices.toml"]
        return price_of(Address(route, url, self.name), files)

    def _create(self, messages: list[dict[str, Any]]) -> tuple[Any, Mapping[str, str]]:
        """The server's answer and its headers; once more without a setting that the model turns out
        not to take.
        """
        sent, headers = dict(self.sent), {}  # other threads may find out meanwhile
        try:
            # Its overloads know no dictionary of settings.
            create: Any = self._client.chat.completions.with_raw_response.create
            raw = create(
                model=self.name, messages=messages, extra_body=self._options or None, **sent
            )
            headers = {name.lower(): value for name, value in raw.headers.items()}
            return raw.parse(), headers
        except openai.BadRequestError as error:
            refused = _refused(error, sent)
            if refused is None:
                raise
            with self._lock:
                value = self.sent.pop(refused, None)
                if refused == "max_tokens" and value is not None:
                    self.sent["max_completion_tokens"] = value
            return self._create(messages)
        except (ValueError, RecursionError) as error:
            # What the client makes of a body that is no JSON.
            return f"no JSON ({error})", headers

    def _only_model(self) -> str:
        with self._explained():
            try:
                names = [model.id for model in self._client.models.list()]
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise UserError(
                    f"{self.url} does not list its models: {self._shown(error)}",
                    "Choose one with --generator-model.",
                ) from error
        if len(names) != 1 or not isinstance(names[0], str) or not names[0]:
            raise UserError(
                f"{self.url} serves {len(names)} models.",
                "Choose one with --generator-model:"
                f" {', '.join(map(str, names[:10])) or 'its name'}.",
            )
        return encodable(names[0])

    def _shown(self, words: object) -> str:
        """What a server or the client says, without what is secret:
        servers repeat what they were sent.
        """
        return secrecy.shown(words, self._secrets)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except openai.APIConnectionError as error:  # a timeout is one of these
            cause = error.__cause__ or error
            raise UserError(
                f"No answer from {self.url}: {self._shown(cause)}",
                f"Is the server running? {_KEPT}",
            ) from error
        except openai.APIStatusError as error:
            problem = (
                f"{self.url} refused the request: {error.status_code} {self._shown(_words(error))}"
            )
            if error.status_code in (401, 403):
                raise UserError(problem, "Set OPENAI_API_KEY to the server's key.") from error
            if 300 <= error.status_code < 400:
                place = self._shown(error.response.headers.get("location", "nowhere"))
                raise UserError(
                    f"{self.url} sends the request on to {place}.",
                    "Name that address if you trust it.",
                ) from error
            hint = f"Check --generator-model, --k, --max-tokens and --temperature. {_KEPT}"
            raise UserError(problem, hint) from error
        except openai.OpenAIError as error:
            raise UserError(
                f"{self.url}: {self._shown(error)}", f"Look at the server. {_KEPT}"
            ) from error


def _client(url: str) -> "openai.OpenAI":
    """A client for the address;
    name, password and query of the URL go to the server and nowhere else.

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
        max_retries=0,  # `InFlight.ask` does it, for all requests together
        default_query=dict(parse_qsl(parts.query)),
        # Prompts go where the user said, and answers come from there:
        # nobody is sent on to another server.
        http_client=openai.DefaultHttpxClient(auth=login, follow_redirects=False),
    )


_URL = "Type one such as http://localhost:8000/v1."


def _problem(answer: object) -> str:
    """What is wrong with a server's answer; empty where it is a completion."""
    if not isinstance(answer, ChatCompletion):
        return f"not a completion but {str(answer)[:80]!r}."
    error = (answer.model_extra or {}).get("error")
    if error:
        return str(error.get("message") if isinstance(error, dict) else error)[:300]
    if not isinstance(answer.choices, list) or not answer.choices:
        return "a completion without choices."
    message = getattr(answer.choices[0], "message", None)
    if not isinstance(message, ChatCompletionMessage):
        return "a choice without a message."
    if _content(message) is None and not _cut(answer):
        reason = getattr(answer.choices[0], "finish_reason", None)
        return f"a message without a text (finish_reason {reason!r})."
    return ""


def _content(message: ChatCompletionMessage) -> str | None:
    """The text of a message; None where it has none, as when it calls a tool."""
    content = message.content
    if isinstance(content, list):  # parts, as in OpenAI's requests
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    if content is None:
        content = message.refusal
    return content if isinstance(content, str) else None


def _cut(answer: ChatCompletion) -> bool:
    return getattr(answer.choices[0], "finish_reason", None) == "length"


def _generated(answer: ChatCompletion, seconds: float) -> Generated:
    text = _THOUGHT.sub("", encodable(_content(answer.choices[0].message) or ""))
    # Where the prompt opens the thought, the answer has its end alone.
    text = text.rpartition("</think>")[2].strip()
    prompt_tokens, answer_tokens = (_count(answer.usage, f"{name}_tokens") for name in _USAGE)
    return Generated(text, prompt_tokens, answer_tokens, _cut(answer), seconds)


def _count(usage: object, name: str) -> int | None:
    """A count of tokens; None where the server gives none that could be one."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else None


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs, which no file or store takes, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _refused(error: "openai.BadRequestError", sent: dict[str, Any]) -> str | None:
    """The setting that a model does not take, as the server says in its error."""
    body = error.body if isinstance(error.body, dict) else {}
    if body.get("code") not in ("unsupported_parameter", "unsupported_value"):
        return None
    return next((name for name in sent if name == body.get("param")), None)


def _words(error: "openai.APIStatusError") -> str:
    """What the server says, without the wrapping."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)[:300]
