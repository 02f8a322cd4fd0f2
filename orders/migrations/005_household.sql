-- Those with whom the person is registered, as names of theirs within the commune (HMAC,
-- like person), separated by spaces: none of them decides about the order.
ALTER TABLE orders_order ADD COLUMN household TEXT NOT NULL DEFAULT '';
