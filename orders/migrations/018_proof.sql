-- What people have had sealed of their orders' history: content is the SHA-256 of the
-- document as it was made, grant_id that of its seal.
CREATE TABLE orders_proof (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	content  TEXT   NOT NULL,
	grant_id TEXT   NOT NULL,
	made_at  BIGINT NOT NULL,
	PRIMARY KEY (commune, order_id, content)
);
