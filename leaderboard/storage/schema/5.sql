-- What a score without a ranking was computed from, example by example (`leaderboard.records.Examples`).

CREATE TABLE examples (
    run_id VARCHAR,
    name VARCHAR,        -- gold, predicted, cosine, v_measure, ...
    experiment INTEGER,  -- of those whose mean the score is; 0 where there is one alone
    data DOUBLE[]        -- one value for each example, in the data's order; NaN where it takes no part
);
