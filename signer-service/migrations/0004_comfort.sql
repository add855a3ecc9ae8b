-- User ids of the last activations of comfort signatures, so that none is used again.
CREATE TABLE comfort_user (
    activation BIGINT NOT NULL PRIMARY KEY,  -- 1, 2, 3 ...
    user_sha256 TEXT NOT NULL UNIQUE         -- lower-case hexadecimal; the id itself is a secret of its user
);
