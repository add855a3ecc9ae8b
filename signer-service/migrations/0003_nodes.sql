-- Several nodes may share a database. Each has a chain of its own, named after its checkpoint key; the rows of one that had
-- the database for itself get their name when it is opened.
CREATE TABLE node_audit (
    node TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    recorded_at TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    certificate_issuer TEXT,
    certificate_serial TEXT,
    document_sha256 TEXT,
    remark TEXT,
    patient TEXT,
    hash TEXT,
    PRIMARY KEY (node, sequence)
);
INSERT INTO node_audit (node, sequence, recorded_at, request_id, operation, outcome, certificate_issuer,
    certificate_serial, document_sha256, remark, patient, hash)
SELECT '', sequence, recorded_at, request_id, operation, outcome, certificate_issuer, certificate_serial,
    document_sha256, remark, patient, hash FROM audit;
DROP TABLE audit;
ALTER TABLE node_audit RENAME TO audit;
CREATE TABLE node_checkpoint (
    node TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL,
    made_at TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (node, sequence)
);
INSERT INTO node_checkpoint (node, sequence, hash, made_at, signature)
SELECT '', sequence, hash, made_at, signature FROM audit_checkpoint;
DROP TABLE audit_checkpoint;
ALTER TABLE node_checkpoint RENAME TO audit_checkpoint;
