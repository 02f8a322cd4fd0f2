-- A form begun and not sent: one for each person and product. person is the HMAC of
-- orders_order, sealed what was typed so far, under AES-256-GCM.
CREATE TABLE orders_draft (
	commune TEXT   NOT NULL,
	person  TEXT   NOT NULL,
	product TEXT   NOT NULL,
	sealed  BYTEA  NOT NULL,
	kept_at BIGINT NOT NULL,
	until   BIGINT NOT NULL,
	PRIMARY KEY (commune, person, product)
);

CREATE INDEX orders_draft_until ON orders_draft (commune, until);
