-- Permissions to read a card at the counter, each good for one reading of one session, and
-- what was read until an order is made of it: sealed holds it under AES-256-GCM. id and
-- session are HMACs.
CREATE TABLE orders_reading (
	commune  TEXT   NOT NULL,
	id       TEXT   NOT NULL,
	session  TEXT   NOT NULL,
	clerk    TEXT   NOT NULL,
	until    BIGINT NOT NULL,
	state    TEXT   NOT NULL,
	person   TEXT   NOT NULL,
	sealed   BYTEA  NOT NULL,
	PRIMARY KEY (commune, id)
);

CREATE INDEX orders_reading_until ON orders_reading (commune, until);
