"""A store of more than a million imported scores:
1,000 models on 100 tasks, eleven metrics each.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from leaderboard.records import Model, Run, Task
from leaderboard.storage import rows
from leaderboard.storage.store import Store

MODELS, TASKS, METRICS = 1_000, 100, 11
TYPES = {
    "Retrieval": "ndcg_at_10",
    "STS": "cosine_spearman",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "Reranking": "map",
}
_CHUNK = 100  # models in one transaction, as the import stores its files


def fill(path: Path) -> Store:
    """Write the store to `path`, as an import does: records to tables, chunk by chunk."""
    store = Store(path)
    for first in range(0, MODELS, _CHUNK):
        store.add_tables(
            rows.tables([run for model in range(first, first + _CHUNK) for run in _runs(model)])
        )
    return store


def _runs(number: int) -> Iterator[Run]:
    rng = np.random.default_rng(number)
    known = {
        "parameters": float(10 ** rng.uniform(7, 10)),
        "training_datasets": [task_name(int(rng.integers(TASKS)))],
    }
    kind = ("dense", "sparse", "rerank")[number % 3 if number % 10 == 0 else 0]
    model = Model(f"organisation-{number % 90}/model-{number}", f"{number:040x}", kind, known)
    skill, created = (
        rng.normal(0.6, 0.08),
        datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=int(number)),
    )
    lacks = set(rng.choice(TASKS, 5, replace=False)) if number % 4 == 0 else set()
    for at in range(TASKS):
        kind_of_task = list(TYPES)[at % len(TYPES)]
        main = TYPES[kind_of_task]
        value = float(np.clip(skill + rng.normal(0, 0.06), 0.01, 0.99))
        scores = {main: value} | {f"metric_{i}": value * (1 - i / 50) for i in range(1, METRICS)}
        if at not in lacks:
            yield Run(
                model,
                Task(task_name(at), kind_of_task, revision="1", main_metric=main),
                value,
                scores,
                dim=(384, 768, 1024, 4096)[number % 4],
                source="mteb",
                id=f"{number}-{at}",
                created=created,
            )


def task_name(number: int) -> str:
    """The name of a task."""
    return f"{list(TYPES)[number % len(TYPES)]}Task{number:02d}"
