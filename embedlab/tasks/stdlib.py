"""The built-in benchmark: real text that every machine has,
from the running Python's standard library.

*Code search*: the first sentence of a docstring is the query, the source without docstrings is the
document.

* Definitions under three lines are no documents; sentences under four words, or of code, are no
  queries.
* Definitions that are equal but for whitespace and their own name are one document, with all their
  queries.
* Equal sentences are one query, with all their documents relevant.
* A query that the document repeats verbatim (six words in a row, or all of them where it has fewer:
  a comment or a message that says the same) is dropped; the document stays.
* Documents without a query stay, as distractors.

*Module search*, for long documents: the first sentence of a docstring finds the code of the module.

* A document is a module's functions, methods and classes in the order of its lines, as many whole
  ones as fit. Shorter modules than `least` take no part.
* Queries are those of code search that the whole document does not repeat verbatim, of definitions
  that it holds.

*Classification* and *clustering*: the beginning of a docstring, by its top-level package. Packages
with enough docstrings take part, each with as many. Equal docstrings count once, and not at all
where two packages share them. The package's own name is masked.

What is built depends on the Python version; the tasks' revision, a hash of the content, says which.
It is kept under `home()/stdlib`, keyed by this Python, the sizes and this code. Samples are drawn
in the order of the texts' sha256.
"""

import csv
import hashlib
import json
import re
import shutil
import sys
import sysconfig
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from embedlab.resources import home
from embedlab.tasks import stdlib_source
from embedlab.tasks.stdlib_source import Definition, definitions

VERBATIM = 6  # words in a row that make a leak
SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!cf)[.!?](?=\s|$)")
DEFINED = re.compile(r"\b(?:def|class)(?=\s+(?P<name>\w+))")


def folder(sizes: dict[str, int]) -> Path:
    """The folder with `search/` (BEIR), `classification/` and `clustering/` (CSV) of these sizes,
    or with `modules/` (BEIR), built if need be.

    Args:
        sizes: characters (of a document or docstring, at most); documents and queries (0 for all);
            packages, train and test (texts per package). With `least` (characters) it is modules.
    """
    code = b"".join(Path(module).read_bytes() for module in (__file__, stdlib_source.__file__))
    key = hashlib.sha256(
        repr((sys.version, sysconfig.get_path("stdlib"), sorted(sizes.items()), code)).encode()
    )
    target = (
        home()
        / "stdlib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}-{key.hexdigest()[:16]}"
    )
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    built = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        library_texts = library()
        if "least" in sizes:
            _write_search(built / "modules", *module_search(library_texts, sizes))
        else:
            _write_search(built / "search", *code_search(library_texts, sizes))
            _write_packages(built, docstrings_by_package(library_texts, sizes), sizes["train"])
        built.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first
            raise
    finally:
        shutil.rmtree(built, ignore_errors=True)
    return target


@cache
def library() -> list[Definition]:
    """The definitions of the standard library; read once for all sizes."""
    return list(definitions())


