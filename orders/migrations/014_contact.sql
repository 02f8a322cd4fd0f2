-- How a person wants to be told, from one order to the next. person is the HMAC of
-- orders_order, sealed the answers under AES-256-GCM.
CREATE TABLE orders_contact (
	commune TEXT   NOT NULL,
	person  TEXT   NOT NULL,
	sealed  BYTEA  NOT NULL,
	kept_at BIGINT NOT NULL,
	PRIMARY KEY (commune, person)
);
