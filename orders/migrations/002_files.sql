-- Every file that leads to a paper: as it was issued, as the seal alone left it, and as
-- each renewal made it. The newest is orders_paper.document.
CREATE TABLE orders_file (
	commune  TEXT   NOT NULL,
	document TEXT   NOT NULL, -- SHA-256
	order_id TEXT   NOT NULL,
	added_at BIGINT NOT NULL,
	PRIMARY KEY (commune, document)
);

INSERT INTO orders_file (commune, document, order_id, added_at)
	SELECT commune, document, order_id, issued_at FROM orders_paper WHERE document <> '' AND issued_at IS NOT NULL;

CREATE INDEX orders_paper_grant ON orders_paper (commune, grant_id);
