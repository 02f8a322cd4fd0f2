-- How an order's paper is delivered and what it costs, as the person saw it; no row where it
-- is a free download. price is JSON, amounts are euro cents, recipient the JSON lines of the
-- official address of a letter. received_at and posted_at are 0 until then.
CREATE TABLE orders_fee (
	commune      TEXT   NOT NULL,
	order_id     TEXT   NOT NULL,
	delivery     TEXT   NOT NULL,
	copies       BIGINT NOT NULL,
	price        TEXT   NOT NULL,
	total        BIGINT NOT NULL,
	regulation   TEXT   NOT NULL,
	before_issue BIGINT NOT NULL,
	recipient    TEXT   NOT NULL,
	received_at  BIGINT NOT NULL DEFAULT 0,
	posted_at    BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (commune, order_id)
);
CREATE INDEX orders_fee_letters ON orders_fee (commune, order_id) WHERE delivery = 'post' AND posted_at = 0;

-- Fees received by clerks, the last one of an order being the one that counts unless it was
-- undone.
CREATE TABLE orders_receipt (
	commune        TEXT   NOT NULL,
	order_id       TEXT   NOT NULL,
	seq            BIGINT NOT NULL,
	at             BIGINT NOT NULL,
	subject        TEXT   NOT NULL,
	name           TEXT   NOT NULL,
	how            TEXT   NOT NULL,
	number         TEXT   NOT NULL,
	cents          BIGINT NOT NULL,
	undone_at      BIGINT NOT NULL DEFAULT 0,
	undone_subject TEXT   NOT NULL DEFAULT '',
	undone_name    TEXT   NOT NULL DEFAULT '',
	undone_reason  TEXT   NOT NULL DEFAULT '',
	PRIMARY KEY (commune, order_id, seq)
);
