-- What a pipeline made on the way to an answer: queries that a language model wrote, contexts as the generator read them.

ALTER TABLE answers ADD COLUMN steps JSON;  -- NULL where there was none
