"""The prompt: a template around the contexts and the question, cut to what the generator takes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from embedlab.errors import UserError
from embedlab.resources import DATA

DEFAULT = DATA / "prompts" / "rag.txt"
_FIELDS = ("{context}", "{question}")


def read(path: Path | None) -> str:
    """The template in a file; the default one where none is named.

    Raises:
        UserError: there is no such file, or it lacks a field.
    """
    path = path or DEFAULT
    if not path.is_file():
        raise UserError(
            f"There is no prompt template {path}.",
            f"Name a text file with {' and '.join(_FIELDS)}.",
        )
    try:
        template = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The prompt template {path} cannot be read: {error}.", "Save it as UTF-8."
        ) from error
    for field in _FIELDS:
        if field not in template:
            raise UserError(
                f"The prompt template {path} has no {field}.", f"It needs {' and '.join(_FIELDS)}."
            )
    return template


def fill(template: str, contexts: Sequence[str], question: str) -> str:
    """The prompt; contexts are numbered from 1, in the order in which they are given."""
    context = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(contexts, 1))
    before, _, after = template.partition("{context}")  # texts may hold braces of their own
    return before.replace("{question}", question) + context + after.replace("{question}", question)


def fitted(
    template: str,
    contexts: Sequence[str],
    question: str,
    fits: Callable[[str], bool],
    arrange: Callable[[Sequence[str]], Sequence[str]] = list,
) -> tuple[str, int]:
    """The prompt cut until it fits, and how many contexts are in it.

    Args:
        contexts: the best first; the worst are left out first, and a single one that is too long
            loses its end.
        arrange: puts those that are left in the order in which they are read.

    Raises:
        UserError: the question alone is too long.
    """
    contexts = list(contexts)
    while not fits(filled := fill(template, arrange(contexts), question)):
        if len(contexts) > 1:
            contexts.pop()
        elif contexts and contexts[0]:
            contexts[0] = contexts[0][: len(contexts[0]) // 2]
        else:
            raise UserError(
                f"The question {question[:60]!r} is too long for the generator.",
                "Choose one that reads more, a shorter --prompt, or fewer --max-tokens.",
            )
    return filled, len(contexts)
