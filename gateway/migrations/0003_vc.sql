-- Cameras of the older system: the gateway is their agent, and writes their logs from the lists that they post.

-- 1: the one agent that has no device; a revoked one stays, and another takes its place.
ALTER TABLE agents ADD COLUMN legacy INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX agents_legacy ON agents (legacy) WHERE legacy = 1 AND revoked_at IS NULL;

-- The epoch that the gateway writes for such a camera; null for every other one.
ALTER TABLE logs ADD COLUMN posted_epoch BLOB;

-- Which entries of its lists are held, or were until retention removed them.
CREATE TABLE posted (
    log  INTEGER NOT NULL REFERENCES logs (n),
    name BLOB    NOT NULL,                   -- digest of time, description and how many equal entries stand before it in its list
    seq  INTEGER NOT NULL,                   -- its number in the log's posted epoch
    at   INTEGER NOT NULL,                   -- its time there
    PRIMARY KEY (log, name)
) STRICT, WITHOUT ROWID;

-- Finds those that retention removed.
CREATE UNIQUE INDEX posted_in_order ON posted (log, seq);
