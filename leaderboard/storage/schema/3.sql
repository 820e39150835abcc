-- Which run stands for a view: what shaped its scores beside layer, dim, precision and index, and how deep it ranked.

DROP VIEW results;
ALTER TABLE runs ADD COLUMN settings VARCHAR;  -- as dtype=bfloat16,store_dtype=float16
ALTER TABLE runs ADD COLUMN depth INTEGER;     -- documents ranked for a query; NULL where no metric needs more

UPDATE runs SET
    settings = concat_ws(',',
        'dtype=' || nullif(resolved->>'$.dtype', ''),
        'store_dtype=' || nullif(asked->>'$.store_dtype', 'float32')),
    depth = CASE WHEN TRY_CAST(asked->>'$.top_k' AS INTEGER) < 1000 THEN TRY_CAST(asked->>'$.top_k' AS INTEGER) END
WHERE source = '';
UPDATE runs SET settings = '' WHERE settings IS NULL;

-- recall@100 of 20 documents is recall@20 under a wrong name.
DELETE FROM scores USING runs WHERE run_id = id AND TRY_CAST(regexp_extract(metric, '_at_(\d+)', 1) AS INTEGER) > depth;
DELETE FROM per_query USING runs
WHERE run_id = id AND TRY_CAST(regexp_extract(metric, '_at_(\d+)', 1) AS INTEGER) > depth;

CREATE VIEW results AS
SELECT r.*, m.kind, t.type, t.main_metric
FROM runs r
LEFT JOIN models m ON m.name = r.model AND m.revision = r.model_revision
LEFT JOIN tasks t ON t.name = r.task AND t.revision = r.task_revision AND t.split = r.split AND t.subset = r.subset;
