CREATE TABLE staff_member (
  commune TEXT NOT NULL,
  subject TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  since BIGINT NOT NULL,
  removed_at BIGINT,
  PRIMARY KEY (commune, subject)
);

CREATE TABLE staff_invitation (
  commune TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  used_by TEXT,
  PRIMARY KEY (commune, id)
);
