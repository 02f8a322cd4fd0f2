-- By what a person is known: the keyed hash of a national number (issuer is empty), or
-- of an account at an issuer elsewhere. A person may have several of each.
CREATE TABLE idp_link (
    commune  TEXT   NOT NULL,
    lookup   TEXT   NOT NULL,
    person   TEXT   NOT NULL,
    issuer   TEXT   NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (commune, lookup)
);
CREATE INDEX idp_link_person ON idp_link (commune, person);
INSERT INTO idp_link (commune, lookup, person, issuer, first_at, last_at)
    SELECT commune, lookup, id, '', created_at, updated_at FROM idp_person;

-- Persons without their look-up, which is a link now. A record that was found to be
-- about the same person as an older one stands under it, and is otherwise left as it is.
ALTER TABLE idp_person RENAME TO idp_person_before;
CREATE TABLE idp_person (
    commune    TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    under      TEXT   NOT NULL DEFAULT '',
    sealed     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (commune, id)
);
INSERT INTO idp_person (commune, id, sealed, created_at, updated_at)
    SELECT commune, id, sealed, created_at, updated_at FROM idp_person_before;
DROP TABLE idp_person_before;
CREATE INDEX idp_person_under ON idp_person (commune, under);

-- Two records held to be one person's. Proposed, then confirmed by somebody else, or
-- joined by the program itself; undone_at ends either. notice_* say when the person,
-- signing in as either record, was told of the state it is in.
CREATE TABLE idp_merge (
    commune        TEXT   NOT NULL,
    id             TEXT   NOT NULL,
    older          TEXT   NOT NULL,
    younger        TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    proposed_by    TEXT   NOT NULL,
    proposed_at    BIGINT NOT NULL,
    confirmed_by   TEXT,
    confirmed_at   BIGINT,
    undone_by      TEXT,
    undone_at      BIGINT,
    notice_older   BIGINT,
    notice_younger BIGINT,
    PRIMARY KEY (commune, id)
);
CREATE INDEX idp_merge_older ON idp_merge (commune, older);
CREATE INDEX idp_merge_younger ON idp_merge (commune, younger);
