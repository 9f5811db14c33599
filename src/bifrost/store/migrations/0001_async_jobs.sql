-- Asynchronous jobs. Times are Unix seconds; result_ttl is in seconds.
CREATE TABLE async_jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of adding, whatever the clock did
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    request_type TEXT NOT NULL,
    route TEXT NOT NULL,
    model TEXT NOT NULL,
    request_id TEXT NOT NULL,
    remote_addr TEXT NOT NULL,
    virtual_key_id TEXT NOT NULL,           -- SHA-256 of its value; empty without one
    needs_secret INTEGER NOT NULL CHECK (needs_secret IN (0, 1)),
    result_ttl INTEGER NOT NULL,
    created_at REAL NOT NULL,
    completed_at REAL,
    expires_at REAL,
    status_code INTEGER,
    content_type TEXT,
    bytes INTEGER NOT NULL,                 -- of the request, then of the result
    response BLOB,
    error BLOB,
    CHECK ((status IN ('completed', 'failed')) = (completed_at IS NOT NULL)),
    CHECK ((completed_at IS NULL) = (expires_at IS NULL)),
    CHECK ((status = 'completed') = (response IS NOT NULL)),
    CHECK ((status = 'failed') = (error IS NOT NULL))
) STRICT;

CREATE INDEX async_jobs_status ON async_jobs (status, seq);
CREATE INDEX async_jobs_expires_at ON async_jobs (expires_at) WHERE expires_at IS NOT NULL;

-- What it takes to run one, gone as soon as it is over. Apart, because SQLite writes a row anew for a change of its status.
CREATE TABLE async_job_requests (
    seq INTEGER PRIMARY KEY REFERENCES async_jobs (seq) ON DELETE CASCADE,
    headers BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- One row: what the bounds go by, without counting.
CREATE TABLE async_job_counts (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    open_jobs INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL
) STRICT;

INSERT INTO async_job_counts VALUES (1, 0, 0);

CREATE TRIGGER async_jobs_added AFTER INSERT ON async_jobs BEGIN
    UPDATE async_job_counts SET
        open_jobs = open_jobs + (new.completed_at IS NULL),
        stored_bytes = stored_bytes + new.bytes;
END;

CREATE TRIGGER async_jobs_changed AFTER UPDATE OF completed_at, bytes ON async_jobs BEGIN
    UPDATE async_job_counts SET
        open_jobs = open_jobs + (new.completed_at IS NULL) - (old.completed_at IS NULL),
        stored_bytes = stored_bytes + new.bytes - old.bytes;
END;

CREATE TRIGGER async_jobs_removed AFTER DELETE ON async_jobs BEGIN
    UPDATE async_job_counts SET
        open_jobs = open_jobs - (old.completed_at IS NULL),
        stored_bytes = stored_bytes - old.bytes;
END;
