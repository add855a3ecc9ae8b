-- Cases of emergency access: who asked, who agreed, what was read, who reviewed it. src/emergency.rs has the form of a body.
CREATE TABLE emergency (
    id TEXT NOT NULL PRIMARY KEY,   -- UUID
    opened_at TEXT NOT NULL,        -- RFC 3339, UTC
    patient TEXT NOT NULL,          -- keyed pseudonym, never the number
    requester TEXT NOT NULL,        -- Telematik-ID
    ends_at BIGINT NOT NULL,        -- seconds since 1970; earlier once it was denied or revoked
    version BIGINT NOT NULL,        -- counts the changes, so that none is lost between two
    body TEXT NOT NULL              -- JSON
);
