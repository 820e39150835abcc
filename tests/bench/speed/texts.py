"""The texts to measure with: real ones where the data lie beside the checkout,
else the built-in benchmark's.
"""

import csv
import json
import random

from measuring import DATA

WORDS = (
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world",
    "school", "state",
)  # fmt: skip
SCIFACT, BANKING = DATA / "beir/scifact", DATA / "classification/banking77/banking_data/test.csv"


def abstracts(number: int) -> list[str]:
    """Scientific abstracts, most of them 256 tokens and more."""
    if not SCIFACT.is_dir():
        return []
    with (SCIFACT / "corpus.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [f"{row['title']} {row['text']}" for row in rows][:number]


def short(number: int) -> list[str]:
    """Questions of about 14 tokens."""
    if not BANKING.is_file():
        return []
    with BANKING.open(encoding="utf-8") as lines:
        return [row["text"] for row in csv.DictReader(lines)][:number]


def of_length(tokens: int, number: int) -> list[str]:
    """Different texts of so many tokens, start and end tokens included."""
    choice = random.Random(tokens)
    return [" ".join(choice.choices(WORDS, k=tokens - 2)) for _ in range(number)]
