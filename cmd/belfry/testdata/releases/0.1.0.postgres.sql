-- The database of Belfry 0.1.0, with a neutral row in each table.

CREATE TABLE audit_entry (
    commune text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    hash text NOT NULL
);
CREATE TABLE audit_head (
    commune text NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL
);
CREATE TABLE deferred_signature (
    commune text NOT NULL,
    id text NOT NULL,
    reference text NOT NULL,
    content text NOT NULL,
    asked_by text NOT NULL,
    certificate text NOT NULL,
    asked_at bigint NOT NULL,
    until_at bigint NOT NULL,
    used_at bigint,
    prepared bytea
);
CREATE TABLE delegation_delegation (
    commune text NOT NULL,
    id text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    invitation text NOT NULL,
    office text NOT NULL,
    products text NOT NULL,
    from_day text NOT NULL,
    to_day text NOT NULL,
    decision text NOT NULL,
    made_by text NOT NULL,
    made_at bigint NOT NULL,
    ended_by text NOT NULL,
    ended_at bigint NOT NULL
);
CREATE TABLE idp_access_token (
    token text NOT NULL,
    code text NOT NULL,
    session text NOT NULL,
    content text NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint
);
CREATE TABLE idp_assertion (
    client text NOT NULL,
    jti text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE idp_challenge (
    nonce text NOT NULL,
    purpose text NOT NULL,
    login text NOT NULL,
    browser text NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE TABLE idp_code (
    code text NOT NULL,
    client text NOT NULL,
    session text NOT NULL,
    content text NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE TABLE idp_link (
    commune text NOT NULL,
    lookup text NOT NULL,
    person text NOT NULL,
    issuer text NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL
);
CREATE TABLE idp_merge (
    commune text NOT NULL,
    id text NOT NULL,
    older text NOT NULL,
    younger text NOT NULL,
    reason text NOT NULL,
    proposed_by text NOT NULL,
    proposed_at bigint NOT NULL,
    confirmed_by text,
    confirmed_at bigint,
    undone_by text,
    undone_at bigint,
    notice_older bigint,
    notice_younger bigint
);
CREATE TABLE idp_party (
    id text NOT NULL,
    session text NOT NULL,
    client text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE idp_person (
    commune text NOT NULL,
    id text NOT NULL,
    under text DEFAULT ''::text NOT NULL,
    sealed text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE idp_pushed (
    handle text NOT NULL,
    client text NOT NULL,
    parameters text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE idp_saml_assertion (
    commune text NOT NULL,
    issuer text NOT NULL,
    id text NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE idp_saml_request (
    relay text NOT NULL,
    id text NOT NULL,
    commune text NOT NULL,
    provider text NOT NULL,
    login text NOT NULL,
    browser text NOT NULL,
    consumer text NOT NULL,
    wanted text NOT NULL,
    forced bigint NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE TABLE idp_signing_key (
    alg text NOT NULL,
    generation bigint NOT NULL,
    kid text NOT NULL,
    sealed text NOT NULL,
    active_at bigint NOT NULL
);
CREATE TABLE idp_upstream_key (
    commune text NOT NULL,
    source text NOT NULL,
    purpose text NOT NULL,
    generation bigint NOT NULL,
    kid text NOT NULL,
    sealed text NOT NULL,
    active_at bigint NOT NULL
);
CREATE TABLE idp_upstream_request (
    state text NOT NULL,
    commune text NOT NULL,
    source text NOT NULL,
    login text NOT NULL,
    browser text NOT NULL,
    redirect text NOT NULL,
    wanted text NOT NULL,
    forced bigint NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);
CREATE TABLE jobs_job (
    id bigint NOT NULL,
    kind text NOT NULL,
    args text NOT NULL,
    due bigint,
    tries bigint NOT NULL,
    every bigint NOT NULL,
    error text NOT NULL,
    given_up bigint
);
CREATE TABLE kv_counter (
    key text NOT NULL,
    n bigint NOT NULL,
    expires bigint NOT NULL
);
CREATE TABLE kv_value (
    key text NOT NULL,
    value bytea NOT NULL,
    expires bigint NOT NULL
);
CREATE TABLE orders_attachment (
    commune text NOT NULL,
    order_id text NOT NULL,
    seq bigint NOT NULL,
    n bigint NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    size bigint NOT NULL,
    document text NOT NULL
);
CREATE TABLE orders_came (
    commune text NOT NULL,
    order_id text NOT NULL,
    person text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    proof text NOT NULL,
    from_day text NOT NULL,
    to_day text NOT NULL,
    rests_on text NOT NULL,
    by_subject text NOT NULL,
    by_name text NOT NULL,
    at bigint NOT NULL,
    ended_at bigint NOT NULL,
    ended_by text NOT NULL
);
CREATE TABLE orders_contact (
    commune text NOT NULL,
    person text NOT NULL,
    sealed bytea NOT NULL,
    kept_at bigint NOT NULL
);
CREATE TABLE orders_counter (
    commune text NOT NULL,
    year bigint NOT NULL,
    last bigint NOT NULL
);
CREATE TABLE orders_draft (
    commune text NOT NULL,
    person text NOT NULL,
    product text NOT NULL,
    sealed bytea NOT NULL,
    kept_at bigint NOT NULL,
    until bigint NOT NULL,
    reminded bigint DEFAULT 0 NOT NULL
);
CREATE TABLE orders_entry (
    commune text NOT NULL,
    order_id text NOT NULL,
    channel text NOT NULL,
    identified text NOT NULL,
    by_subject text NOT NULL,
    by_name text NOT NULL
);
CREATE TABLE orders_event (
    commune text NOT NULL,
    order_id text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    shown bigint NOT NULL,
    actor text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE orders_fee (
    commune text NOT NULL,
    order_id text NOT NULL,
    delivery text NOT NULL,
    copies bigint NOT NULL,
    price text NOT NULL,
    total bigint NOT NULL,
    regulation text NOT NULL,
    before_issue bigint NOT NULL,
    recipient text NOT NULL,
    received_at bigint DEFAULT 0 NOT NULL,
    posted_at bigint DEFAULT 0 NOT NULL,
    waits bigint DEFAULT 0 NOT NULL
);
CREATE TABLE orders_file (
    commune text NOT NULL,
    document text NOT NULL,
    order_id text NOT NULL,
    added_at bigint NOT NULL
);
CREATE TABLE orders_message (
    commune text NOT NULL,
    order_id text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    text text NOT NULL
);
CREATE TABLE orders_note (
    commune text NOT NULL,
    order_id text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    text text NOT NULL
);
CREATE TABLE orders_order (
    commune text NOT NULL,
    id text NOT NULL,
    reference text NOT NULL,
    product text NOT NULL,
    product_version bigint NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    subject text NOT NULL,
    form_key text NOT NULL,
    form_hash text NOT NULL,
    person text NOT NULL,
    number_sealed bytea NOT NULL,
    given_names text NOT NULL,
    surname text NOT NULL,
    search_name text NOT NULL,
    language text NOT NULL,
    answers text NOT NULL,
    attention text NOT NULL,
    submitted_at bigint NOT NULL,
    due_on text NOT NULL,
    changed_at bigint NOT NULL,
    changed_by text NOT NULL,
    refusal text NOT NULL,
    assignee text DEFAULT ''::text NOT NULL,
    assignee_name text DEFAULT ''::text NOT NULL,
    assigned_at bigint DEFAULT 0 NOT NULL,
    answered_at bigint DEFAULT 0 NOT NULL,
    closed_at bigint DEFAULT 0 NOT NULL,
    household text DEFAULT ''::text NOT NULL,
    paused_at bigint DEFAULT 0 NOT NULL,
    way text DEFAULT 'made'::text NOT NULL,
    channel text DEFAULT 'online'::text NOT NULL
);
CREATE TABLE orders_paper (
    commune text NOT NULL,
    order_id text NOT NULL,
    number text NOT NULL,
    token text NOT NULL,
    token_hash text NOT NULL,
    code text NOT NULL,
    allocated_at bigint NOT NULL,
    content text NOT NULL,
    holder text NOT NULL,
    prepared_at bigint,
    prepared_by text NOT NULL,
    grant_id text NOT NULL,
    document text NOT NULL,
    signed_at bigint,
    issued_at bigint,
    level text NOT NULL,
    signer text NOT NULL,
    specimen bigint NOT NULL,
    void bigint NOT NULL,
    source text DEFAULT ''::text NOT NULL,
    attached text DEFAULT ''::text NOT NULL,
    attachment text DEFAULT ''::text NOT NULL,
    access text DEFAULT ''::text NOT NULL,
    told text DEFAULT ''::text NOT NULL,
    signatory text DEFAULT ''::text NOT NULL,
    signatory_name text DEFAULT ''::text NOT NULL,
    signatory_office text DEFAULT ''::text NOT NULL
);
CREATE TABLE orders_proof (
    commune text NOT NULL,
    order_id text NOT NULL,
    content text NOT NULL,
    grant_id text NOT NULL,
    made_at bigint NOT NULL
);
CREATE TABLE orders_question (
    commune text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    label text NOT NULL,
    text text NOT NULL,
    changed_at bigint NOT NULL,
    changed_by text NOT NULL
);
CREATE TABLE orders_reading (
    commune text NOT NULL,
    id text NOT NULL,
    session text NOT NULL,
    clerk text NOT NULL,
    until bigint NOT NULL,
    state text NOT NULL,
    person text NOT NULL,
    sealed bytea NOT NULL
);
CREATE TABLE orders_receipt (
    commune text NOT NULL,
    order_id text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    how text NOT NULL,
    number text NOT NULL,
    cents bigint NOT NULL,
    undone_at bigint DEFAULT 0 NOT NULL,
    undone_subject text DEFAULT ''::text NOT NULL,
    undone_name text DEFAULT ''::text NOT NULL,
    undone_reason text DEFAULT ''::text NOT NULL
);
CREATE TABLE orders_shown (
    commune text NOT NULL,
    order_id text NOT NULL,
    document text NOT NULL,
    ending text NOT NULL
);
CREATE TABLE orders_withdrawal (
    commune text NOT NULL,
    order_id text NOT NULL,
    cause text NOT NULL,
    words text NOT NULL,
    by_subject text NOT NULL,
    by_name text NOT NULL,
    at bigint NOT NULL,
    replaced_by text NOT NULL
);
CREATE TABLE signing_attempt (
    commune text NOT NULL,
    grant_id text NOT NULL,
    n bigint NOT NULL,
    state text NOT NULL,
    level text NOT NULL,
    specimen boolean NOT NULL,
    signed_at bigint NOT NULL,
    chain bytea NOT NULL,
    attributes bytea NOT NULL,
    prepared bytea,
    signature bytea,
    reason text NOT NULL,
    stamp bytea,
    material bytea
);
CREATE TABLE signing_grant (
    commune text NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    content text NOT NULL,
    granted_by text NOT NULL,
    reason text NOT NULL,
    granted_at bigint NOT NULL,
    stage text NOT NULL,
    attempts bigint NOT NULL,
    document text,
    signed_at bigint,
    stamped_at bigint,
    level text NOT NULL,
    signer text NOT NULL,
    specimen boolean NOT NULL,
    sealed text,
    ends_at bigint,
    algorithms text DEFAULT ''::text NOT NULL,
    renewals bigint DEFAULT 0 NOT NULL
);
CREATE TABLE signing_revoked (
    commune text NOT NULL,
    certificate text NOT NULL,
    revoked_at bigint NOT NULL
);
CREATE TABLE sqldb_migration (
    room text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    sum text NOT NULL
);
CREATE TABLE staff_absence (
    commune text NOT NULL,
    subject text NOT NULL,
    deputy text NOT NULL,
    from_day text NOT NULL,
    to_day text NOT NULL
);
CREATE TABLE staff_invitation (
    commune text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    made_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    used_by text
);
CREATE TABLE staff_member (
    commune text NOT NULL,
    subject text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    since bigint NOT NULL,
    removed_at bigint
);
ALTER TABLE ONLY audit_entry
    ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (commune, seq);
ALTER TABLE ONLY audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (commune);
ALTER TABLE ONLY deferred_signature
    ADD CONSTRAINT deferred_signature_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY delegation_delegation
    ADD CONSTRAINT delegation_delegation_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY idp_access_token
    ADD CONSTRAINT idp_access_token_pkey PRIMARY KEY (token);
ALTER TABLE ONLY idp_assertion
    ADD CONSTRAINT idp_assertion_pkey PRIMARY KEY (client, jti);
ALTER TABLE ONLY idp_challenge
    ADD CONSTRAINT idp_challenge_pkey PRIMARY KEY (nonce);
ALTER TABLE ONLY idp_code
    ADD CONSTRAINT idp_code_pkey PRIMARY KEY (code);
ALTER TABLE ONLY idp_link
    ADD CONSTRAINT idp_link_pkey PRIMARY KEY (commune, lookup);
ALTER TABLE ONLY idp_merge
    ADD CONSTRAINT idp_merge_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY idp_party
    ADD CONSTRAINT idp_party_pkey PRIMARY KEY (id);
ALTER TABLE ONLY idp_party
    ADD CONSTRAINT idp_party_session_client_issuer_key UNIQUE (session, client, issuer);
ALTER TABLE ONLY idp_person
    ADD CONSTRAINT idp_person_pkey1 PRIMARY KEY (commune, id);
ALTER TABLE ONLY idp_pushed
    ADD CONSTRAINT idp_pushed_pkey PRIMARY KEY (handle);
ALTER TABLE ONLY idp_saml_assertion
    ADD CONSTRAINT idp_saml_assertion_pkey PRIMARY KEY (commune, issuer, id);
ALTER TABLE ONLY idp_saml_request
    ADD CONSTRAINT idp_saml_request_pkey PRIMARY KEY (relay);
ALTER TABLE ONLY idp_signing_key
    ADD CONSTRAINT idp_signing_key_pkey PRIMARY KEY (alg, generation);
ALTER TABLE ONLY idp_upstream_key
    ADD CONSTRAINT idp_upstream_key_pkey PRIMARY KEY (commune, source, purpose, generation);
ALTER TABLE ONLY idp_upstream_request
    ADD CONSTRAINT idp_upstream_request_pkey PRIMARY KEY (state);
ALTER TABLE ONLY jobs_job
    ADD CONSTRAINT jobs_job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY kv_counter
    ADD CONSTRAINT kv_counter_pkey PRIMARY KEY (key);
ALTER TABLE ONLY kv_value
    ADD CONSTRAINT kv_value_pkey PRIMARY KEY (key);
ALTER TABLE ONLY orders_attachment
    ADD CONSTRAINT orders_attachment_pkey PRIMARY KEY (commune, order_id, seq, n);
ALTER TABLE ONLY orders_came
    ADD CONSTRAINT orders_came_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY orders_contact
    ADD CONSTRAINT orders_contact_pkey PRIMARY KEY (commune, person);
ALTER TABLE ONLY orders_counter
    ADD CONSTRAINT orders_counter_pkey PRIMARY KEY (commune, year);
ALTER TABLE ONLY orders_draft
    ADD CONSTRAINT orders_draft_pkey PRIMARY KEY (commune, person, product);
ALTER TABLE ONLY orders_entry
    ADD CONSTRAINT orders_entry_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY orders_event
    ADD CONSTRAINT orders_event_pkey PRIMARY KEY (commune, order_id, seq);
ALTER TABLE ONLY orders_fee
    ADD CONSTRAINT orders_fee_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY orders_file
    ADD CONSTRAINT orders_file_pkey PRIMARY KEY (commune, document);
ALTER TABLE ONLY orders_message
    ADD CONSTRAINT orders_message_pkey PRIMARY KEY (commune, order_id, seq);
ALTER TABLE ONLY orders_note
    ADD CONSTRAINT orders_note_pkey PRIMARY KEY (commune, order_id, seq);
ALTER TABLE ONLY orders_order
    ADD CONSTRAINT orders_order_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY orders_paper
    ADD CONSTRAINT orders_paper_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY orders_proof
    ADD CONSTRAINT orders_proof_pkey PRIMARY KEY (commune, order_id, content);
ALTER TABLE ONLY orders_question
    ADD CONSTRAINT orders_question_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY orders_reading
    ADD CONSTRAINT orders_reading_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY orders_receipt
    ADD CONSTRAINT orders_receipt_pkey PRIMARY KEY (commune, order_id, seq);
ALTER TABLE ONLY orders_shown
    ADD CONSTRAINT orders_shown_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY orders_withdrawal
    ADD CONSTRAINT orders_withdrawal_pkey PRIMARY KEY (commune, order_id);
ALTER TABLE ONLY signing_attempt
    ADD CONSTRAINT signing_attempt_pkey PRIMARY KEY (commune, grant_id, n);
ALTER TABLE ONLY signing_grant
    ADD CONSTRAINT signing_grant_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY signing_revoked
    ADD CONSTRAINT signing_revoked_pkey PRIMARY KEY (commune, certificate);
ALTER TABLE ONLY sqldb_migration
    ADD CONSTRAINT sqldb_migration_pkey PRIMARY KEY (room, version);
ALTER TABLE ONLY staff_absence
    ADD CONSTRAINT staff_absence_pkey PRIMARY KEY (commune, subject);
ALTER TABLE ONLY staff_invitation
    ADD CONSTRAINT staff_invitation_pkey PRIMARY KEY (commune, id);
ALTER TABLE ONLY staff_member
    ADD CONSTRAINT staff_member_pkey PRIMARY KEY (commune, subject);
CREATE INDEX audit_entry_subject ON audit_entry USING btree (commune, subject, seq);
CREATE INDEX deferred_signature_open ON deferred_signature USING btree (until_at) WHERE (prepared IS NOT NULL);
CREATE INDEX delegation_delegation_subject ON delegation_delegation USING btree (commune, subject);
CREATE INDEX idp_access_token_code ON idp_access_token USING btree (code);
CREATE INDEX idp_access_token_expires ON idp_access_token USING btree (expires_at);
CREATE INDEX idp_access_token_session ON idp_access_token USING btree (session);
CREATE INDEX idp_assertion_expires ON idp_assertion USING btree (expires_at);
CREATE INDEX idp_challenge_expires ON idp_challenge USING btree (expires_at);
CREATE INDEX idp_code_expires ON idp_code USING btree (expires_at);
CREATE INDEX idp_code_session ON idp_code USING btree (session);
CREATE INDEX idp_link_person ON idp_link USING btree (commune, person);
CREATE INDEX idp_merge_older ON idp_merge USING btree (commune, older);
CREATE INDEX idp_merge_younger ON idp_merge USING btree (commune, younger);
CREATE INDEX idp_party_expires ON idp_party USING btree (expires_at);
CREATE INDEX idp_person_under ON idp_person USING btree (commune, under);
CREATE INDEX idp_pushed_expires ON idp_pushed USING btree (expires_at);
CREATE INDEX idp_saml_assertion_expires ON idp_saml_assertion USING btree (expires_at);
CREATE INDEX idp_saml_request_expires ON idp_saml_request USING btree (expires_at);
CREATE INDEX idp_upstream_request_expires ON idp_upstream_request USING btree (expires_at);
CREATE INDEX jobs_due ON jobs_job USING btree (due);
CREATE INDEX kv_counter_expires ON kv_counter USING btree (expires);
CREATE INDEX kv_value_expires ON kv_value USING btree (expires);
CREATE INDEX orders_came_person ON orders_came USING btree (commune, person, to_day);
CREATE INDEX orders_draft_until ON orders_draft USING btree (commune, until);
CREATE INDEX orders_fee_letters ON orders_fee USING btree (commune, order_id) WHERE (waits = 1);
CREATE INDEX orders_order_answered ON orders_order USING btree (commune, closed_at, due_on, id) WHERE (answered_at > 0);
CREATE INDEX orders_order_assignee ON orders_order USING btree (commune, closed_at, assignee, due_on, id);
CREATE INDEX orders_order_due ON orders_order USING btree (commune, closed_at, due_on, id);
CREATE INDEX orders_order_find_12 ON orders_order USING btree (commune, substr(search_name, 1, 12), closed_at, id);
CREATE INDEX orders_order_find_2 ON orders_order USING btree (commune, substr(search_name, 1, 2), closed_at, id);
CREATE INDEX orders_order_find_3 ON orders_order USING btree (commune, substr(search_name, 1, 3), closed_at, id);
CREATE INDEX orders_order_find_6 ON orders_order USING btree (commune, substr(search_name, 1, 6), closed_at, id);
CREATE UNIQUE INDEX orders_order_form ON orders_order USING btree (commune, subject, form_key);
CREATE INDEX orders_order_mine ON orders_order USING btree (commune, subject, id);
CREATE INDEX orders_order_name ON orders_order USING btree (commune, closed_at, search_name, id);
CREATE INDEX orders_order_person ON orders_order USING btree (commune, person, state);
CREATE INDEX orders_order_received ON orders_order USING btree (commune, submitted_at);
CREATE UNIQUE INDEX orders_order_reference ON orders_order USING btree (commune, reference);
CREATE INDEX orders_order_sealing ON orders_order USING btree (commune, closed_at, due_on, id) WHERE (state = ANY (ARRAY['approved'::text, 'signed'::text]));
CREATE INDEX orders_order_sent ON orders_order USING btree (commune, closed_at, submitted_at, id);
CREATE INDEX orders_order_state ON orders_order USING btree (commune, closed_at, state, due_on, id);
CREATE INDEX orders_order_state_name ON orders_order USING btree (commune, closed_at, state, search_name, id) WHERE (closed_at = 0);
CREATE INDEX orders_order_state_sent ON orders_order USING btree (commune, closed_at, state, submitted_at, id) WHERE (closed_at = 0);
CREATE INDEX orders_paper_document ON orders_paper USING btree (commune, document);
CREATE INDEX orders_paper_grant ON orders_paper USING btree (commune, grant_id);
CREATE UNIQUE INDEX orders_paper_number ON orders_paper USING btree (commune, number);
CREATE UNIQUE INDEX orders_paper_token ON orders_paper USING btree (commune, token_hash);
CREATE INDEX orders_reading_until ON orders_reading USING btree (commune, until);
CREATE INDEX orders_withdrawal_replaced ON orders_withdrawal USING btree (commune, replaced_by);
CREATE UNIQUE INDEX signing_grant_approval ON signing_grant USING btree (commune, reference) WHERE (kind = 'approval'::text);
CREATE INDEX signing_grant_document ON signing_grant USING btree (commune, document) WHERE (document IS NOT NULL);
CREATE INDEX signing_grant_ends ON signing_grant USING btree (commune, ends_at) WHERE (ends_at IS NOT NULL);
CREATE INDEX signing_grant_open ON signing_grant USING btree (commune, granted_at) WHERE (stage <> 'finished'::text);
CREATE INDEX staff_absence_deputy ON staff_absence USING btree (commune, deputy, to_day);
CREATE STATISTICS orders_order_open (mcv) ON state, closed_at FROM orders_order;
ALTER TABLE ONLY signing_attempt
    ADD CONSTRAINT signing_attempt_commune_grant_id_fkey FOREIGN KEY (commune, grant_id) REFERENCES signing_grant(commune, id);
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('audit', '1', '001_audit.sql', 'a9500346336b98ede8b8d9cd5b30c1f584048de42afd06028e2ee1a5ed973fad');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('deferred', '1', '001_deferred.sql', '00517e02289f1a50678234afd4d7259cec58009ffe3815a091f5793cd2b235a1');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('delegation', '1', '001_delegation.sql', '26f6379594a75ba7628b6cfff905507aae5fc1d147a11add9735a643d85864de');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', '1', '001_provider.sql', '7b5c595ea3b864932e32e1e198ff5173cb8e71a6091765c2f2b4a9bcc8c4a2f8');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', '2', '002_saml.sql', '827f5c7490fdee1ec8bb4eb9cba1cd37191a76724e67056ffad8fd41ecd11e79');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', '3', '003_upstream.sql', '6bc7570d0da0e784280aa02a9b231bee8fb416de06cc8f0f5387045ee35ff04a');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', '4', '004_links.sql', '3da3679c7046daae57ca17d79299b8f26ff58c9f7cf874c185ad89fbebcbb604');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', '5', '005_party.sql', '67dbd7a6fa6341ee16531544c09b797176563eaea90e7276b7853c579e07e360');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('jobs', '1', '001_jobs.sql', '01375651f1b766290926a56577df2615b0533fd5f4a00101d57427a5336a47d7');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('kv', '1', '001_kv.sql', '2d33df2ab211ead3de2bf41b8d6e05cfcb27df2cc15a97faee5876a5ab484f8f');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '1', '001_orders.sql', 'c736d2900608cc65b949166aecbe34f1e19147b10c540e186f96933be7cad0f8');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '10', '010_signatory.sql', '90338f4bfb883c502ada10b654c55a0171fffa31885245e8210830b9000969da');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '11', '011_entry.sql', '334663688b84282d045031f47594dba494aa83d4047c8c49779b8e7c56d375f1');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '12', '012_drafts.sql', '94f98ac1ad6b990bb1f972f703cca3c53ab3259e96a5644b08f3fb2c87a50a08');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '13', '013_growth.sql', '9a83d164995429e925afeeb419eba8dc7fe2e285b2e4083042d53331b9415e5d');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '14', '014_contact.sql', 'c81895e0ae38a03378b1a2b97555b21f00fd86b79ac5e0f8c166ba98fa563953');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '15', '015_reminded.sql', '23ee99c31bf431a1ed11a75448dc400c4c540181a4bf8f1d0ecffb158177faf9');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '16', '016_fee.sql', '9d6fed9808a7461c294ae7fad9a47dd5eca3646ecac1f17dd0ea35d4670446ab');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '17', '017_reading.sql', '91161ab4090e9d274fcf2e21a71c4d7cdd6bc7791726eae511b20e10a7a21892');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '18', '018_proof.sql', '789af78d0d6f7209de17ffb68d828afd3db69b2cd20bd6a9b1756c9fabbab450');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '19', '019_question.sql', 'a2052700f78832b33a7cf3cce31b58c3319dbc5483ce9c7b6ab113b6d7312932');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '2', '002_files.sql', '0bbfdabd2e42e138278a1980f5d2049f00b1ea20db59c9c0d36cb95915ac034d');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '20', '020_came.sql', '3368c821884a421f4427992d6363ed4eae9e21a6fc6ce948aa49872007e43f95');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '21', '021_shown.sql', 'b3fe9dbb5c2fdff31fd207b7087b09d430cda556cb2f3693d5e8ddd21b5a813e');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '22', '022_letters.sql', 'c46c61dcdd586c4d3e566cf7051058730523ac294c9fed96c8255b53cf7100e5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '3', '003_desk.sql', '49c4c41cdd0b05dc628379b7e4fef4a6b9c476d4fa9bfefc27a8f788a4d1851e');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '4', '004_withdrawal.sql', '10993c092e8e22fa04a879fc28450b86e1eed78a1d1af50244cb48ac86f72d2f');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '5', '005_household.sql', 'f944cf885a66cfb68a65fd1201a856a72112ede9f0fa2827d68adc8f95085fb3');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '6', '006_thread.sql', '3f6fd62cf0f5dba64deff46bf501b3ffbf7224058ed49f41edb347cbd74d78d5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '7', '007_ways.sql', '70affc45863db8ea4eeec9de06614e31b7af23e0a7045c5492a5c227e924dfcc');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '8', '008_told.sql', '20fa665869204409c7db77d0e0c323779acfbad9560ce7808754246afc9bc4b5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', '9', '009_figures.sql', '57fbbc0f5b4332b931954846e6c29a24e9b196e33e1642738d0e94f1f5ca8961');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('signing', '1', '001_signing.sql', 'ef7fca910445715c0397295b8bbaa097883cdfe4c0ff9272f34c3dfdfbce9af3');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('signing', '2', '002_lasting.sql', '41dcd805c0adba4cfb9c269f86b17ffd852d3f18b4415860d59a837a55934f42');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('staff', '1', '001_staff.sql', '865f4460094a1b906c4f72c88f3e204a00998ae68ed8548fc211551f0046e383');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('staff', '2', '002_roles.sql', '80a71eba23354c8bb558f3ab2ceb1d8b880b0f04a7a02a56e37dbcd6db6c7ca4');
INSERT INTO kv_value (key, value, expires) VALUES ('neutral', '\x6e65757472616c', '1');
INSERT INTO kv_counter (key, n, expires) VALUES ('neutral', '1', '1');
INSERT INTO audit_entry (commune, seq, at, actor, action, subject, detail, hash) VALUES ('beaumarais', '1', '1', 'service', 'neutral', 'neutral', '{}', 'neutral');
INSERT INTO audit_head (commune, seq, hash) VALUES ('beaumarais', '1', 'neutral');
INSERT INTO jobs_job (id, kind, args, due, tries, every, error, given_up) VALUES ('1', 'neutral', 'neutral', '1', '1', '1', 'neutral', '1');
INSERT INTO signing_grant (commune, id, kind, reference, content, granted_by, reason, granted_at, stage, attempts, document, signed_at, stamped_at, level, signer, specimen, sealed, ends_at, algorithms, renewals) VALUES ('beaumarais', 'neutral', 'neutral', 'NEUTRAL2', 'neutral', 'neutral', 'neutral', '1', 'neutral', '1', 'neutral', '1', '1', 'neutral', 'neutral', 'true', 'neutral', '1', 'neutral', '1');
INSERT INTO signing_attempt (commune, grant_id, n, state, level, specimen, signed_at, chain, attributes, prepared, signature, reason, stamp, material) VALUES ('beaumarais', 'neutral', '1', 'issued', 'neutral', 'true', '1', '\x6e65757472616c', '\x6e65757472616c', '\x6e65757472616c', '\x6e65757472616c', 'neutral', '\x6e65757472616c', '\x6e65757472616c');
INSERT INTO signing_revoked (commune, certificate, revoked_at) VALUES ('beaumarais', 'neutral', '1');
INSERT INTO deferred_signature (commune, id, reference, content, asked_by, certificate, asked_at, until_at, used_at, prepared) VALUES ('beaumarais', 'neutral', 'NEUTRAL2', 'neutral', 'neutral', 'neutral', '1', '1', '1', '\x6e65757472616c');
INSERT INTO idp_pushed (handle, client, parameters, expires_at) VALUES ('neutral', 'neutral', 'neutral', '1');
INSERT INTO idp_code (code, client, session, content, expires_at, used_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO idp_access_token (token, code, session, content, expires_at, revoked_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO idp_assertion (client, jti, expires_at) VALUES ('neutral', 'neutral', '1');
INSERT INTO idp_challenge (nonce, purpose, login, browser, expires_at, used_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO idp_signing_key (alg, generation, kid, sealed, active_at) VALUES ('neutral', '1', 'neutral', 'neutral', '1');
INSERT INTO idp_saml_request (relay, id, commune, provider, login, browser, consumer, wanted, forced, issued_at, expires_at, used_at) VALUES ('neutral', 'neutral', 'beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1', '1', '1', '1');
INSERT INTO idp_saml_assertion (commune, issuer, id, expires_at) VALUES ('beaumarais', 'neutral', 'neutral', '1');
INSERT INTO idp_upstream_request (state, commune, source, login, browser, redirect, wanted, forced, issued_at, expires_at, used_at) VALUES ('issued', 'beaumarais', '', 'neutral', 'neutral', 'neutral', 'neutral', '1', '1', '1', '1');
INSERT INTO idp_upstream_key (commune, source, purpose, generation, kid, sealed, active_at) VALUES ('beaumarais', '', 'neutral', '1', 'neutral', 'neutral', '1');
INSERT INTO idp_link (commune, lookup, person, issuer, first_at, last_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO idp_person (commune, id, under, sealed, created_at, updated_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO idp_merge (commune, id, older, younger, reason, proposed_by, proposed_at, confirmed_by, confirmed_at, undone_by, undone_at, notice_older, notice_younger) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1', 'neutral', '1', 'neutral', '1', '1', '1');
INSERT INTO idp_party (id, session, client, issuer, subject, expires_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1');
INSERT INTO orders_order (commune, id, reference, product, product_version, state, version, subject, form_key, form_hash, person, number_sealed, given_names, surname, search_name, language, answers, attention, submitted_at, due_on, changed_at, changed_by, refusal, assignee, assignee_name, assigned_at, answered_at, closed_at, household, paused_at, way, channel) VALUES ('beaumarais', 'neutral', 'NEUTRAL2', 'residence', '1', 'issued', '1', 'neutral', 'neutral', 'neutral', 'neutral', '\x6e65757472616c', 'neutral', 'neutral', 'neutral', 'fr', '[]', 'neutral', '1', '2026-02-03', '1', 'neutral', '', 'neutral', 'neutral', '1', '1', '1770000000000000', 'neutral', '1', 'neutral', 'neutral');
INSERT INTO orders_event (commune, order_id, seq, at, kind, shown, actor, subject, name, detail) VALUES ('beaumarais', 'neutral', '1', '1', 'neutral', '1', 'service', 'neutral', 'neutral', '{}');
INSERT INTO orders_counter (commune, year, last) VALUES ('beaumarais', '2026', '1');
INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at, content, holder, prepared_at, prepared_by, grant_id, document, signed_at, issued_at, level, signer, specimen, void, source, attached, attachment, access, told, signatory, signatory_name, signatory_office) VALUES ('beaumarais', 'neutral', '2026-000001', 'neutral', 'neutral', 'neutral', '1', 'neutral', 'neutral', '1', 'neutral', 'neutral', 'neutral', '1', '1', 'neutral', 'neutral', '1', '1', '', 'neutral', '', '', 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_file (commune, document, order_id, added_at) VALUES ('beaumarais', 'neutral', 'neutral', '1');
INSERT INTO orders_withdrawal (commune, order_id, cause, words, by_subject, by_name, at, replaced_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1', 'neutral');
INSERT INTO orders_message (commune, order_id, seq, at, kind, subject, name, text) VALUES ('beaumarais', 'neutral', '1', '1', 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_attachment (commune, order_id, seq, n, name, type, size, document) VALUES ('beaumarais', 'neutral', '1', '1', 'neutral', 'neutral', '1', 'neutral');
INSERT INTO orders_note (commune, order_id, seq, at, subject, name, text) VALUES ('beaumarais', 'neutral', '1', '1', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_entry (commune, order_id, channel, identified, by_subject, by_name) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_draft (commune, person, product, sealed, kept_at, until, reminded) VALUES ('beaumarais', 'neutral', 'residence', '\x6e65757472616c', '1', '1', '1');
INSERT INTO orders_contact (commune, person, sealed, kept_at) VALUES ('beaumarais', 'neutral', '\x6e65757472616c', '1');
INSERT INTO orders_fee (commune, order_id, delivery, copies, price, total, regulation, before_issue, recipient, received_at, posted_at, waits) VALUES ('beaumarais', 'neutral', 'neutral', '1', 'neutral', '1', 'neutral', '1', 'neutral', '1', '1', '1');
INSERT INTO orders_receipt (commune, order_id, seq, at, subject, name, how, number, cents, undone_at, undone_subject, undone_name, undone_reason) VALUES ('beaumarais', 'neutral', '1', '1', 'neutral', 'neutral', 'neutral', '2026-000001', '1', '1', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_reading (commune, id, session, clerk, until, state, person, sealed) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1', 'issued', 'neutral', '\x6e65757472616c');
INSERT INTO orders_proof (commune, order_id, content, grant_id, made_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1');
INSERT INTO orders_question (commune, id, version, label, text, changed_at, changed_by) VALUES ('beaumarais', 'neutral', '1', 'neutral', 'neutral', '1', 'neutral');
INSERT INTO orders_came (commune, order_id, person, kind, name, proof, from_day, to_day, rests_on, by_subject, by_name, at, ended_at, ended_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1', '1', 'neutral');
INSERT INTO orders_shown (commune, order_id, document, ending) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral');
INSERT INTO delegation_delegation (commune, id, subject, name, invitation, office, products, from_day, to_day, decision, made_by, made_at, ended_by, ended_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', '1', 'neutral', '1');
INSERT INTO staff_member (commune, subject, name, role, since, removed_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1', '1');
INSERT INTO staff_invitation (commune, id, name, role, made_at, expires_at, used_at, used_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', '1', '1', '1', 'neutral');
INSERT INTO staff_absence (commune, subject, deputy, from_day, to_day) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral');
