CREATE TABLE jobs_job (
	id       BIGINT PRIMARY KEY,
	kind     TEXT NOT NULL,
	args     TEXT NOT NULL,
	due      BIGINT,          -- NULL: given up
	tries    BIGINT NOT NULL, -- that failed, one after the other
	every    BIGINT NOT NULL, -- microseconds until it is due again after a success; 0: it is done then
	error    TEXT NOT NULL,   -- of the last try
	given_up BIGINT
);
CREATE INDEX jobs_due ON jobs_job (due);
