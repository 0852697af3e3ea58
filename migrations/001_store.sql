-- Everything a snapshot holds, with one revision counter over it. Plain SQL for PostgreSQL 14 to 18 and PGlite.
-- Ids use the "C" collation, so that every machine lists them in the same order.

-- Eight random bytes. An item's tag is drawn anew at each write; the XOR of the tags of all live items is their sum.
CREATE FUNCTION burgee_tag() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT ('x' || encode(substr(sha256(uuid_send(gen_random_uuid())), 1, 8), 'hex'))::bit(64)::bigint
$$;

-- One row. Every write locks it first, so revisions commit in order and without gaps.
CREATE TABLE store (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch uuid NOT NULL DEFAULT gen_random_uuid(),
  revision bigint NOT NULL DEFAULT 0,
  sum_keys bigint NOT NULL DEFAULT 0,
  sum_rest bigint NOT NULL DEFAULT 0,
  -- Rows of `changes` up to this revision may be gone.
  changes_pruned_to bigint NOT NULL DEFAULT 0,
  -- True for ever once the first key was made: the first key is made only once.
  had_key boolean NOT NULL DEFAULT false
);

CREATE TABLE environments (
  environment text COLLATE "C" PRIMARY KEY,
  description text NOT NULL DEFAULT '',
  policy text NOT NULL DEFAULT '{}',
  version bigint NOT NULL DEFAULT 1,
  -- Revision of the environment's own last change.
  revision bigint NOT NULL,
  -- Revision of the last change of anything in it.
  changed_at_revision bigint NOT NULL,
  tag bigint NOT NULL DEFAULT burgee_tag(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL
);

CREATE TABLE flags (
  environment text COLLATE "C" NOT NULL REFERENCES environments,
  flag_id text COLLATE "C" NOT NULL,
  type text NOT NULL CHECK (type IN ('boolean', 'string', 'number', 'object')),
  -- The document as the API shows it: text, not jsonb, so that its bytes are kept.
  document text NOT NULL,
  version bigint NOT NULL,
  revision bigint NOT NULL,
  tag bigint NOT NULL DEFAULT burgee_tag(),
  archived_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  updated_by text NOT NULL,
  PRIMARY KEY (environment, flag_id)
);
CREATE INDEX flags_of_one_id ON flags (flag_id);

-- Every version a flag ever had.
CREATE TABLE flag_versions (
  environment text COLLATE "C" NOT NULL,
  flag_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  revision bigint NOT NULL,
  document text NOT NULL,
  archived boolean NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (environment, flag_id, version)
);
CREATE INDEX flag_versions_by_revision ON flag_versions (revision);

-- What changed at which revision; followers read what is above theirs.
CREATE TABLE changes (
  revision bigint NOT NULL,
  kind text NOT NULL,
  environment text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (revision, kind, environment, id)
);

CREATE TABLE audit (
  audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  revision bigint NOT NULL,
  at timestamptz NOT NULL,
  -- A key_id, "cli" for the burgee command, "sql" for a statement by hand, "service" for the service itself.
  actor text NOT NULL,
  action text NOT NULL,
  kind text NOT NULL,
  environment text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  before_version bigint,
  after_version bigint,
  request_id text NOT NULL
);
CREATE INDEX audit_of_one_item ON audit (kind, environment, id, revision);

-- Outcomes of writes that came with an Idempotency-Key, of which only the SHA-256 is kept.
CREATE TABLE idempotency (
  key_id text COLLATE "C" NOT NULL,
  idempotency_key_hash text COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  status integer NOT NULL,
  headers text NOT NULL,
  body text NOT NULL,
  -- True: `body` holds a new API key and is encrypted under the Idempotency-Key itself.
  body_sealed boolean NOT NULL,
  revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (key_id, idempotency_key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

INSERT INTO store DEFAULT VALUES;
UPDATE store SET revision = 1;
INSERT INTO environments (environment, revision, changed_at_revision, updated_by)
  VALUES ('prod', 1, 1, 'service'), ('staging', 1, 1, 'service'), ('dev', 1, 1, 'service');
INSERT INTO changes (revision, kind, environment, id) SELECT 1, 'environment', '', environment FROM environments;
UPDATE store SET sum_rest = (SELECT bit_xor(tag) FROM environments);
