"""A store of 1,000 models on 100 tasks, imported scores alone, made by DuckDB in a second."""

from pathlib import Path

import duckdb

from leaderboard.records import Model, Run, Task
from leaderboard.storage.rows import tables
from leaderboard.storage.store import Store

_FILL = """
    CREATE TEMP TABLE m AS SELECT i, format('organisation-{}/model-{}', i % 90, i) AS name,
        'revision' || i AS revision FROM range(1000) t(i);
    CREATE TEMP TABLE t AS SELECT j, ['Retrieval', 'STS', 'Clustering', 'Reranking'][1 + j % 4]
        AS type, type || 'Task' || j AS name FROM range(100) t(j);
    DELETE FROM runs; DELETE FROM scores; DELETE FROM models; DELETE FROM tasks;
    INSERT INTO models SELECT name, revision, 'dense', '{}' FROM m;
    INSERT INTO tasks BY NAME SELECT name, '1' AS revision, 'test' AS split, 'default' AS subset,
        type, 'ndcg_at_10' AS main_metric, '{}' AS details FROM t;
    INSERT INTO runs BY NAME SELECT m.i || '-' || t.j AS id, m.name AS model,
        m.revision AS model_revision, t.name AS task, '1' AS task_revision, 'test' AS split,
        'default' AS subset, '' AS "index", 768 AS dim, 'float32' AS "precision", '' AS settings,
        (hash(m.i) % 1000) / 2000 + (hash(m.i * 100 + t.j) % 10000) / 20000 AS main_score,
        '{}' AS asked, '{}' AS resolved, '{}' AS environment, 'mteb' AS source,
        false AS has_ranking, TIMESTAMP '2026-01-01' AS created FROM m, t;
    INSERT INTO scores SELECT id, 'ndcg_at_10', main_score FROM runs;
"""


def fill(path: Path) -> Path:
    """Write the store to `path`."""
    first = Run(Model("x"), Task("T", "STS"), 0.1, {"ndcg_at_10": 0.1})
    Store(path).add_tables(tables([first]))  # makes the tables
    with duckdb.connect(str(path)) as connection:
        connection.execute(_FILL)
    return path
