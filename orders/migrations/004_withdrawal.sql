-- Papers that no longer stand. A row is never taken away; replaced_by is the order made
-- in the paper's place, '' where there is none.
CREATE TABLE orders_withdrawal (
	commune     TEXT   NOT NULL,
	order_id    TEXT   NOT NULL,
	cause       TEXT   NOT NULL,
	words       TEXT   NOT NULL, -- for colleagues
	by_subject  TEXT   NOT NULL,
	by_name     TEXT   NOT NULL,
	at          BIGINT NOT NULL,
	replaced_by TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id)
);

CREATE INDEX orders_withdrawal_replaced ON orders_withdrawal (commune, replaced_by);
