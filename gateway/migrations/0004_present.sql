-- The epoch of a log that came last: the one that its camera goes on writing while it is away. None where nothing has come since.
ALTER TABLE logs ADD COLUMN present BLOB;
