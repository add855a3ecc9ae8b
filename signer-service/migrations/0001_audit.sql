-- The audit trail. Types and statements are the common ground of SQLite and PostgreSQL.
-- No column may hold a value of a patient, a PIN, or the number of a card.
CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,  -- 1, 2, 3 ... without gaps
    recorded_at TEXT NOT NULL,             -- RFC 3339, UTC
    request_id TEXT NOT NULL,              -- as in the answer's metadata and in the log
    operation TEXT NOT NULL,               -- name of the call
    outcome TEXT NOT NULL,                 -- OK, or the reason of the refusal
    certificate_issuer TEXT,               -- RFC 4514 text
    certificate_serial TEXT,               -- lower-case hexadecimal
    document_sha256 TEXT,                  -- lower-case hexadecimal
    remark TEXT                            -- how the insurance card was checked
);
