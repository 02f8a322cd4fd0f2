-- Requests sent to a SAML identity provider, by the hash of their RelayState. Used
-- ones stay until they expire, so that a second answer can be told from a stranger's.
CREATE TABLE idp_saml_request (
    relay      TEXT   NOT NULL PRIMARY KEY,
    id         TEXT   NOT NULL,
    commune    TEXT   NOT NULL,
    provider   TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    browser    TEXT   NOT NULL,
    consumer   TEXT   NOT NULL,
    wanted     TEXT   NOT NULL,
    forced     BIGINT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX idp_saml_request_expires ON idp_saml_request (expires_at);

-- Assertions that signed somebody in, until they can no longer be taken for new.
CREATE TABLE idp_saml_assertion (
    commune    TEXT   NOT NULL,
    issuer     TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (commune, issuer, id)
);
CREATE INDEX idp_saml_assertion_expires ON idp_saml_assertion (expires_at);
