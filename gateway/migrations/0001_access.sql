-- Who may be here, and whose camera is whose.
-- Times are microseconds since 1970-01-01T00:00:00Z, ids are UUIDs as 16 bytes, hashes are SHA-256 as 32 bytes,
-- lists are JSON.

CREATE TABLE agents (
    id           BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    new_cameras  TEXT,                       -- pattern of the cameras it may bring by itself
    token        BLOB    NOT NULL UNIQUE,    -- hash of the token in use
    pending      BLOB    UNIQUE,             -- hash of the token that replaces it once used; set while a rotation is wanted
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER,
    revoked_at   INTEGER                     -- rows of revoked agents stay, so that they are told "revoked", not "unknown"
) STRICT;

CREATE TABLE cameras (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    tags         TEXT    NOT NULL,
    agent        BLOB    REFERENCES agents (id),
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX cameras_by_agent ON cameras (agent) WHERE agent IS NOT NULL;

-- Cameras that were removed while bound: their agent is told so, and its pattern does not bring them back.
CREATE TABLE removed_cameras (
    camera TEXT NOT NULL,
    agent  BLOB NOT NULL REFERENCES agents (id),
    PRIMARY KEY (camera, agent)
) STRICT, WITHOUT ROWID;

-- Open one-time codes; a traded code's row is deleted.
CREATE TABLE enrollments (
    id          BLOB    NOT NULL PRIMARY KEY,
    code        BLOB    NOT NULL UNIQUE,     -- hash of the code
    new_cameras TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;

-- The cameras that a code names, in the order given; while the code is open they are reserved for it.
CREATE TABLE enrollment_cameras (
    enrollment BLOB    NOT NULL REFERENCES enrollments (id) ON DELETE CASCADE,
    place      INTEGER NOT NULL,
    camera     TEXT    NOT NULL,
    PRIMARY KEY (enrollment, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX enrollment_cameras_by_camera ON enrollment_cameras (camera);

CREATE TABLE keys (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    role       TEXT    NOT NULL,
    everything INTEGER NOT NULL,             -- 1: all cameras, whatever the two lists say
    cameras    TEXT    NOT NULL,
    tags       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
