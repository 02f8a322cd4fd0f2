-- How often its person was reminded of a form since they last changed it.
ALTER TABLE orders_draft ADD COLUMN reminded BIGINT NOT NULL DEFAULT 0;
