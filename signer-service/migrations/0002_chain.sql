-- Each row carries a hash over itself and the row before; checkpoints sign the newest hash. src/audit/record.rs has the form.
ALTER TABLE audit ADD COLUMN patient TEXT;  -- keyed pseudonym, never the number
ALTER TABLE audit ADD COLUMN hash TEXT;     -- lower-case hexadecimal; filled in for rows of earlier versions when opened
CREATE TABLE audit_checkpoint (
    sequence BIGINT NOT NULL PRIMARY KEY,   -- the newest row then
    hash TEXT NOT NULL,                     -- its hash
    made_at TEXT NOT NULL,                  -- RFC 3339, UTC
    signature TEXT NOT NULL                 -- ECDSA P-384, r and s, lower-case hexadecimal
);
-- Answers kept for callers who ask again with the same key. Without the document: the caller has to send it again.
CREATE TABLE result (
    idempotency_key TEXT NOT NULL PRIMARY KEY,
    document_sha256 TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    answer TEXT                             -- NULL while no answer exists; Base64
);
