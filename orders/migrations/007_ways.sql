-- How a commune comes by an order's paper: made, source or attached.
ALTER TABLE orders_order ADD COLUMN way TEXT NOT NULL DEFAULT 'made';

-- The register that has sealed the paper itself, '' where the commune does. number then is
-- 'REGISTER:REFERENCE', of the register's own reference: no two orders have the same one.
ALTER TABLE orders_paper ADD COLUMN source TEXT NOT NULL DEFAULT '';

-- The file as a clerk has attached it (SHA-256, '' where none is), what is known of it (JSON:
-- by whom, when, where the number goes), and how well the paper can be read aloud (JSON, ''
-- where that was not looked at).
ALTER TABLE orders_paper ADD COLUMN attached TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_paper ADD COLUMN attachment TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_paper ADD COLUMN access TEXT NOT NULL DEFAULT '';
