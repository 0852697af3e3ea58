-- API keys, and the trigger that lets an operator write them by plain SQL: INSERT INTO api_keys (key_id, key_hash,
-- name, rate_limit) is enough, and every node follows as it follows a write through the API.

CREATE TABLE api_keys (
  key_id text COLLATE "C" PRIMARY KEY CHECK (key_id <> ''),
  -- Lower-case hex SHA-256 of the key.
  key_hash text COLLATE "C" NOT NULL CHECK (key_hash ~ '^[0-9a-f]{64}$'),
  name text NOT NULL DEFAULT '',
  -- Requests a minute; 0: no limit.
  rate_limit integer NOT NULL DEFAULT 1000 CHECK (rate_limit >= 0),
  scopes text[] NOT NULL DEFAULT '{evaluate,read,write}'
    CHECK (cardinality(scopes) > 0 AND scopes <@ '{evaluate,read,write,admin}'::text[]),
  -- NULL: every environment; NULL tags: every flag.
  environments text[] CHECK (cardinality(environments) > 0),
  tags text[] CHECK (cardinality(tags) > 0),
  owner text NOT NULL DEFAULT '',
  revision bigint NOT NULL DEFAULT 0,
  tag bigint NOT NULL DEFAULT burgee_tag(),
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL DEFAULT 'sql',
  expires_at timestamptz,
  revoked_at timestamptz
);
-- Two live keys with one hash could not be told apart.
CREATE UNIQUE INDEX api_keys_live_hash ON api_keys (key_hash) WHERE revoked_at IS NULL;

-- Before each statement: lock the store's row, as every write does first, whoever makes it.
CREATE FUNCTION burgee_keys_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('burgee.writer', true) IS DISTINCT FROM 'on' THEN
    PERFORM 1 FROM store FOR UPDATE;
  END IF;
  RETURN NULL;
END $$;

-- Before each row: the revision that the statement takes (the row is locked, so it is the next one) and a new tag.
CREATE FUNCTION burgee_keys_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('burgee.writer', true) IS DISTINCT FROM 'on' THEN
    NEW.revision := (SELECT revision + 1 FROM store);
    NEW.tag := burgee_tag();
  END IF;
  RETURN NEW;
END $$;

-- Takes the revision, moves the sum and tells the followers. `at_revision` NULL: the next one. INSERT ... ON CONFLICT
-- DO UPDATE fires two statement triggers whose rows carry one stamp, so that it is one revision still.
CREATE FUNCTION burgee_keys_record(at_revision bigint, ids text[], moved bigint, act text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  taken bigint;
BEGIN
  IF coalesce(cardinality(ids), 0) = 0 THEN
    RETURN;
  END IF;
  UPDATE store SET revision = greatest(revision, coalesce(at_revision, revision + 1)),
    sum_keys = sum_keys # coalesce(moved, 0), had_key = true RETURNING revision INTO taken;
  INSERT INTO changes (revision, kind, environment, id)
    SELECT DISTINCT taken, 'key', '', unnest(ids) ON CONFLICT DO NOTHING;
  INSERT INTO audit (revision, at, actor, action, kind, environment, id, request_id)
    SELECT DISTINCT taken, now(), 'sql', act, 'key', '', unnest(ids), '';
  PERFORM pg_notify('burgee', taken::text);
END $$;

CREATE FUNCTION burgee_keys_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('burgee.writer', true) IS DISTINCT FROM 'on' THEN
    PERFORM burgee_keys_record(max(revision), array_agg(key_id), bit_xor(tag) FILTER (WHERE revoked_at IS NULL),
      'sql.insert') FROM new_rows;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION burgee_keys_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('burgee.writer', true) IS DISTINCT FROM 'on' THEN
    PERFORM burgee_keys_record(max(stamp), array_agg(key_id), bit_xor(tag) FILTER (WHERE live), 'sql.update')
      FROM (
        SELECT key_id, tag, revoked_at IS NULL AS live, NULL::bigint AS stamp FROM old_rows
        UNION ALL
        SELECT key_id, tag, revoked_at IS NULL, revision FROM new_rows
      ) AS touched;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION burgee_keys_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('burgee.writer', true) IS DISTINCT FROM 'on' THEN
    PERFORM burgee_keys_record(NULL, array_agg(key_id), bit_xor(tag) FILTER (WHERE revoked_at IS NULL), 'sql.delete')
      FROM old_rows;
  END IF;
  RETURN NULL;
END $$;

-- TRUNCATE has no transition table; before it the rows are still there.
CREATE FUNCTION burgee_keys_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM store FOR UPDATE;
  PERFORM burgee_keys_record(NULL, array_agg(key_id), bit_xor(tag) FILTER (WHERE revoked_at IS NULL), 'sql.truncate')
    FROM api_keys;
  RETURN NULL;
END $$;

CREATE TRIGGER api_keys_lock BEFORE INSERT OR UPDATE OR DELETE ON api_keys
  FOR EACH STATEMENT EXECUTE FUNCTION burgee_keys_lock();
CREATE TRIGGER api_keys_stamp BEFORE INSERT OR UPDATE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION burgee_keys_stamp();
CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION burgee_keys_inserted();
CREATE TRIGGER api_keys_updated AFTER UPDATE ON api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION burgee_keys_updated();
CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION burgee_keys_deleted();
CREATE TRIGGER api_keys_truncated BEFORE TRUNCATE ON api_keys
  FOR EACH STATEMENT EXECUTE FUNCTION burgee_keys_truncated();
