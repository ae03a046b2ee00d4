-- What cameras wrote down. Epochs are UUIDs as 16 bytes; numbers of events count from 1 in each epoch.

CREATE TABLE logs (
    n      INTEGER PRIMARY KEY AUTOINCREMENT,
    camera TEXT    UNIQUE,                   -- null once the camera was removed: what is left goes step by step
    online INTEGER NOT NULL DEFAULT 0        -- 1: the last thing that the gateway wrote here is that the camera came
) STRICT;

CREATE TABLE epochs (
    log       INTEGER NOT NULL REFERENCES logs (n),
    id        BLOB    NOT NULL,
    own       INTEGER NOT NULL,              -- 1: the gateway's own, for what the camera did not write
    acked     INTEGER NOT NULL,              -- everything up to it is held or known lost; never falls
    acked_at  INTEGER NOT NULL,              -- the latest time of that
    hash      BLOB,                          -- digest of the event `acked`, where it is held
    next      INTEGER NOT NULL,              -- everything written up to `as_of` has a lower number
    as_of     INTEGER NOT NULL,
    purged    INTEGER NOT NULL DEFAULT 0,    -- the highest number that retention removed
    purged_at INTEGER NOT NULL DEFAULT 0,    -- the latest time that retention removed
    PRIMARY KEY (log, id)
) STRICT, WITHOUT ROWID;

-- What will never come.
CREATE TABLE lost (
    log     INTEGER NOT NULL REFERENCES logs (n),
    epoch   BLOB    NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    to_at   INTEGER NOT NULL,
    why     TEXT    NOT NULL,
    PRIMARY KEY (log, epoch, first)
) STRICT, WITHOUT ROWID;

-- No foreign keys here: asking for the log of each row costs more than it would tell.
CREATE TABLE events (
    arrival     INTEGER PRIMARY KEY AUTOINCREMENT,
    log         INTEGER NOT NULL,
    epoch       BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    description TEXT    NOT NULL,
    data        TEXT,                        -- a JSON object; null for an empty one
    image_at    INTEGER,
    was_epoch   BLOB,                        -- its name before it had to be sent again under another epoch
    was_seq     INTEGER,
    hash        BLOB    NOT NULL             -- digest of what it says
) STRICT;

-- The order of answers, and how an event is found by its name and time.
CREATE UNIQUE INDEX events_in_order ON events (log, at, epoch, seq);

CREATE INDEX events_moved ON events (log, was_epoch, was_seq) WHERE was_epoch IS NOT NULL;
