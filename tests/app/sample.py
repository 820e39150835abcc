"""A small store with everything that the dashboard shows, made through `Store.add`."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import retrievers
from leaderboard.records import Answer, Failure, Model, PerQuery, Phase, Ranking, Run, Task, Texts
from leaderboard.storage.store import Store

SCRIPT = "<script>alert(1)</script>"
DROP = "'; DROP TABLE runs; --"
MARKDOWN = "**bold** [x](http://evil.example) $a$ :red[b]"
COMPOSED = "rrf(bm25, all-minilm-l6-v2)"
ELASTIC = "starbucks"

_QUERIES = 40
_SUBJECTS = [
    "sorting", "hashing", "parsing", "searching", "caching", "threading", "logging", "testing",
]  # fmt: skip
_WORDS = [
    "list", "table", "stream", "index", "vector", "query", "document", "token", "layer", "prompt",
]  # fmt: skip
_IDS = [f"d{i}" for i in range(80)]
_TEXTS = {
    id: f"{_SUBJECTS[i % 8].title()} a {_WORDS[i % 10]} of {_WORDS[i // 8]}s, part {i}."
    for i, id in enumerate(_IDS)
}
_ASKED = {
    f"q{i}": f"how does {_SUBJECTS[i % 8]} a {_WORDS[i % 10]} work {i}" for i in range(_QUERIES)
}
_QRELS = {query: {f"d{i}": 1, f"d{i + 40}": 1} for i, query in enumerate(_ASKED)}
MODELS = {
    "bm25": ("lexical", 0.55),
    "all-minilm-l6-v2": ("dense", 0.60),
    "nv-embed-mini": ("dense", 0.68),
    "mistral-splade": ("sparse", 0.70),
    SCRIPT: ("dense", 0.40),
    DROP: ("dense", 0.35),
    MARKDOWN: ("dense", 0.30),
    COMPOSED: ("dense", 0.72),
}
TASKS = ["SciFact", "NFCorpus"]


def whole_run(model: str, kind: str, skill: float, task: str, seed: int, **view) -> Run:
    """A retrieval run whose scores agree with its ranking:
    the first relevant document stands at a random rank.
    """
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(80)[:10] for _ in range(_QUERIES)]).astype(np.int32)
    ranks = np.where(rng.random(_QUERIES) < skill, rng.integers(0, 3, _QUERIES), 9)
    for query, rank in enumerate(ranks):
        rows[query][rows[query] == query] = rows[query][rank]
        rows[query][rank] = query
    scores = -np.sort(-rng.random((_QUERIES, 10))).astype(np.float32)
    per_query = {"ndcg_at_10": 1 / np.log2(ranks + 2), "recall_at_10": np.full(_QUERIES, 0.5)}
    means = {name: float(values.mean()) for name, values in per_query.items()}
    parameters = float(10 ** rng.uniform(7, 9))
    return Run(
        Model(
            model,
            "0123456789abcdef",
            kind,
            {"parameters": parameters, "training_datasets": ["NFCorpus"]},
        ),
        Task(task, "Retrieval", revision="1"),
        means["ndcg_at_10"],
        means,
        **{
            "index": "lucene" if kind == "lexical" else "faiss:flat",
            "dim": None if kind == "lexical" else 384,
            **view,
        },
        costs={
            "encode_seconds": float(rng.uniform(1, 30)),
            "texts_per_second": float(rng.uniform(50, 2000)),
            "latency_p50_ms": 1.5,
            "latency_p95_ms": 2.5 + skill,
            "latency_p99_ms": 4.0,
            "parameters": parameters,
        },
        asked={"models": [model], "batch_tokens": None},
        resolved={
            "prompts": {"query": "query: "},
            "dtype": "float32",
            "dtype_reason": "no GPU",
            "first_inputs": [f"query: {_ASKED['q0']}"],
        },
        environment={"packages": {"torch": "2.13.0"}, "cpu": "AMD EPYC", "cores": 2},
        phases=[Phase("load model", 0.7), Phase("encode", 3.25)],
        per_query=PerQuery(list(_ASKED), per_query),
        ranking=Ranking(list(_ASKED), _IDS, rows, scores),
        texts=Texts(_ASKED, _QRELS, _TEXTS),
        id=f"run-{seed}",
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def sts_run(model: str, kind: str, score: float, seed: int) -> Run:
    """An imported result: no costs, no queries."""
    task = Task("STSBenchmark", "STS", main_metric="cosine_spearman")
    scores = {"cosine_spearman": score}
    return Run(
        Model(model, "0123456789abcdef", kind),
        task,
        score,
        scores,
        dim=384,
        source="mteb",
        id=f"sts-{seed}",
    )


def fill(path: Path) -> Store:
    """Write the sample store to `path`."""
    store, seed = Store(path), 0
    for model, (kind, skill) in MODELS.items():
        for task in TASKS:
            seed += 1
            store.add(whole_run(model, kind, skill, task, seed))
    for layer in (2, 4, 6):
        for dim in (32, 64, 128):
            seed += 1
            skill = 0.45 + 0.04 * layer + 0.0005 * dim
            store.add(whole_run(ELASTIC, "dense", skill, "SciFact", seed, layer=layer, dim=dim))
    for precision, index in (
        ("int8", "faiss:flat"),
        ("float32", "faiss:hnsw32"),
        ("int8", "faiss:hnsw32"),
    ):
        seed += 1
        store.add(
            whole_run(
                ELASTIC,
                "dense",
                0.7,
                "SciFact",
                seed,
                layer=6,
                dim=128,
                precision=precision,
                index=index,
            )
        )
    for number, score in enumerate((0.82, 0.79)):
        store.add(sts_run(("org/imported-a", "org/imported-b")[number], "dense", score, number))
    store.add_failure(
        Failure(
            "gem",
            "SciFact",
            f"The weights hold NaN {SCRIPT}.",
            "Type: embedlab eval --dtype float32",
        )
    )
    return store


def fill_rag(store: Store) -> list[Run]:
    """Three pipelines that were asked the same four questions, the last of which has no answer."""
    asked = {
        "r0": f"who sorts {SCRIPT}?",
        "r1": "what is hashed?",
        "r2": f"which is {MARKDOWN}?",
        "r3": "who knows?",
    }
    right = {"r0": ["nobody <b>"], "r1": ["a table", "tables"], "r2": [MARKDOWN], "r3": []}
    said = {
        "bm25 k=1 + reader": ["nobody <b>", "a table", MARKDOWN, "unknown"],
        "bm25 k=3 | order(reverse) + reader": ["nobody <b>", "a list", SCRIPT, "me"],
        "bm25 | refine(reader) + reader": ["me", "a list", "no", "unknown"],
    }
    texts = Texts(asked, {"r1": {"d1": 1}}, {**_TEXTS, "d2": f"noise {SCRIPT}"}, right)
    runs = []
    for number, (name, answers) in enumerate(said.items()):
        f1 = [float(a in (right[id] or ["unknown"])) for id, a in zip(asked, answers, strict=True)]
        steps = {"contexts": [f"refined {SCRIPT}"]} if "refine" in name else {"noise": ["d2"]}
        store.add_answers(
            [
                Answer(f"digest-{number}", question, ["d1", "d9"], [2.0, 1.0], answer,
                       {"contexts_read": 2.0}, steps)
                for question, answer in zip(asked.values(), answers, strict=True)
            ]
        )  # fmt: skip
        per_query = {"f1": np.array(f1), "exact_match": np.array([*f1[:3], np.nan])}
        run = Run(
            Model(name, f"digest-{number}", "rag"),
            Task("quiz", "RAG", revision="questions1", main_metric="f1"),
            float(np.mean(f1)),
            {"f1": float(np.mean(f1)), "exact_match": float(np.mean(f1[:3]))},
            costs={"generate_p50_ms": 12.0 + number, "prompt_tokens_per_question": 99.0},
            resolved={"pipeline": f"digest-{number}"},
            per_query=PerQuery(list(asked), per_query),
            texts=texts,
            id=f"rag-{number}",
            created=datetime(2026, 1, 2 + number, tzinfo=UTC),
        )
        store.add(run)
        runs.append(run)
    return runs


def build_indexes(folder: Path) -> None:
    """Two text indexes of the sample's documents."""
    for name, spec in (("bm25", "lucene"), ("bm25-long", "lucene,b=0.9")):
        retrievers.make(spec).index(_IDS, list(_TEXTS.values())).save(folder / name)
