-- Since when an order waits for the person, 0 where it does not.
ALTER TABLE orders_order ADD COLUMN paused_at BIGINT NOT NULL DEFAULT 0;

-- What clerks and the person wrote to each other about an order.
CREATE TABLE orders_message (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	kind     TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	text     TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);

CREATE TABLE orders_attachment (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL, -- of the message
	n        BIGINT NOT NULL, -- 1 is the message's first
	name     TEXT   NOT NULL,
	type     TEXT   NOT NULL,
	size     BIGINT NOT NULL,
	document TEXT   NOT NULL, -- SHA-256
	PRIMARY KEY (commune, order_id, seq, n)
);

-- What clerks write for each other: a table that nothing for the person reads.
CREATE TABLE orders_note (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	text     TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);
