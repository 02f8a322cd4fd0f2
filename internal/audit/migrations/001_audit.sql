CREATE TABLE audit_entry (
	commune TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (commune, seq)
);
CREATE INDEX audit_entry_subject ON audit_entry (commune, subject, seq);
CREATE TABLE audit_head (
	commune TEXT PRIMARY KEY,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL
);
