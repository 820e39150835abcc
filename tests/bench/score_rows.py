"""A store of five million score rows, made within DuckDB: 1,000 models on 100 tasks, eleven metrics
each, and what single queries or examples scored.
"""

from pathlib import Path

from leaderboard.storage.store import Store

MODELS, TASKS, METRICS, EXAMPLES = 1_000, 100, 11, 100

# A draw from 0 to 1 for each of the numbers `of`; `kind` keeps the draws apart.
_DRAW = "(hash('{kind}', {of}) / 18446744073709551615.0)"
_TASK_TYPES = [
    ("Retrieval", "ndcg_at_10"),
    ("STS", "cosine_pearson"),
    ("Classification", "accuracy"),
    ("Clustering", "v_measure"),
    ("Reranking", "map"),
]


def _draw(kind: str, of: str) -> str:
    return _DRAW.format(kind=kind, of=of)


_SKILL = f"(0.35 + 0.3 * {_draw('skill', 'm')} + 0.15 * ({_draw('of', 'm, t')} - 0.5))"
_VALUE = f"least(1, greatest(0, {_SKILL} + 0.8 * ({_draw('query', 'q, t')} - 0.5)" + (
    f" + 0.5 * ({_draw('answer', 'm, t, q')} - 0.5)))"
)
_NAMES = f"""
    CREATE TEMP TABLE kinds AS SELECT * FROM (VALUES {
    ", ".join(f"({at}, '{name}', '{metric}')" for at, (name, metric) in enumerate(_TASK_TYPES))
}) AS kinds(place, type, metric);
    CREATE TEMP TABLE pairs AS
    SELECT m, t, format('{{:04d}}-{{:03d}}', m, t) AS id, type, metric,
        format('organisation-{{}}/model-{{}}', m % 90, m) AS model,
        format('{{:040x}}', m) AS revision, format('{{}}Task{{:02d}}', type, t) AS task
    FROM range({MODELS}) a(m), range({TASKS}) b(t) JOIN kinds ON place = t % {len(_TASK_TYPES)}
    WHERE m % 4 > 0 OR t % 20 <> m % 20 ORDER BY m, t;
    CREATE TEMP TABLE single AS
    SELECT id, type, metric, q,
        if(type = 'Classification', round({_VALUE}), {_VALUE}) AS value
    FROM pairs, range({EXAMPLES}) c(q)
    WHERE type <> 'STS' AND (type <> 'Clustering' OR q < 10) ORDER BY m, t, q;
    CREATE TEMP TABLE alike AS
    SELECT id, q, {_draw("gold", "t, q")} AS gold,
        gold * {_SKILL} + (1 - {_SKILL}) * {_draw("cosine", "m, t, q")} AS cosine
    FROM pairs, range({EXAMPLES}) c(q) WHERE type = 'STS';
    CREATE TEMP TABLE whole AS SELECT id, corr(gold, cosine) AS score FROM alike GROUP BY id
    UNION ALL SELECT id, avg(value) FROM single GROUP BY id;
"""
_FILL = f"""
    INSERT INTO models SELECT DISTINCT model, revision,
        ['dense', 'sparse', 'rerank'][if(m % 10 = 0, m % 3, 0) + 1],
        json_object('parameters', round(10 ** (7 + 3 * {_draw("size", "m")})),
                    'training_datasets', ['RetrievalTask00']) FROM pairs;
    INSERT INTO tasks SELECT DISTINCT task, '1', 'test', 'default', type, metric, '{{}}' FROM pairs;
    INSERT INTO runs BY NAME SELECT id, model, revision AS model_revision, task,
        '1' AS task_revision, 'test' AS split, 'default' AS subset, '' AS index, NULL AS layer,
        [384, 768, 1024, 4096][m % 4 + 1] AS dim, 'float32' AS "precision",
        'dtype=float32' AS settings, NULL AS depth, score AS main_score, '{{}}' AS asked,
        '{{"dtype": "float32", "device": "cuda"}}' AS resolved,
        '{{"gpus": ["GPU"], "cpu": "CPU", "cores": 2, "threads": 2}}' AS environment,
        '' AS source, false AS has_ranking,
        TIMESTAMP '2025-01-01' + to_minutes((m * 10 + t)::INT) AS created
    FROM pairs JOIN whole USING (id) ORDER BY m, t;
    INSERT INTO scores SELECT id, if(i = 0, metric, 'metric_' || i), score * (1 - i / 50)
    FROM pairs JOIN whole USING (id), range({METRICS}) d(i) ORDER BY m, t, i;
    INSERT INTO costs SELECT id, ['encode_seconds', 'texts_per_second'][c],
        (1 + {_draw("cost", "m, t, c")}) * [10, 200][c] FROM pairs, range(1, 3) e(c) ORDER BY m, t;
    INSERT INTO per_query SELECT id, 'q' || q, metric, value FROM single
    WHERE type IN ('Retrieval', 'Reranking');
    INSERT INTO examples SELECT id, name, 0, list(if(name = 'gold', gold, cosine) ORDER BY q)
    FROM alike, (VALUES ('gold'), ('cosine')) names(name) GROUP BY id, name;
    INSERT INTO examples SELECT id, name, 0, list(if(name = 'gold', 1, value) ORDER BY q)
    FROM single, (VALUES ('gold'), ('predicted')) names(name) WHERE type = 'Classification'
    GROUP BY id, name;
    INSERT INTO examples SELECT id, 'v_measure', 0, list(value ORDER BY q)
    FROM single WHERE type = 'Clustering' GROUP BY id;
    INSERT INTO examples SELECT id, 'error', 0, [0.01] FROM pairs WHERE type = 'Clustering';
"""


def fill(path: Path) -> Store:
    """Write the store to `path`: half a minute."""
    store = Store(path, timeout=600)
    with store.database.writing() as connection:
        connection.execute(_NAMES)
        connection.execute(_FILL)
    return store
