-- The configuration's nouns, what is used of limits, and sessions of administrators. Times are Unix seconds.
CREATE TABLE config_nouns (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,                     -- JSON; its secrets sealed if sealed_with says by which key
    version INTEGER NOT NULL UNIQUE,
    born INTEGER NOT NULL UNIQUE,           -- its first version: the order of making
    file_hash TEXT,
    changed_by_api INTEGER NOT NULL CHECK (changed_by_api IN (0, 1)),
    is_removed INTEGER NOT NULL CHECK (is_removed IN (0, 1)),
    sealed_with TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- Names that only one noun may have.
CREATE TABLE config_claims (
    claim TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    FOREIGN KEY (kind, id) REFERENCES config_nouns (kind, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX config_claims_noun ON config_claims (kind, id);

-- One row: the latest version. Whoever writes nouns takes it first, so that writers come one after another.
CREATE TABLE config_revision (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO config_revision VALUES (1, 0);

CREATE TABLE config_counters (
    id TEXT PRIMARY KEY,
    used INTEGER NOT NULL,
    since REAL NOT NULL
) STRICT;

CREATE TABLE config_sessions (
    token_hash TEXT PRIMARY KEY,
    expires_at REAL NOT NULL
) STRICT;

CREATE INDEX config_sessions_expires_at ON config_sessions (expires_at);

CREATE TABLE config_settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
