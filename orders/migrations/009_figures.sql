-- How an order came in; and what the yearly figures are read by.
ALTER TABLE orders_order ADD COLUMN channel TEXT NOT NULL DEFAULT 'online';
CREATE INDEX orders_order_received ON orders_order (commune, submitted_at);
