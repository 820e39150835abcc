"""Training data that every machine has:
functions and docstrings of the packages installed beside us.

Two kinds of pair, both out of real source: the first sentence of a docstring -> the code without
docstrings, and the first sentence -> the rest of the docstring. The standard library itself is
never read, and `Unseen` drops whatever repeats a piece of it (vendored copies, backports), so the
built-in benchmark stays unseen.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from embedlab.errors import UserError
from embedlab.tasks.stdlib import first_sentence, is_verbatim, library
from embedlab.tasks.stdlib_source import Definition, definitions
from embedlab.training.overlap import Unseen

_CHARACTERS = 2000  # of a text; more than the minis read
Words = tuple[str, ...]


def pairs(packages: list[str], kinds: tuple[str, ...] = ("code", "body")) -> list[dict[str, str]]:
    """Pairs out of the installed `packages`, in a fixed order that does not depend on theirs.

    Args:
        packages: import names.
        kinds: "code" (sentence -> code), "body" (sentence -> rest of the docstring).

    Returns:
        rows with query, positive and kind; no query and no positive occurs twice.

    Raises:
        UserError: a package is not installed.
    """
    unseen = _unseen()
    found: dict[str, dict[str, str]] = {}
    queries: set[tuple[Words, str]] = set()
    positives: set[Words] = set()
    for package in sorted(packages):
        for definition in definitions(_folder(package), package):
            sentence = first_sentence(definition.docstring)
            if not sentence:
                continue
            texts = {"code": definition.code, "body": _body(definition.docstring)}
            for kind in kinds:
                text = texts[kind][:_CHARACTERS]
                key, value = (words(sentence), kind), words(text)
                if key in queries or value in positives or not _useful(text, kind, sentence):
                    continue
                if unseen.repeats(sentence) or unseen.repeats(text):
                    continue
                queries.add(key)
                positives.add(value)
                row = {"query": sentence, "positive": text, "kind": kind}
                found[hashlib.sha256(json.dumps(row).encode()).hexdigest()] = row
    return [found[key] for key in sorted(found)]


def words(text: str) -> Words:
    """`text` in lower case without punctuation and white space."""
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


def versions(packages: list[str]) -> dict[str, str]:
    """Import name -> installed version, "" where the package tells none."""
    distributions = packages_distributions()
    return {
        name: version(min(distributions[name])) if name in distributions else ""
        for name in sorted(packages)
    }


def texts_of(found: Iterable[Definition]) -> Iterator[str]:
    """What must not be seen of the standard library: code, docstrings, and their first
    sentences.
    """
    for definition in found:
        yield definition.code
        yield definition.docstring
        yield first_sentence(definition.docstring)


@cache
def _unseen() -> Unseen:
    return Unseen(texts_of(library()), near=False, split=words)


def _folder(package: str) -> Path:
    if package in sys.stdlib_module_names:
        raise UserError(
            f"{package} is of the standard library, which the benchmark is made of.",
            "Name other packages.",
        )
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"The training data come out of installed packages, and {package!r} is not installed.",
            "Type: pip install 'embedlab[all]', or take the package out of the recipe's"
            " data.packages.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _body(docstring: str) -> str:
    """The docstring without its first paragraph."""
    return docstring.strip().partition("\n\n")[2].strip()


def _useful(text: str, kind: str, sentence: str) -> bool:
    if kind == "code":
        return text.count("\n") >= 2 and not is_verbatim(sentence, text)
    return len(words(text)) >= 8
