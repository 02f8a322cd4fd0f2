-- Who is on an order; whether the person has written since a clerk last acted (0: no);
-- and when it was closed (0: it is open), which is what every list of the desk begins with.
ALTER TABLE orders_order ADD COLUMN assignee TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_order ADD COLUMN assignee_name TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_order ADD COLUMN assigned_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders_order ADD COLUMN answered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders_order ADD COLUMN closed_at BIGINT NOT NULL DEFAULT 0;

UPDATE orders_order SET closed_at = changed_at WHERE state IN ('issued', 'refused', 'cancelled');

DROP INDEX orders_order_inbox;
CREATE INDEX orders_order_due ON orders_order (commune, closed_at, due_on, id);
CREATE INDEX orders_order_sent ON orders_order (commune, closed_at, submitted_at, id);
CREATE INDEX orders_order_name ON orders_order (commune, closed_at, search_name, id);
CREATE INDEX orders_order_state ON orders_order (commune, closed_at, state, due_on, id);
CREATE INDEX orders_order_assignee ON orders_order (commune, closed_at, assignee, due_on, id);
CREATE INDEX orders_order_answered ON orders_order (commune, due_on, id) WHERE answered_at > 0;
CREATE INDEX orders_order_find_3 ON orders_order (commune, substr(search_name, 1, 3));
CREATE INDEX orders_order_find_6 ON orders_order (commune, substr(search_name, 1, 6));
