-- The secret with which tokens of event streams are signed, so that any node can check a token that another one gave.
-- Plain SQL for PostgreSQL 14 to 18 and PGlite; only adds, so that the version before runs on it.

CREATE TABLE stream_secret (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- 256 bits, lower-case hex.
  secret text NOT NULL CHECK (secret ~ '^[0-9a-f]{64}$'),
  revision bigint NOT NULL,
  -- 0 leaves the sum over keys as it is: the version before sums what it knows, and must come to the same. Whoever
  -- replaces the secret draws a tag, as every write does, and moves sum_keys by it.
  tag bigint NOT NULL DEFAULT 0
);

-- As every write: the store's row first, one revision, a row of `changes` and of `audit`. gen_random_uuid is from the
-- system's strong random numbers, 122 bits at a time.
SELECT 1 FROM store FOR UPDATE;
UPDATE store SET revision = revision + 1;
INSERT INTO stream_secret (secret, revision)
  SELECT encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), revision FROM store;
INSERT INTO changes (revision, kind, environment, id) SELECT revision, 'secret', '', 'stream' FROM store;
INSERT INTO audit (revision, at, actor, action, kind, environment, id, request_id)
  SELECT revision, now(), 'service', 'secret.create', 'secret', '', 'stream', '' FROM store;
SELECT pg_notify('burgee', revision::text) FROM store;
