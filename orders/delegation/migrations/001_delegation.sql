-- Who may sign in whose place. A row is ended, never taken away. Until an invited member
-- has joined, subject is '' and invitation says whose it will be.
CREATE TABLE delegation_delegation (
	commune    TEXT   NOT NULL,
	id         TEXT   NOT NULL,
	subject    TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	invitation TEXT   NOT NULL,
	office     TEXT   NOT NULL,
	products   TEXT   NOT NULL, -- IDs with a space about each, '' for all
	from_day   TEXT   NOT NULL,
	to_day     TEXT   NOT NULL, -- the last, '' for none
	decision   TEXT   NOT NULL,
	made_by    TEXT   NOT NULL,
	made_at    BIGINT NOT NULL,
	ended_by   TEXT   NOT NULL,
	ended_at   BIGINT NOT NULL, -- 0 while it stands
	PRIMARY KEY (commune, id)
);

CREATE INDEX delegation_delegation_subject ON delegation_delegation (commune, subject);
