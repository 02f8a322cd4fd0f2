-- A signature that a card elsewhere is asked for. prepared holds the signer's
-- certificate and is emptied once the signature is used or too late.
CREATE TABLE deferred_signature (
	commune TEXT NOT NULL,
	id TEXT NOT NULL,
	reference TEXT NOT NULL,
	content TEXT NOT NULL,
	asked_by TEXT NOT NULL,
	certificate TEXT NOT NULL, -- its SHA-256
	asked_at BIGINT NOT NULL,
	until_at BIGINT NOT NULL,
	used_at BIGINT,
	prepared BYTEA,
	PRIMARY KEY (commune, id)
);
CREATE INDEX deferred_signature_open ON deferred_signature (until_at) WHERE prepared IS NOT NULL;
