CREATE TABLE signing_grant (
	commune TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	reference TEXT NOT NULL,
	content TEXT NOT NULL,
	granted_by TEXT NOT NULL,
	reason TEXT NOT NULL,
	granted_at BIGINT NOT NULL,
	stage TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	document TEXT,
	signed_at BIGINT,
	stamped_at BIGINT,
	level TEXT NOT NULL,
	signer TEXT NOT NULL,
	specimen BOOLEAN NOT NULL,
	PRIMARY KEY (commune, id)
);
-- An order is approved once: no second grant can lead to a second document.
CREATE UNIQUE INDEX signing_grant_approval ON signing_grant (commune, reference) WHERE kind = 'approval';
CREATE INDEX signing_grant_open ON signing_grant (commune, granted_at) WHERE stage <> 'stamped';
CREATE INDEX signing_grant_document ON signing_grant (commune, document) WHERE document IS NOT NULL;

CREATE TABLE signing_attempt (
	commune TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	n BIGINT NOT NULL,
	state TEXT NOT NULL,
	level TEXT NOT NULL,
	specimen BOOLEAN NOT NULL,
	signed_at BIGINT NOT NULL,
	chain BYTEA NOT NULL,
	attributes BYTEA NOT NULL,
	prepared BYTEA,
	signature BYTEA,
	reason TEXT NOT NULL,
	PRIMARY KEY (commune, grant_id, n),
	FOREIGN KEY (commune, grant_id) REFERENCES signing_grant (commune, id)
);
