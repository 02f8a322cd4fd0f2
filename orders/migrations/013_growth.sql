-- A name's beginning among a million closed orders: each head is followed by the order in
-- which closed ones are shown, so that a page of a common name is read and nothing sorted.
DROP INDEX orders_order_find_3;
DROP INDEX orders_order_find_6;
CREATE INDEX orders_order_find_2 ON orders_order (commune, substr(search_name, 1, 2), closed_at, id);
CREATE INDEX orders_order_find_3 ON orders_order (commune, substr(search_name, 1, 3), closed_at, id);
CREATE INDEX orders_order_find_6 ON orders_order (commune, substr(search_name, 1, 6), closed_at, id);
CREATE INDEX orders_order_find_12 ON orders_order (commune, substr(search_name, 1, 12), closed_at, id);

-- Lists of open orders that are few. With closed_at in them these indexes are chosen over
-- that of all open orders.
DROP INDEX orders_order_answered;
CREATE INDEX orders_order_answered ON orders_order (commune, closed_at, due_on, id) WHERE answered_at > 0;
CREATE INDEX orders_order_sealing ON orders_order (commune, closed_at, due_on, id) WHERE state IN ('approved', 'signed');
CREATE INDEX orders_order_state_sent ON orders_order (commune, closed_at, state, submitted_at, id) WHERE closed_at = 0;
CREATE INDEX orders_order_state_name ON orders_order (commune, closed_at, state, search_name, id) WHERE closed_at = 0;
