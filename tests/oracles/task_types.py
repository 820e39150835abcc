"""A task of every type that mteb has for text, as a tiny local mirror of its data: `--data-dir`.

Tasks with several splits and subsets are chosen where there are some, for what runs on from one to
the next.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TOPICS = 3


class Kind(NamedTuple):
    """A task of mteb, and `write(folder, rng)`:
    what its mirror holds of each subset, or of a task without subsets.
    """

    task: str
    write: Callable[[Path, random.Random], None]
    subsets: tuple[str, ...] = ()


def kinds() -> dict[str, Kind]:
    """Every task type by name: a new one joins by one line."""
    dev_and_test, one = ("validation", "test"), ("test",)
    return {
        "retrieval": Kind("MLQARetrieval", beir(dev_and_test), ("ara-ara", "deu-ara")),
        "reranking": Kind("XGlueWPRReranking", beir(dev_and_test, candidates=True), ("en",)),
        "instruction retrieval": Kind("InstructIR", beir(one, instructions=True)),
        "instruction levels": Kind("IFIRScifact", beir(one, instructions=True)),
        "instruction reranking": Kind(
            "Core17InstructionRetrieval", beir(one, candidates=True, instructions=True)
        ),
        "STS": Kind("STSBenchmarkMultilingualSTS", graded(("dev", "test")), ("de", "en")),
        "pair classification": Kind(
            "OpusparcusPC", pairs(("test.full", "validation.full")), ("fi",)
        ),
        "classification": Kind(
            "MTOPDomainClassification", labelled(("train", *dev_and_test)), ("en", "de")
        ),
        "multilabel classification": Kind(
            "MultiEURLEXMultilabelClassification", multilabel, ("en", "de")
        ),
        "clustering": Kind("MLSUMClusteringS2S.v2", labelled(dev_and_test), ("de", "fr")),
        "clustering, legacy": Kind("MLSUMClusteringS2S", labelled(dev_and_test), ("fr",)),
        "bitext mining": Kind(
            "IndicGenBenchFloresBitextMining", bitext(dev_and_test), ("eng-ben",)
        ),
        "summarisation": Kind("SummEvalSummarization.v2", summaries),
        "regression": Kind("RuSciBenchYearPublRegression", valued, ("yearpubl_ru", "yearpubl_en")),
    }


def mirror(folder: Path) -> Path:
    """Write all of them below `folder`."""
    for kind in kinds().values():
        rng = random.Random(kind.task)  # one's texts do not depend on the others
        for subset in kind.subsets or ("",):
            place = folder / kind.task / subset
            place.mkdir(parents=True)
            kind.write(place, rng)
    return folder


def changed() -> list[dict]:
    """The documents whose relevance the changed instructions change:
    what FollowIR's tasks read while they score.
    """
    return [{"query-id": f"q{n}", "corpus-ids": [f"d{n}", f"d{n + 20}"]} for n in range(4)]


def sentence(rng: random.Random, topic: int | None = None) -> str:
    """A few words, most of them of the topic."""
    own = range(200) if topic is None else range(topic * 30, topic * 30 + 30)
    return " ".join(f"w{rng.choice(own)}" for _ in range(rng.randint(4, 12)))


def beir(splits: tuple[str, ...], *, candidates=False, instructions=False) -> Callable:
    # Ids as the instruction tasks have them: three levels of a query,
    # or its original and its changed instruction.
    name = (
        (lambda n: f"q{n // 2}-{'changed' if n % 2 else 'og'}")
        if candidates
        else lambda n: f"q{n // 3}_v{n % 3 + 1}"
    )

    def write(folder: Path, rng: random.Random) -> None:
        corpus = [
            {"_id": f"d{n}", "title": f"w{n}" if n % 3 else "", "text": sentence(rng, n % TOPICS)}
            for n in range(40)
        ]
        queries = [
            {"_id": name(n), "text": sentence(rng, n % TOPICS)}
            | ({"instruction": sentence(rng)} if instructions else {})
            for n in range(8 * len(splits))
        ]
        lines(folder / "corpus.jsonl", corpus)
        lines(folder / "queries.jsonl", queries)
        (folder / "qrels").mkdir()
        for part, split in enumerate(splits):
            judged = [
                f"{query['_id']}\td{document}\t{rng.randint(1, 2)}"
                for query in queries[part :: len(splits)]
                for document in rng.sample(range(40), 4)
            ]
            (folder / "qrels" / f"{split}.tsv").write_text(
                "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n"
            )
        if candidates:
            ranked = (
                {"query-id": q["_id"], "corpus-ids": [f"d{n}" for n in rng.sample(range(40), 15)]}
                for q in queries
            )
            lines(folder / "top_ranked.jsonl", ranked)

    return write


def graded(splits: tuple[str, ...]) -> Callable:
    def write(folder: Path, rng: random.Random) -> None:
        for split in splits:
            rows = ((f"{rng.uniform(0, 5):.2f}", *couple(rng)) for _ in range(24))
            table(folder / f"{split}.tsv", ("score", "sentence1", "sentence2"), rows)

    return write


def pairs(splits: tuple[str, ...]) -> Callable:
    def write(folder: Path, rng: random.Random) -> None:
        for split in splits:
            rows = ((str(n % 2), *couple(rng)) for n in range(24))
            table(folder / f"{split}.tsv", ("label", "sentence1", "sentence2"), rows)

    return write


def labelled(splits: tuple[str, ...]) -> Callable:
    def write(folder: Path, rng: random.Random) -> None:
        for split in splits:
            table(folder / f"{split}.tsv", ("text", "label"), topical(rng, 30))

    return write


def multilabel(folder: Path, rng: random.Random) -> None:
    for split in ("train", "test"):
        rows = ((text, int(topic)) for text, topic in topical(rng, 40))
        labels = (
            {"text": text, "label": sorted({topic, rng.randrange(TOPICS)})} for text, topic in rows
        )
        lines(folder / f"{split}.jsonl", labels)


def valued(folder: Path, rng: random.Random) -> None:
    for split in ("train", "test"):
        rows = ((text, f"{int(topic) + rng.random():.3f}") for text, topic in topical(rng, 60))
        table(folder / f"{split}.tsv", ("text", "value"), rows)


def bitext(splits: tuple[str, ...]) -> Callable:
    def write(folder: Path, rng: random.Random) -> None:
        for split in splits:
            table(
                folder / f"{split}.tsv",
                ("sentence1", "sentence2"),
                (couple(rng) for _ in range(30)),
            )

    return write


def summaries(folder: Path, rng: random.Random) -> None:
    lines(
        folder / "test.jsonl",
        (
            {
                "text": sentence(rng),
                "human_summaries": [sentence(rng, topic) for _ in range(2)],
                "machine_summaries": [sentence(rng, n % TOPICS) for n in range(6)],
                "relevance": [rng.uniform(1, 5) for _ in range(6)],
            }
            for topic in (0, 1, 2, 0)
        ),
    )


def couple(rng: random.Random) -> tuple[str, str]:
    """A text and another that shares words with it, some more and some less."""
    first = sentence(rng).split()
    second = [word if rng.random() < 0.6 else f"w{rng.randrange(200)}" for word in first]
    # Never the same: ties depend on the last bit.
    return " ".join(first), " ".join([*second, f"w{rng.randrange(200)}"])


def topical(rng: random.Random, number: int) -> Iterator[tuple[str, str]]:
    return ((sentence(rng, n % TOPICS), str(n % TOPICS)) for n in range(number))


def table(path: Path, header: tuple[str, ...], rows) -> None:
    path.write_text("\n".join("\t".join(row) for row in (header, *rows)) + "\n")


def lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
