-- An order. number_sealed is the national number under AES-256-GCM, person its HMAC
-- under another key; neither key is in the database.
CREATE TABLE orders_order (
	commune         TEXT   NOT NULL,
	id              TEXT   NOT NULL,
	reference       TEXT   NOT NULL,
	product         TEXT   NOT NULL,
	product_version BIGINT NOT NULL,
	state           TEXT   NOT NULL,
	version         BIGINT NOT NULL,
	subject         TEXT   NOT NULL,
	form_key        TEXT   NOT NULL,
	form_hash       TEXT   NOT NULL,
	person          TEXT   NOT NULL,
	number_sealed   BYTEA  NOT NULL,
	given_names     TEXT   NOT NULL,
	surname         TEXT   NOT NULL,
	search_name     TEXT   NOT NULL,
	language        TEXT   NOT NULL,
	answers         TEXT   NOT NULL,
	attention       TEXT   NOT NULL,
	submitted_at    BIGINT NOT NULL,
	due_on          TEXT   NOT NULL,
	changed_at      BIGINT NOT NULL,
	changed_by      TEXT   NOT NULL,
	refusal         TEXT   NOT NULL,
	PRIMARY KEY (commune, id)
);

CREATE UNIQUE INDEX orders_order_reference ON orders_order (commune, reference);
CREATE UNIQUE INDEX orders_order_form ON orders_order (commune, subject, form_key);
CREATE INDEX orders_order_mine ON orders_order (commune, subject, id);
CREATE INDEX orders_order_person ON orders_order (commune, person, state);
CREATE INDEX orders_order_inbox ON orders_order (commune, state, due_on, id);

CREATE TABLE orders_event (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	kind     TEXT   NOT NULL,
	shown    BIGINT NOT NULL, -- 1: the person sees it
	actor    TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	detail   TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);

-- The counter of a commune's year. A row lock, not a sequence: a sequence would leave gaps.
CREATE TABLE orders_counter (
	commune TEXT   NOT NULL,
	year    BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	PRIMARY KEY (commune, year)
);

-- One row for each number ever given; void explains a gap.
CREATE TABLE orders_paper (
	commune     TEXT   NOT NULL,
	order_id    TEXT   NOT NULL,
	number      TEXT   NOT NULL,
	token       TEXT   NOT NULL, -- of the QR, 128 random bits
	token_hash  TEXT   NOT NULL, -- its SHA-256, by which it is found: an index must not leak it by its timing
	code        TEXT   NOT NULL,
	allocated_at BIGINT NOT NULL,
	content     TEXT   NOT NULL, -- SHA-256 of the frozen bytes, '' before
	holder      TEXT   NOT NULL,
	prepared_at BIGINT,
	prepared_by TEXT   NOT NULL,
	grant_id    TEXT   NOT NULL, -- of the approval, '' before
	document    TEXT   NOT NULL, -- SHA-256 of the sealed file, '' before
	signed_at   BIGINT,
	issued_at   BIGINT,
	level       TEXT   NOT NULL,
	signer      TEXT   NOT NULL,
	specimen    BIGINT NOT NULL,
	void        BIGINT NOT NULL,
	PRIMARY KEY (commune, order_id)
);

CREATE UNIQUE INDEX orders_paper_number ON orders_paper (commune, number);
CREATE UNIQUE INDEX orders_paper_token ON orders_paper (commune, token_hash);
CREATE INDEX orders_paper_document ON orders_paper (commune, document);
