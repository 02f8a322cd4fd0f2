-- Who asked, where a clerk made the order. A mandate that stands has days, and may be relied
-- upon for other orders of the same person until it is over or a clerk has ended it; rests_on
-- is the order with which it was recorded. person is the HMAC of orders_order.
CREATE TABLE orders_came (
	commune    TEXT   NOT NULL,
	order_id   TEXT   NOT NULL,
	person     TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	proof      TEXT   NOT NULL,
	from_day   TEXT   NOT NULL,
	to_day     TEXT   NOT NULL,
	rests_on   TEXT   NOT NULL,
	by_subject TEXT   NOT NULL,
	by_name    TEXT   NOT NULL,
	at         BIGINT NOT NULL,
	ended_at   BIGINT NOT NULL,
	ended_by   TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id)
);

CREATE INDEX orders_came_person ON orders_came (commune, person, to_day);
