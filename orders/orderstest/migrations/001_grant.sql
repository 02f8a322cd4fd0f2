CREATE TABLE orderstest_grant (
	commune   TEXT NOT NULL,
	id        TEXT NOT NULL,
	reference TEXT NOT NULL,
	content   TEXT NOT NULL,
	stage     TEXT NOT NULL,
	document  TEXT NOT NULL,
	PRIMARY KEY (commune, id)
);
