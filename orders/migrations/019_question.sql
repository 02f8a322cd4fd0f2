-- The commune's own texts for asking people something: label and text are JSON, by language.
CREATE TABLE orders_question (
	commune    TEXT   NOT NULL,
	id         TEXT   NOT NULL,
	version    BIGINT NOT NULL,
	label      TEXT   NOT NULL,
	text       TEXT   NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by TEXT   NOT NULL,
	PRIMARY KEY (commune, id)
);
