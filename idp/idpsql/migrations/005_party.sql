-- Clients that were given a code in a session and are to be told of its end (OpenID
-- Connect Back-Channel Logout 1.0 §2.5). A row goes once the client has been told, or
-- when its own session is over anyway.
CREATE TABLE idp_party (
    id         TEXT   NOT NULL PRIMARY KEY,
    session    TEXT   NOT NULL,
    client     TEXT   NOT NULL,
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (session, client, issuer)
);
CREATE INDEX idp_party_expires ON idp_party (expires_at);
