-- Following: what is sent of a log that is otherwise left on its device, and how far the order of arrival has lost its beginning.

-- The highest number that is held of an epoch beyond `acked`, where nobody knows what lies between; 0 for none.
ALTER TABLE epochs ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;

-- The highest arrival that retention removed of a log, and in one row of all of them.
ALTER TABLE logs ADD COLUMN purged INTEGER NOT NULL DEFAULT 0;

CREATE TABLE arrivals (
    purged INTEGER NOT NULL
) STRICT;

INSERT INTO arrivals (purged) VALUES (0);
