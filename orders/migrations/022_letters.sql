-- Which letters wait to be sent: their paper is issued, and neither posted nor withdrawn. The
-- index holds these alone, not the letters of years whose orders were refused or cancelled.
ALTER TABLE orders_fee ADD COLUMN waits BIGINT NOT NULL DEFAULT 0;
UPDATE orders_fee SET waits = 1 WHERE delivery = 'post' AND posted_at = 0
	AND EXISTS (SELECT 1 FROM orders_order o WHERE o.commune = orders_fee.commune AND o.id = orders_fee.order_id AND o.state = 'issued');
DROP INDEX orders_fee_letters;
CREATE INDEX orders_fee_letters ON orders_fee (commune, order_id) WHERE waits = 1;
