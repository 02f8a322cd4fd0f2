-- The database of Belfry 0.1.0, with a neutral row in each table.

CREATE TABLE sqldb_migration (
		room TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, sum TEXT NOT NULL,
		PRIMARY KEY (room, version));
CREATE TABLE kv_value (
	key TEXT PRIMARY KEY,
	value BYTEA NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX kv_value_expires ON kv_value (expires);
CREATE TABLE kv_counter (
	key TEXT PRIMARY KEY,
	n BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX kv_counter_expires ON kv_counter (expires);
CREATE TABLE audit_entry (
	commune TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (commune, seq)
);
CREATE INDEX audit_entry_subject ON audit_entry (commune, subject, seq);
CREATE TABLE audit_head (
	commune TEXT PRIMARY KEY,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL
);
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
CREATE TABLE signing_grant (
	commune TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	reference TEXT NOT NULL,
	content TEXT NOT NULL,
	granted_by TEXT NOT NULL,
	reason TEXT NOT NULL,
	granted_at BIGINT NOT NULL,
	stage TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	document TEXT,
	signed_at BIGINT,
	stamped_at BIGINT,
	level TEXT NOT NULL,
	signer TEXT NOT NULL,
	specimen BOOLEAN NOT NULL, sealed TEXT, ends_at BIGINT, algorithms TEXT NOT NULL DEFAULT '', renewals BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (commune, id)
);
CREATE UNIQUE INDEX signing_grant_approval ON signing_grant (commune, reference) WHERE kind = 'approval';
CREATE INDEX signing_grant_document ON signing_grant (commune, document) WHERE document IS NOT NULL;
CREATE TABLE signing_attempt (
	commune TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	n BIGINT NOT NULL,
	state TEXT NOT NULL,
	level TEXT NOT NULL,
	specimen BOOLEAN NOT NULL,
	signed_at BIGINT NOT NULL,
	chain BYTEA NOT NULL,
	attributes BYTEA NOT NULL,
	prepared BYTEA,
	signature BYTEA,
	reason TEXT NOT NULL, stamp BYTEA, material BYTEA,
	PRIMARY KEY (commune, grant_id, n),
	FOREIGN KEY (commune, grant_id) REFERENCES signing_grant (commune, id)
);
CREATE INDEX signing_grant_open ON signing_grant (commune, granted_at) WHERE stage <> 'finished';
CREATE INDEX signing_grant_ends ON signing_grant (commune, ends_at) WHERE ends_at IS NOT NULL;
CREATE TABLE signing_revoked (
	commune TEXT NOT NULL,
	certificate TEXT NOT NULL, -- SHA-256 of its DER
	revoked_at BIGINT NOT NULL,
	PRIMARY KEY (commune, certificate)
);
CREATE TABLE deferred_signature (
	commune TEXT NOT NULL,
	id TEXT NOT NULL,
	reference TEXT NOT NULL,
	content TEXT NOT NULL,
	asked_by TEXT NOT NULL,
	certificate TEXT NOT NULL, -- its SHA-256
	asked_at BIGINT NOT NULL,
	until_at BIGINT NOT NULL,
	used_at BIGINT,
	prepared BYTEA,
	PRIMARY KEY (commune, id)
);
CREATE INDEX deferred_signature_open ON deferred_signature (until_at) WHERE prepared IS NOT NULL;
CREATE TABLE idp_pushed (
    handle     TEXT   NOT NULL PRIMARY KEY,
    client     TEXT   NOT NULL,
    parameters TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX idp_pushed_expires ON idp_pushed (expires_at);
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
CREATE TABLE idp_assertion (
    client     TEXT   NOT NULL,
    jti        TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client, jti)
);
CREATE INDEX idp_assertion_expires ON idp_assertion (expires_at);
CREATE TABLE idp_challenge (
    nonce      TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    browser    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX idp_challenge_expires ON idp_challenge (expires_at);
CREATE TABLE idp_signing_key (
    alg        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    kid        TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    active_at  BIGINT NOT NULL,
    PRIMARY KEY (alg, generation)
);
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
CREATE TABLE idp_saml_assertion (
    commune    TEXT   NOT NULL,
    issuer     TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (commune, issuer, id)
);
CREATE INDEX idp_saml_assertion_expires ON idp_saml_assertion (expires_at);
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
CREATE TABLE idp_person (
    commune    TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    under      TEXT   NOT NULL DEFAULT '',
    sealed     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (commune, id)
);
CREATE INDEX idp_person_under ON idp_person (commune, under);
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
CREATE TABLE orders_order (
	commune         TEXT   NOT NULL,
	id              TEXT   NOT NULL,
	reference       TEXT   NOT NULL,
	product         TEXT   NOT NULL,
	product_version BIGINT NOT NULL,
	state           TEXT   NOT NULL,
	version         BIGINT NOT NULL,
	subject         TEXT   NOT NULL,
	form_key        TEXT   NOT NULL,
	form_hash       TEXT   NOT NULL,
	person          TEXT   NOT NULL,
	number_sealed   BYTEA  NOT NULL,
	given_names     TEXT   NOT NULL,
	surname         TEXT   NOT NULL,
	search_name     TEXT   NOT NULL,
	language        TEXT   NOT NULL,
	answers         TEXT   NOT NULL,
	attention       TEXT   NOT NULL,
	submitted_at    BIGINT NOT NULL,
	due_on          TEXT   NOT NULL,
	changed_at      BIGINT NOT NULL,
	changed_by      TEXT   NOT NULL,
	refusal         TEXT   NOT NULL, assignee TEXT NOT NULL DEFAULT '', assignee_name TEXT NOT NULL DEFAULT '', assigned_at BIGINT NOT NULL DEFAULT 0, answered_at BIGINT NOT NULL DEFAULT 0, closed_at BIGINT NOT NULL DEFAULT 0, household TEXT NOT NULL DEFAULT '', paused_at BIGINT NOT NULL DEFAULT 0, way TEXT NOT NULL DEFAULT 'made', channel TEXT NOT NULL DEFAULT 'online',
	PRIMARY KEY (commune, id)
);
CREATE UNIQUE INDEX orders_order_reference ON orders_order (commune, reference);
CREATE UNIQUE INDEX orders_order_form ON orders_order (commune, subject, form_key);
CREATE INDEX orders_order_mine ON orders_order (commune, subject, id);
CREATE INDEX orders_order_person ON orders_order (commune, person, state);
CREATE TABLE orders_event (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	kind     TEXT   NOT NULL,
	shown    BIGINT NOT NULL, -- 1: the person sees it
	actor    TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	detail   TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);
CREATE TABLE orders_counter (
	commune TEXT   NOT NULL,
	year    BIGINT NOT NULL,
	last    BIGINT NOT NULL,
	PRIMARY KEY (commune, year)
);
CREATE TABLE orders_paper (
	commune     TEXT   NOT NULL,
	order_id    TEXT   NOT NULL,
	number      TEXT   NOT NULL,
	token       TEXT   NOT NULL, -- of the QR, 128 random bits
	token_hash  TEXT   NOT NULL, -- its SHA-256, by which it is found: an index must not leak it by its timing
	code        TEXT   NOT NULL,
	allocated_at BIGINT NOT NULL,
	content     TEXT   NOT NULL, -- SHA-256 of the frozen bytes, '' before
	holder      TEXT   NOT NULL,
	prepared_at BIGINT,
	prepared_by TEXT   NOT NULL,
	grant_id    TEXT   NOT NULL, -- of the approval, '' before
	document    TEXT   NOT NULL, -- SHA-256 of the sealed file, '' before
	signed_at   BIGINT,
	issued_at   BIGINT,
	level       TEXT   NOT NULL,
	signer      TEXT   NOT NULL,
	specimen    BIGINT NOT NULL,
	void        BIGINT NOT NULL, source TEXT NOT NULL DEFAULT '', attached TEXT NOT NULL DEFAULT '', attachment TEXT NOT NULL DEFAULT '', access TEXT NOT NULL DEFAULT '', told TEXT NOT NULL DEFAULT '', signatory TEXT NOT NULL DEFAULT '', signatory_name TEXT NOT NULL DEFAULT '', signatory_office TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (commune, order_id)
);
CREATE UNIQUE INDEX orders_paper_number ON orders_paper (commune, number);
CREATE UNIQUE INDEX orders_paper_token ON orders_paper (commune, token_hash);
CREATE INDEX orders_paper_document ON orders_paper (commune, document);
CREATE TABLE orders_file (
	commune  TEXT   NOT NULL,
	document TEXT   NOT NULL, -- SHA-256
	order_id TEXT   NOT NULL,
	added_at BIGINT NOT NULL,
	PRIMARY KEY (commune, document)
);
CREATE INDEX orders_paper_grant ON orders_paper (commune, grant_id);
CREATE INDEX orders_order_due ON orders_order (commune, closed_at, due_on, id);
CREATE INDEX orders_order_sent ON orders_order (commune, closed_at, submitted_at, id);
CREATE INDEX orders_order_name ON orders_order (commune, closed_at, search_name, id);
CREATE INDEX orders_order_state ON orders_order (commune, closed_at, state, due_on, id);
CREATE INDEX orders_order_assignee ON orders_order (commune, closed_at, assignee, due_on, id);
CREATE TABLE orders_withdrawal (
	commune     TEXT   NOT NULL,
	order_id    TEXT   NOT NULL,
	cause       TEXT   NOT NULL,
	words       TEXT   NOT NULL, -- for colleagues
	by_subject  TEXT   NOT NULL,
	by_name     TEXT   NOT NULL,
	at          BIGINT NOT NULL,
	replaced_by TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id)
);
CREATE INDEX orders_withdrawal_replaced ON orders_withdrawal (commune, replaced_by);
CREATE TABLE orders_message (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	kind     TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	text     TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);
CREATE TABLE orders_attachment (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL, -- of the message
	n        BIGINT NOT NULL, -- 1 is the message's first
	name     TEXT   NOT NULL,
	type     TEXT   NOT NULL,
	size     BIGINT NOT NULL,
	document TEXT   NOT NULL, -- SHA-256
	PRIMARY KEY (commune, order_id, seq, n)
);
CREATE TABLE orders_note (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	seq      BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	subject  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	text     TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id, seq)
);
CREATE INDEX orders_order_received ON orders_order (commune, submitted_at);
CREATE TABLE orders_entry (
	commune    TEXT NOT NULL,
	order_id   TEXT NOT NULL,
	channel    TEXT NOT NULL,
	identified TEXT NOT NULL,
	by_subject TEXT NOT NULL,
	by_name    TEXT NOT NULL,
	PRIMARY KEY (commune, order_id)
);
CREATE TABLE orders_draft (
	commune TEXT   NOT NULL,
	person  TEXT   NOT NULL,
	product TEXT   NOT NULL,
	sealed  BYTEA  NOT NULL,
	kept_at BIGINT NOT NULL,
	until   BIGINT NOT NULL, reminded BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (commune, person, product)
);
CREATE INDEX orders_draft_until ON orders_draft (commune, until);
CREATE INDEX orders_order_find_2 ON orders_order (commune, substr(search_name, 1, 2), closed_at, id);
CREATE INDEX orders_order_find_3 ON orders_order (commune, substr(search_name, 1, 3), closed_at, id);
CREATE INDEX orders_order_find_6 ON orders_order (commune, substr(search_name, 1, 6), closed_at, id);
CREATE INDEX orders_order_find_12 ON orders_order (commune, substr(search_name, 1, 12), closed_at, id);
CREATE INDEX orders_order_answered ON orders_order (commune, closed_at, due_on, id) WHERE answered_at > 0;
CREATE INDEX orders_order_sealing ON orders_order (commune, closed_at, due_on, id) WHERE state IN ('approved', 'signed');
CREATE INDEX orders_order_state_sent ON orders_order (commune, closed_at, state, submitted_at, id) WHERE closed_at = 0;
CREATE INDEX orders_order_state_name ON orders_order (commune, closed_at, state, search_name, id) WHERE closed_at = 0;
CREATE TABLE orders_contact (
	commune TEXT   NOT NULL,
	person  TEXT   NOT NULL,
	sealed  BYTEA  NOT NULL,
	kept_at BIGINT NOT NULL,
	PRIMARY KEY (commune, person)
);
CREATE TABLE orders_fee (
	commune      TEXT   NOT NULL,
	order_id     TEXT   NOT NULL,
	delivery     TEXT   NOT NULL,
	copies       BIGINT NOT NULL,
	price        TEXT   NOT NULL,
	total        BIGINT NOT NULL,
	regulation   TEXT   NOT NULL,
	before_issue BIGINT NOT NULL,
	recipient    TEXT   NOT NULL,
	received_at  BIGINT NOT NULL DEFAULT 0,
	posted_at    BIGINT NOT NULL DEFAULT 0, waits BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (commune, order_id)
);
CREATE TABLE orders_receipt (
	commune        TEXT   NOT NULL,
	order_id       TEXT   NOT NULL,
	seq            BIGINT NOT NULL,
	at             BIGINT NOT NULL,
	subject        TEXT   NOT NULL,
	name           TEXT   NOT NULL,
	how            TEXT   NOT NULL,
	number         TEXT   NOT NULL,
	cents          BIGINT NOT NULL,
	undone_at      BIGINT NOT NULL DEFAULT 0,
	undone_subject TEXT   NOT NULL DEFAULT '',
	undone_name    TEXT   NOT NULL DEFAULT '',
	undone_reason  TEXT   NOT NULL DEFAULT '',
	PRIMARY KEY (commune, order_id, seq)
);
CREATE TABLE orders_reading (
	commune  TEXT   NOT NULL,
	id       TEXT   NOT NULL,
	session  TEXT   NOT NULL,
	clerk    TEXT   NOT NULL,
	until    BIGINT NOT NULL,
	state    TEXT   NOT NULL,
	person   TEXT   NOT NULL,
	sealed   BYTEA  NOT NULL,
	PRIMARY KEY (commune, id)
);
CREATE INDEX orders_reading_until ON orders_reading (commune, until);
CREATE TABLE orders_proof (
	commune  TEXT   NOT NULL,
	order_id TEXT   NOT NULL,
	content  TEXT   NOT NULL,
	grant_id TEXT   NOT NULL,
	made_at  BIGINT NOT NULL,
	PRIMARY KEY (commune, order_id, content)
);
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
CREATE TABLE orders_came (
	commune    TEXT   NOT NULL,
	order_id   TEXT   NOT NULL,
	person     TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	proof      TEXT   NOT NULL,
	from_day   TEXT   NOT NULL,
	to_day     TEXT   NOT NULL,
	rests_on   TEXT   NOT NULL,
	by_subject TEXT   NOT NULL,
	by_name    TEXT   NOT NULL,
	at         BIGINT NOT NULL,
	ended_at   BIGINT NOT NULL,
	ended_by   TEXT   NOT NULL,
	PRIMARY KEY (commune, order_id)
);
CREATE INDEX orders_came_person ON orders_came (commune, person, to_day);
CREATE TABLE orders_shown (
	commune  TEXT NOT NULL,
	order_id TEXT NOT NULL,
	document TEXT NOT NULL,
	ending   TEXT NOT NULL,
	PRIMARY KEY (commune, order_id)
);
CREATE INDEX orders_fee_letters ON orders_fee (commune, order_id) WHERE waits = 1;
CREATE TABLE delegation_delegation (
	commune    TEXT   NOT NULL,
	id         TEXT   NOT NULL,
	subject    TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	invitation TEXT   NOT NULL,
	office     TEXT   NOT NULL,
	products   TEXT   NOT NULL, -- IDs with a space about each, '' for all
	from_day   TEXT   NOT NULL,
	to_day     TEXT   NOT NULL, -- the last, '' for none
	decision   TEXT   NOT NULL,
	made_by    TEXT   NOT NULL,
	made_at    BIGINT NOT NULL,
	ended_by   TEXT   NOT NULL,
	ended_at   BIGINT NOT NULL, -- 0 while it stands
	PRIMARY KEY (commune, id)
);
CREATE INDEX delegation_delegation_subject ON delegation_delegation (commune, subject);
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
CREATE TABLE staff_absence (
  commune TEXT NOT NULL,
  subject TEXT NOT NULL,
  deputy TEXT NOT NULL,
  from_day TEXT NOT NULL,
  to_day TEXT NOT NULL,
  PRIMARY KEY (commune, subject)
);
CREATE INDEX staff_absence_deputy ON staff_absence (commune, deputy, to_day);
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('audit', 1, '001_audit.sql', 'a9500346336b98ede8b8d9cd5b30c1f584048de42afd06028e2ee1a5ed973fad');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('deferred', 1, '001_deferred.sql', '00517e02289f1a50678234afd4d7259cec58009ffe3815a091f5793cd2b235a1');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('delegation', 1, '001_delegation.sql', '26f6379594a75ba7628b6cfff905507aae5fc1d147a11add9735a643d85864de');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', 1, '001_provider.sql', '7b5c595ea3b864932e32e1e198ff5173cb8e71a6091765c2f2b4a9bcc8c4a2f8');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', 2, '002_saml.sql', '827f5c7490fdee1ec8bb4eb9cba1cd37191a76724e67056ffad8fd41ecd11e79');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', 3, '003_upstream.sql', '6bc7570d0da0e784280aa02a9b231bee8fb416de06cc8f0f5387045ee35ff04a');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', 4, '004_links.sql', '3da3679c7046daae57ca17d79299b8f26ff58c9f7cf874c185ad89fbebcbb604');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('idp', 5, '005_party.sql', '67dbd7a6fa6341ee16531544c09b797176563eaea90e7276b7853c579e07e360');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('jobs', 1, '001_jobs.sql', '01375651f1b766290926a56577df2615b0533fd5f4a00101d57427a5336a47d7');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('kv', 1, '001_kv.sql', '2d33df2ab211ead3de2bf41b8d6e05cfcb27df2cc15a97faee5876a5ab484f8f');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 1, '001_orders.sql', 'c736d2900608cc65b949166aecbe34f1e19147b10c540e186f96933be7cad0f8');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 10, '010_signatory.sql', '90338f4bfb883c502ada10b654c55a0171fffa31885245e8210830b9000969da');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 11, '011_entry.sql', '334663688b84282d045031f47594dba494aa83d4047c8c49779b8e7c56d375f1');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 12, '012_drafts.sql', '94f98ac1ad6b990bb1f972f703cca3c53ab3259e96a5644b08f3fb2c87a50a08');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 13, '013_growth.sql', '9a83d164995429e925afeeb419eba8dc7fe2e285b2e4083042d53331b9415e5d');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 14, '014_contact.sql', 'c81895e0ae38a03378b1a2b97555b21f00fd86b79ac5e0f8c166ba98fa563953');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 15, '015_reminded.sql', '23ee99c31bf431a1ed11a75448dc400c4c540181a4bf8f1d0ecffb158177faf9');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 16, '016_fee.sql', '9d6fed9808a7461c294ae7fad9a47dd5eca3646ecac1f17dd0ea35d4670446ab');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 17, '017_reading.sql', '91161ab4090e9d274fcf2e21a71c4d7cdd6bc7791726eae511b20e10a7a21892');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 18, '018_proof.sql', '789af78d0d6f7209de17ffb68d828afd3db69b2cd20bd6a9b1756c9fabbab450');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 19, '019_question.sql', 'a2052700f78832b33a7cf3cce31b58c3319dbc5483ce9c7b6ab113b6d7312932');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 2, '002_files.sql', '0bbfdabd2e42e138278a1980f5d2049f00b1ea20db59c9c0d36cb95915ac034d');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 20, '020_came.sql', '3368c821884a421f4427992d6363ed4eae9e21a6fc6ce948aa49872007e43f95');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 21, '021_shown.sql', 'b3fe9dbb5c2fdff31fd207b7087b09d430cda556cb2f3693d5e8ddd21b5a813e');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 22, '022_letters.sql', 'c46c61dcdd586c4d3e566cf7051058730523ac294c9fed96c8255b53cf7100e5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 3, '003_desk.sql', '49c4c41cdd0b05dc628379b7e4fef4a6b9c476d4fa9bfefc27a8f788a4d1851e');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 4, '004_withdrawal.sql', '10993c092e8e22fa04a879fc28450b86e1eed78a1d1af50244cb48ac86f72d2f');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 5, '005_household.sql', 'f944cf885a66cfb68a65fd1201a856a72112ede9f0fa2827d68adc8f95085fb3');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 6, '006_thread.sql', '3f6fd62cf0f5dba64deff46bf501b3ffbf7224058ed49f41edb347cbd74d78d5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 7, '007_ways.sql', '70affc45863db8ea4eeec9de06614e31b7af23e0a7045c5492a5c227e924dfcc');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 8, '008_told.sql', '20fa665869204409c7db77d0e0c323779acfbad9560ce7808754246afc9bc4b5');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('orders', 9, '009_figures.sql', '57fbbc0f5b4332b931954846e6c29a24e9b196e33e1642738d0e94f1f5ca8961');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('signing', 1, '001_signing.sql', 'ef7fca910445715c0397295b8bbaa097883cdfe4c0ff9272f34c3dfdfbce9af3');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('signing', 2, '002_lasting.sql', '41dcd805c0adba4cfb9c269f86b17ffd852d3f18b4415860d59a837a55934f42');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('staff', 1, '001_staff.sql', '865f4460094a1b906c4f72c88f3e204a00998ae68ed8548fc211551f0046e383');
INSERT INTO sqldb_migration (room, version, name, sum) VALUES ('staff', 2, '002_roles.sql', '80a71eba23354c8bb558f3ab2ceb1d8b880b0f04a7a02a56e37dbcd6db6c7ca4');
INSERT INTO kv_value (key, value, expires) VALUES ('neutral', X'6E65757472616C', 1);
INSERT INTO kv_counter (key, n, expires) VALUES ('neutral', 1, 1);
INSERT INTO audit_entry (commune, seq, at, actor, action, subject, detail, hash) VALUES ('beaumarais', 1, 1, 'service', 'neutral', 'neutral', '{}', 'neutral');
INSERT INTO audit_head (commune, seq, hash) VALUES ('beaumarais', 1, 'neutral');
INSERT INTO jobs_job (id, kind, args, due, tries, every, error, given_up) VALUES (1, 'neutral', 'neutral', 1, 1, 1, 'neutral', 1);
INSERT INTO signing_grant (commune, id, kind, reference, content, granted_by, reason, granted_at, stage, attempts, document, signed_at, stamped_at, level, signer, specimen, sealed, ends_at, algorithms, renewals) VALUES ('beaumarais', 'neutral', 'neutral', 'NEUTRAL2', 'neutral', 'neutral', 'neutral', 1, 'neutral', 1, 'neutral', 1, 1, 'neutral', 'neutral', 1, 'neutral', 1, 'neutral', 1);
INSERT INTO signing_attempt (commune, grant_id, n, state, level, specimen, signed_at, chain, attributes, prepared, signature, reason, stamp, material) VALUES ('beaumarais', 'neutral', 1, 'issued', 'neutral', 1, 1, X'6E65757472616C', X'6E65757472616C', X'6E65757472616C', X'6E65757472616C', 'neutral', X'6E65757472616C', X'6E65757472616C');
INSERT INTO signing_revoked (commune, certificate, revoked_at) VALUES ('beaumarais', 'neutral', 1);
INSERT INTO deferred_signature (commune, id, reference, content, asked_by, certificate, asked_at, until_at, used_at, prepared) VALUES ('beaumarais', 'neutral', 'NEUTRAL2', 'neutral', 'neutral', 'neutral', 1, 1, 1, X'6E65757472616C');
INSERT INTO idp_pushed (handle, client, parameters, expires_at) VALUES ('neutral', 'neutral', 'neutral', 1);
INSERT INTO idp_code (code, client, session, content, expires_at, used_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO idp_access_token (token, code, session, content, expires_at, revoked_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO idp_assertion (client, jti, expires_at) VALUES ('neutral', 'neutral', 1);
INSERT INTO idp_challenge (nonce, purpose, login, browser, expires_at, used_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO idp_signing_key (alg, generation, kid, sealed, active_at) VALUES ('neutral', 1, 'neutral', 'neutral', 1);
INSERT INTO idp_saml_request (relay, id, commune, provider, login, browser, consumer, wanted, forced, issued_at, expires_at, used_at) VALUES ('neutral', 'neutral', 'beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1, 1, 1, 1);
INSERT INTO idp_saml_assertion (commune, issuer, id, expires_at) VALUES ('beaumarais', 'neutral', 'neutral', 1);
INSERT INTO idp_upstream_request (state, commune, source, login, browser, redirect, wanted, forced, issued_at, expires_at, used_at) VALUES ('issued', 'beaumarais', '', 'neutral', 'neutral', 'neutral', 'neutral', 1, 1, 1, 1);
INSERT INTO idp_upstream_key (commune, source, purpose, generation, kid, sealed, active_at) VALUES ('beaumarais', '', 'neutral', 1, 'neutral', 'neutral', 1);
INSERT INTO idp_link (commune, lookup, person, issuer, first_at, last_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO idp_person (commune, id, under, sealed, created_at, updated_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO idp_merge (commune, id, older, younger, reason, proposed_by, proposed_at, confirmed_by, confirmed_at, undone_by, undone_at, notice_older, notice_younger) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1, 'neutral', 1, 'neutral', 1, 1, 1);
INSERT INTO idp_party (id, session, client, issuer, subject, expires_at) VALUES ('neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1);
INSERT INTO orders_order (commune, id, reference, product, product_version, state, version, subject, form_key, form_hash, person, number_sealed, given_names, surname, search_name, language, answers, attention, submitted_at, due_on, changed_at, changed_by, refusal, assignee, assignee_name, assigned_at, answered_at, closed_at, household, paused_at, way, channel) VALUES ('beaumarais', 'neutral', 'NEUTRAL2', 'residence', 1, 'issued', 1, 'neutral', 'neutral', 'neutral', 'neutral', X'6E65757472616C', 'neutral', 'neutral', 'neutral', 'fr', '[]', 'neutral', 1, '2026-02-03', 1, 'neutral', '', 'neutral', 'neutral', 1, 1, 1770000000000000, 'neutral', 1, 'neutral', 'neutral');
INSERT INTO orders_event (commune, order_id, seq, at, kind, shown, actor, subject, name, detail) VALUES ('beaumarais', 'neutral', 1, 1, 'neutral', 1, 'service', 'neutral', 'neutral', '{}');
INSERT INTO orders_counter (commune, year, last) VALUES ('beaumarais', 2026, 1);
INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at, content, holder, prepared_at, prepared_by, grant_id, document, signed_at, issued_at, level, signer, specimen, void, source, attached, attachment, access, told, signatory, signatory_name, signatory_office) VALUES ('beaumarais', 'neutral', '2026-000001', 'neutral', 'neutral', 'neutral', 1, 'neutral', 'neutral', 1, 'neutral', 'neutral', 'neutral', 1, 1, 'neutral', 'neutral', 1, 1, '', 'neutral', '', '', 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_file (commune, document, order_id, added_at) VALUES ('beaumarais', 'neutral', 'neutral', 1);
INSERT INTO orders_withdrawal (commune, order_id, cause, words, by_subject, by_name, at, replaced_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1, 'neutral');
INSERT INTO orders_message (commune, order_id, seq, at, kind, subject, name, text) VALUES ('beaumarais', 'neutral', 1, 1, 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_attachment (commune, order_id, seq, n, name, type, size, document) VALUES ('beaumarais', 'neutral', 1, 1, 'neutral', 'neutral', 1, 'neutral');
INSERT INTO orders_note (commune, order_id, seq, at, subject, name, text) VALUES ('beaumarais', 'neutral', 1, 1, 'neutral', 'neutral', 'neutral');
INSERT INTO orders_entry (commune, order_id, channel, identified, by_subject, by_name) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral');
INSERT INTO orders_draft (commune, person, product, sealed, kept_at, until, reminded) VALUES ('beaumarais', 'neutral', 'residence', X'6E65757472616C', 1, 1, 1);
INSERT INTO orders_contact (commune, person, sealed, kept_at) VALUES ('beaumarais', 'neutral', X'6E65757472616C', 1);
INSERT INTO orders_fee (commune, order_id, delivery, copies, price, total, regulation, before_issue, recipient, received_at, posted_at, waits) VALUES ('beaumarais', 'neutral', 'neutral', 1, 'neutral', 1, 'neutral', 1, 'neutral', 1, 1, 1);
INSERT INTO orders_receipt (commune, order_id, seq, at, subject, name, how, number, cents, undone_at, undone_subject, undone_name, undone_reason) VALUES ('beaumarais', 'neutral', 1, 1, 'neutral', 'neutral', 'neutral', '2026-000001', 1, 1, 'neutral', 'neutral', 'neutral');
INSERT INTO orders_reading (commune, id, session, clerk, until, state, person, sealed) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1, 'issued', 'neutral', X'6E65757472616C');
INSERT INTO orders_proof (commune, order_id, content, grant_id, made_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1);
INSERT INTO orders_question (commune, id, version, label, text, changed_at, changed_by) VALUES ('beaumarais', 'neutral', 1, 'neutral', 'neutral', 1, 'neutral');
INSERT INTO orders_came (commune, order_id, person, kind, name, proof, from_day, to_day, rests_on, by_subject, by_name, at, ended_at, ended_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1, 1, 'neutral');
INSERT INTO orders_shown (commune, order_id, document, ending) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral');
INSERT INTO delegation_delegation (commune, id, subject, name, invitation, office, products, from_day, to_day, decision, made_by, made_at, ended_by, ended_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 'neutral', 1, 'neutral', 1);
INSERT INTO staff_member (commune, subject, name, role, since, removed_at) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1, 1);
INSERT INTO staff_invitation (commune, id, name, role, made_at, expires_at, used_at, used_by) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 1, 1, 1, 'neutral');
INSERT INTO staff_absence (commune, subject, deputy, from_day, to_day) VALUES ('beaumarais', 'neutral', 'neutral', 'neutral', 'neutral');
