-- Orders that a clerk made for somebody: how they came, how it was checked who asks, and
-- who entered them. An order without a row was made by the person, on the web.
CREATE TABLE orders_entry (
	commune    TEXT NOT NULL,
	order_id   TEXT NOT NULL,
	channel    TEXT NOT NULL,
	identified TEXT NOT NULL,
	by_subject TEXT NOT NULL,
	by_name    TEXT NOT NULL,
	PRIMARY KEY (commune, order_id)
);
