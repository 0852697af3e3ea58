-- Segments: lists of ids and conditions that rules name, and who needs whom.
-- Plain SQL for PostgreSQL 14 to 18 and PGlite; only adds, so that the version before runs on it.

-- What the live flags and segments need of each other, kept with each write, so that a check reads rows and parses no
-- documents. Nothing to fill in: before this, a document that named another was refused.
CREATE TABLE uses (
  environment text COLLATE "C" NOT NULL,
  user_kind text NOT NULL CHECK (user_kind IN ('flag', 'segment')),
  user_id text COLLATE "C" NOT NULL,
  used_kind text NOT NULL CHECK (used_kind IN ('flag', 'segment')),
  used_id text COLLATE "C" NOT NULL,
  -- The variant that a prerequisite asks for; empty for a segment.
  variant text NOT NULL DEFAULT '',
  -- How often the one asks the other.
  times integer NOT NULL DEFAULT 1 CHECK (times > 0),
  -- The id comes first: a planner that knows nothing of the table yet must not think another index as good.
  PRIMARY KEY (user_id, environment, user_kind, used_kind, used_id)
);
CREATE INDEX uses_of_one_item ON uses (used_id, environment, used_kind);

CREATE TABLE segments (
  environment text COLLATE "C" NOT NULL REFERENCES environments,
  segment_id text COLLATE "C" NOT NULL,
  -- The document as the API shows it: text, not jsonb, so that its bytes are kept.
  document text NOT NULL,
  -- The two lists, each as JSON: layers of packed ids by hash, and a tail of what changed since (see decision 0019).
  included text NOT NULL,
  excluded text NOT NULL,
  -- Hashes of every blob that the two lists name.
  blobs text[] COLLATE "C" NOT NULL DEFAULT '{}',
  version bigint NOT NULL,
  revision bigint NOT NULL,
  tag bigint NOT NULL DEFAULT burgee_tag(),
  archived_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  updated_by text NOT NULL,
  PRIMARY KEY (environment, segment_id)
);
CREATE INDEX segments_by_blob ON segments USING gin (blobs) WITH (fastupdate = off);

-- Every version a segment ever had. A list is kept as what the version changed of it; some versions keep the whole list
-- by reference, and any other is that of the last such version with the changes since applied.
CREATE TABLE segment_versions (
  environment text COLLATE "C" NOT NULL,
  segment_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  revision bigint NOT NULL,
  document text NOT NULL,
  archived boolean NOT NULL,
  -- {"adds":[...],"drops":[...]}; NULL: this version did not change members of the list one by one.
  included_change text,
  excluded_change text,
  -- The whole list as in segments; NULL: that of the version before with the change.
  included text,
  excluded text,
  blobs text[] COLLATE "C" NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  PRIMARY KEY (environment, segment_id, version)
);
CREATE INDEX segment_versions_by_revision ON segment_versions (revision);
CREATE INDEX segment_versions_by_blob ON segment_versions USING gin (blobs) WITH (fastupdate = off)
  WHERE blobs <> '{}';

-- Packed ids by the SHA-256 of their bytes, never changed. A blob that no row names goes some time after it was wanted last.
CREATE TABLE segment_blobs (
  hash text COLLATE "C" PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),
  bytes bigint NOT NULL,
  -- False while its chunks are still coming.
  complete boolean NOT NULL DEFAULT false,
  wanted_at timestamptz NOT NULL
);
CREATE INDEX segment_blobs_by_age ON segment_blobs (wanted_at);
CREATE TABLE segment_blob_chunks (
  hash text COLLATE "C" NOT NULL,
  chunk integer NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (hash, chunk)
);
-- Hashes and ids hardly compress, and trying takes longer than writing them.
ALTER TABLE segment_blob_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
