-- Which cases of emergency access wait for their review: 1 does, 2 does not (not yet approved, or reviewed), 0 was kept before
-- this column was there and is read to find out.
ALTER TABLE emergency ADD COLUMN review BIGINT NOT NULL DEFAULT 0;
CREATE INDEX emergency_unreviewed ON emergency (ends_at) WHERE review < 2;
