-- Requests sent to an OpenID provider elsewhere, by the hash of their state. Nonce and
-- PKCE verifier are derived from the state and lie nowhere. Used ones stay until they
-- expire, so that a second answer can be told from a stranger's.
CREATE TABLE idp_upstream_request (
    state      TEXT   NOT NULL PRIMARY KEY,
    commune    TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    browser    TEXT   NOT NULL,
    redirect   TEXT   NOT NULL,
    wanted     TEXT   NOT NULL,
    forced     BIGINT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX idp_upstream_request_expires ON idp_upstream_request (expires_at);

-- Keys by which a commune proves itself to an OpenID provider elsewhere, and to which
-- that one encrypts: PKCS#8, sealed. One line of generations per purpose, so that two
-- nodes that rotate at once make one key.
CREATE TABLE idp_upstream_key (
    commune    TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    kid        TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    active_at  BIGINT NOT NULL,
    PRIMARY KEY (commune, source, purpose, generation)
);
