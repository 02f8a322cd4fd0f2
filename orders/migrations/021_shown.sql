-- The identity document by which a clerk took down somebody whom no register knows: its kind,
-- and the last characters of its number, which name it to whoever holds it and to nobody else.
CREATE TABLE orders_shown (
	commune  TEXT NOT NULL,
	order_id TEXT NOT NULL,
	document TEXT NOT NULL,
	ending   TEXT NOT NULL,
	PRIMARY KEY (commune, order_id)
);
