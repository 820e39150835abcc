-- What came of a question in a RAG run, written as soon as it is known: a killed run goes on with the next question.
-- `pipeline` digests all that shapes an answer but the question; a run has it in `resolved`.

CREATE TABLE answers (
    pipeline VARCHAR, question VARCHAR,
    documents JSON, scores JSON,   -- ids of the documents retrieved, best first, and their scores
    answer VARCHAR,                -- NULL where nothing was generated
    costs JSON,                    -- seconds and tokens by stage
    created TIMESTAMP,
    PRIMARY KEY (pipeline, question)
);