def code_search(
    definitions: list[Definition], sizes: dict[str, int]
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """(document id -> code, sentence -> ids of its documents)."""
    documents: dict[str, str] = {}
    first: dict[str, str] = {}  # code without whitespace and name -> id of the document that has it
    queries: dict[str, set[str]] = defaultdict(set)
    spelling: dict[tuple[str, ...], str] = {}
    for definition in definitions:
        code = _shortened(definition.code, sizes["characters"])
        if code.count("\n") < 2:
            continue
        name = first.setdefault(_anonymous(code, definition), definition.name)
        documents.setdefault(name, code)
        sentence = first_sentence(definition.docstring)
        if sentence and not is_verbatim(sentence, documents[name]):
            queries[spelling.setdefault(_words(sentence), sentence)].add(name)
    return _sampled(documents, queries, sizes)


def module_search(
    definitions: list[Definition], sizes: dict[str, int]
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """(module -> code, sentence -> its modules).

    Args:
        definitions: those of a module one after the other.
        sizes: characters of a document, at most and at least (`least`); documents and queries (0
            for all).
    """
    documents: dict[str, str] = {}
    queries: dict[str, set[str]] = defaultdict(set)
    spelling: dict[tuple[str, ...], str] = {}
    for module, members in groupby(definitions, key=lambda each: each.module):
        held = _that_fit(members, sizes["characters"])
        code = "\n\n".join(each.code for each in held)
        if len(code) < sizes["least"]:
            continue
        documents[module] = code
        for each in held:
            sentence = first_sentence(each.docstring)
            if sentence and not is_verbatim(sentence, code):
                queries[spelling.setdefault(_words(sentence), sentence)].add(module)
    return _sampled(documents, queries, sizes)


def _that_fit(members: Iterable[Definition], characters: int) -> list[Definition]:
    """The first ones whose code, two line ends between them, is no longer than this."""
    held, length = [], 0
    for each in members:
        length += len(each.code) + 2
        if length > characters + 2:
            break
        held.append(each)
    return held


def _anonymous(code: str, definition: Definition) -> str:
    """The code without whitespace, and without its own name where that is first defined."""
    own_name = definition.name.rpartition(".")[2]
    for found in DEFINED.finditer(code):
        if found["name"] == own_name:
            code = code[: found.end()] + code[found.end("name") :]
            break
    return "".join(code.split())


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring on one line;
    empty where it is no prose or has fewer than four words.
    """
    paragraph = " ".join(docstring.strip().partition("\n\n")[0].split())
    end = SENTENCE_END.search(paragraph)
    sentence = paragraph[: end.end()] if end else paragraph
    prose = len(re.findall(r"[A-Za-z]{2,}", sentence)) >= 4 and not re.search(
        r">>>|->|::|=|\(\.\.\.", sentence
    )
    return sentence if prose and len(sentence) <= 300 else ""


def is_verbatim(sentence: str, code: str) -> bool:
    """Whether `code` repeats six words in a row of `sentence`,
    or all of them where it has fewer.
    """
    words = _words(sentence)
    text = f" {' '.join(_words(code))} "
    run = min(VERBATIM, len(words))
    return any(f" {' '.join(words[i : i + run])} " in text for i in range(len(words) - run + 1))


def docstrings_by_package(
    definitions: list[Definition], sizes: dict[str, int]
) -> dict[str, list[str]]:
    """package -> as many masked docstrings as `train`
    and `test` ask for, of the largest packages.
    """
    packages: dict[tuple[str, ...], set[str]] = defaultdict(set)
    texts: dict[tuple[str, ...], str] = {}
    for definition in definitions:
        text = _masked(_shortened(definition.docstring, sizes["characters"]), definition.name)
        if len(_words(text)) >= 5 and not definition.package.startswith("_"):
            packages[_words(text)].add(definition.package)
            texts.setdefault(_words(text), text)
    by_package: dict[str, list[str]] = defaultdict(list)
    for words, owners in packages.items():
        if len(owners) == 1:
            by_package[min(owners)].append(texts[words])
    wanted = sizes["train"] + sizes["test"]
    counts = Counter(
        {name: len(members) for name, members in by_package.items() if len(members) >= wanted}
    )
    largest = sorted(counts, key=lambda name: (-counts[name], name))[: sizes["packages"]]
    return {name: sorted(by_package[name], key=_order)[:wanted] for name in sorted(largest)}


def _masked(text: str, name: str) -> str:
    """`text` without the name of the package; short names only where they stand as a word."""
    package = re.escape(name.partition(".")[0])
    return re.sub(
        package if len(package) > 3 else rf"\b{package}\b", "[module]", text, flags=re.IGNORECASE
    )


def _shortened(text: str, characters: int) -> str:
    """The lines of `text` that fit into `characters`, at least a piece of the first."""
    if len(text) <= characters:
        return text
    return (text[:characters].rpartition("\n")[0] or text[:characters]).rstrip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sampled(
    documents: dict[str, Any], queries: dict[str, Any], sizes: dict[str, int]
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """`queries` queries with all their documents,
    filled up to `documents` with distractors; 0 keeps all.
    """
    chosen = sorted(queries, key=_order)[: sizes["queries"] or None]
    relevant = set().union(*(queries[sentence] for sentence in chosen))
    others = sorted(documents.keys() - relevant, key=_order)
    room = max(0, sizes["documents"] - len(relevant)) if sizes["documents"] else len(others)
    sampled = relevant | set(others[:room])
    return {name: code for name, code in documents.items() if name in sampled}, {
        q: queries[q] for q in chosen
    }


def _write_search(target: Path, documents: dict[str, str], queries: dict[str, set[str]]) -> None:
    (target / "qrels").mkdir(parents=True)
    ids = {sentence: f"q{number}" for number, sentence in enumerate(queries, 1)}
    _write_lines(
        target / "corpus.jsonl", ({"_id": name, "text": code} for name, code in documents.items())
    )
    _write_lines(
        target / "queries.jsonl", ({"_id": ids[sentence], "text": sentence} for sentence in queries)
    )
    with (target / "qrels" / "test.tsv").open("w", encoding="utf-8", newline="\n") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(
            f"{ids[sentence]}\t{name}\t1\n"
            for sentence in queries
            for name in sorted(queries[sentence])
        )


def _write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_packages(target: Path, packages: dict[str, list[str]], train: int) -> None:
    splits = {
        "classification/train.csv": slice(0, train),
        "classification/test.csv": slice(train, None),
        "clustering/test.csv": slice(None),
    }
    for name, part in splits.items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["text", "label"])
            writer.writerows(
                [text, package] for package, texts in packages.items() for text in texts[part]
            )
