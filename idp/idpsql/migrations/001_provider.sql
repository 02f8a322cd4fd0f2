-- Persons of a commune: found by a keyed hash of the national number; what names
-- them is sealed (base64url of AES-256-GCM) under keys outside this database.
CREATE TABLE idp_person (
    commune    TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    lookup     TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (commune, id),
    UNIQUE (commune, lookup)
);

-- Pushed authorization requests (RFC 9126), by the hash of their handle.
CREATE TABLE idp_pushed (
    handle     TEXT   NOT NULL PRIMARY KEY,
    client     TEXT   NOT NULL,
    parameters TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX idp_pushed_expires ON idp_pushed (expires_at);

-- Authorization codes, by their hash. Used ones stay until they expire, so that a
-- second use is seen and what the first gave is taken back.
CREATE TABLE idp_code (
    code       TEXT   NOT NULL PRIMARY KEY,
    client     TEXT   NOT NULL,
    session    TEXT   NOT NULL,
    content    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX idp_code_session ON idp_code (session);
CREATE INDEX idp_code_expires ON idp_code (expires_at);

-- Access tokens, by their hash.
CREATE TABLE idp_access_token (
    token      TEXT   NOT NULL PRIMARY KEY,
    code       TEXT   NOT NULL,
    session    TEXT   NOT NULL,
    content    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX idp_access_token_code ON idp_access_token (code);
CREATE INDEX idp_access_token_session ON idp_access_token (session);
CREATE INDEX idp_access_token_expires ON idp_access_token (expires_at);

-- Client assertions that were used, until they expire (RFC 7523 §3, jti).
CREATE TABLE idp_assertion (
    client     TEXT   NOT NULL,
    jti        TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client, jti)
);
CREATE INDEX idp_assertion_expires ON idp_assertion (expires_at);

-- Challenges given to cards, by the hash of the nonce. Used ones stay until they
-- expire, so that a second use can be told from a stranger's nonce.
CREATE TABLE idp_challenge (
    nonce      TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    browser    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX idp_challenge_expires ON idp_challenge (expires_at);

-- Keys that sign ID tokens: PKCS#8, sealed. One key per algorithm and generation,
-- so that two nodes that rotate at once make one.
CREATE TABLE idp_signing_key (
    alg        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    kid        TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    active_at  BIGINT NOT NULL,
    PRIMARY KEY (alg, generation)
);
