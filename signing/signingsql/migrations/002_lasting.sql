-- What the time-stamping authority and the responders have answered, until the attempt is finished or void.
ALTER TABLE signing_attempt ADD COLUMN stamp BYTEA;
ALTER TABLE signing_attempt ADD COLUMN material BYTEA;

ALTER TABLE signing_grant ADD COLUMN sealed TEXT;
ALTER TABLE signing_grant ADD COLUMN ends_at BIGINT;
ALTER TABLE signing_grant ADD COLUMN algorithms TEXT NOT NULL DEFAULT '';
ALTER TABLE signing_grant ADD COLUMN renewals BIGINT NOT NULL DEFAULT 0;

-- The last stage has a name of its own, since not every stamped document is finished.
UPDATE signing_grant SET stage = 'finished', sealed = document WHERE stage = 'stamped';
DROP INDEX signing_grant_open;
CREATE INDEX signing_grant_open ON signing_grant (commune, granted_at) WHERE stage <> 'finished';
CREATE INDEX signing_grant_ends ON signing_grant (commune, ends_at) WHERE ends_at IS NOT NULL;

-- Certificates of seals that were found revoked: their keys are not used again.
CREATE TABLE signing_revoked (
	commune TEXT NOT NULL,
	certificate TEXT NOT NULL, -- SHA-256 of its DER
	revoked_at BIGINT NOT NULL,
	PRIMARY KEY (commune, certificate)
);
