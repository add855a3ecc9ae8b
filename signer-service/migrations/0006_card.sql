ALTER TABLE audit ADD COLUMN card TEXT;  -- keyed pseudonym, never the number; rows of earlier versions have none
