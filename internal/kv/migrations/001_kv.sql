CREATE TABLE kv_value (
	key TEXT PRIMARY KEY,
	value BYTEA NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX kv_value_expires ON kv_value (expires);
CREATE TABLE kv_counter (
	key TEXT PRIMARY KEY,
	n BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX kv_counter_expires ON kv_counter (expires);
