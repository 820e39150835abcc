-- Times are UTC. A task is one split and subset; a run is one model x task x view.

CREATE TABLE meta (schema_version INTEGER NOT NULL);
INSERT INTO meta VALUES (0);

CREATE TABLE models (
    name VARCHAR, revision VARCHAR, kind VARCHAR, details JSON,
    PRIMARY KEY (name, revision)
);

CREATE TABLE tasks (
    name VARCHAR, revision VARCHAR, split VARCHAR, subset VARCHAR, type VARCHAR, main_metric VARCHAR, details JSON,
    PRIMARY KEY (name, revision, split, subset)
);

CREATE TABLE runs (
    id VARCHAR PRIMARY KEY,
    model VARCHAR, model_revision VARCHAR,
    task VARCHAR, task_revision VARCHAR, split VARCHAR, subset VARCHAR,
    "index" VARCHAR, layer INTEGER, dim INTEGER, "precision" VARCHAR,
    main_score DOUBLE,
    asked JSON, resolved JSON, environment JSON,
    source VARCHAR,        -- empty: computed here; else the kind of file it was imported from
    has_ranking BOOLEAN,   -- rankings/<id>.parquet exists beside this file
    created TIMESTAMP
);

-- No keys below: a run's rows are written and deleted together, and an index over millions of rows slows both.
CREATE TABLE scores (run_id VARCHAR, metric VARCHAR, value DOUBLE);
CREATE TABLE per_query (run_id VARCHAR, query_id VARCHAR, metric VARCHAR, value DOUBLE);
CREATE TABLE phases (run_id VARCHAR, position INTEGER, name VARCHAR, seconds DOUBLE);
CREATE TABLE costs (run_id VARCHAR, name VARCHAR, value DOUBLE);
CREATE TABLE failures (model VARCHAR, task VARCHAR, problem VARCHAR, hint VARCHAR, asked JSON, created TIMESTAMP);

-- Files already imported, by the SHA-256 of their bytes.
CREATE TABLE imported (digest VARCHAR PRIMARY KEY, path VARCHAR, created TIMESTAMP);

-- What people ask first: every run with its model's kind and its task's type.
CREATE VIEW results AS
SELECT r.*, m.kind, t.type, t.main_metric
FROM runs r
LEFT JOIN models m ON m.name = r.model AND m.revision = r.model_revision
LEFT JOIN tasks t ON t.name = r.task AND t.revision = r.task_revision AND t.split = r.split AND t.subset = r.subset;
