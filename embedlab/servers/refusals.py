"""What can go wrong with a request, and how a user hears of it."""

from typing import NoReturn

from embedlab.errors import UserError, unknown
from embedlab.servers.secrecy import shown
from embedlab.servers.server_names import Address

KEPT = "Type the same again to go on: what was answered is kept, and is not sent again."
_AGAIN_LATER = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_TOO_LARGE = ("batch", "too many inputs", "max_tokens_per_request")
_QUOTA = ("insufficient_quota", "exceeded your current quota", "billing")


class Refused(Exception):
    """A request that brought no answer.

    Args:
        words: what the server or the client says.
        status: HTTP's; 0 where there was no answer at all.
        retry_after: seconds that the server asks to wait; None where it names none.
        malformed: an answer came, and is none.
    """

    def __init__(
        self,
        words: str,
        status: int = 0,
        *,
        retry_after: float | None = None,
        malformed: bool = False,
    ) -> None:
        words = shown(words)  # servers repeat what they were sent
        super().__init__(words)
        self.words, self.status, self.retry_after = words, status, retry_after
        self.malformed = malformed

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered later."""
        if any(word in self.words.lower() for word in _QUOTA):
            return False
        return self.status in _AGAIN_LATER or self.status == 0 or self.malformed

    @property
    def too_large(self) -> bool:
        """Whether a smaller request may be answered."""
        if self.status == 413:
            return True
        words = self.words.lower()
        return self.status in (400, 422) and any(word in words for word in _TOO_LARGE)


class BrokenAnswer(Exception):
    """An answer that must not be used: its vectors are too few, of another width, or no numbers."""


def explain(error: Refused, address: Address, known: list[str]) -> NoReturn:
    """Raise the error that the user sees.

    Args:
        known: models that the server lists.

    Raises:
        UserError: always.
    """
    place, words = address.place, shown(error.words)
    if error.status == 0:
        raise UserError(
            f"No answer from {place}: {words}", f"Is the server running? {KEPT}"
        ) from error
    if error.status in (401, 403):
        key = "the provider's key" if address.route == "litellm" else "OPENAI_API_KEY"
        raise UserError(
            f"{place} refused the key: {error.status} {words}",
            f"Set {key} in the environment. {KEPT}",
        ) from error
    if 300 <= error.status < 400:
        raise UserError(
            f"{place} sends the request on to another address: {words}",
            "Name that address if you trust it.",
        ) from error
    if error.status == 429:
        raise UserError(f"{place} allows no more for now: {words}", KEPT) from error
    if error.status >= 500 or error.malformed:
        raise UserError(
            f"{place} fails again and again: {error.status} {words}", f"Look at the server. {KEPT}"
        ) from error
    missing = error.status == 404 or (error.status == 400 and "model" in error.words.lower())
    if missing and known and address.model not in known:
        raise unknown(
            f"model at {place}", address.model, known, f"It serves: {', '.join(known[:10])}."
        ) from error
    if error.status == 404:
        raise UserError(
            f"{place} knows no model {address.model!r}, or is no such endpoint: {words}",
            "Check the address: it ends in /v1 with most servers, and the model stands behind #.",
        ) from error
    raise UserError(
        f"{place} refused the request: {error.status} {words}",
        f"Look at the settings behind the model's name. {KEPT}",
    ) from error
