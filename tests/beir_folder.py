"""A small BEIR folder of random words, in which each query is the beginning of its document."""

import json

import numpy as np


def write_beir(folder, words, documents, query_words, seed=0):
    """Write `documents` texts of 12 words, and a query for each of the first 8; returns folder."""
    rng = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(words, 12)) for _ in range(documents)]
    corpus = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    queries = [{"_id": f"q{n}", "text": " ".join(texts[n].split()[:query_words])} for n in range(8)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(8))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder
