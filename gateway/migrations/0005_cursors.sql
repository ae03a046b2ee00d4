-- What cursors are signed with: 32 random bytes, made when a gateway first starts here, so that cursors outlive it. One row at most.
CREATE TABLE signing_key (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    key BLOB    NOT NULL CHECK (length(key) = 32)
) STRICT;
