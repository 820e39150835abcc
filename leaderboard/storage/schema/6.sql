-- What an imported file was like then: one that has not changed since is passed over unread.

ALTER TABLE imported ADD COLUMN file VARCHAR;     -- where it lay; NULL where an older embedlab, or another store, imported it
ALTER TABLE imported ADD COLUMN state VARCHAR;    -- its size and times of change, as the system gave them
ALTER TABLE imported ADD COLUMN runs INTEGER;     -- how many runs it gave
ALTER TABLE imported ADD COLUMN problem VARCHAR;  -- what could not be read of it; NULL where all could
ALTER TABLE imported ADD COLUMN reader VARCHAR;   -- what read it, by versions: another one may read more
