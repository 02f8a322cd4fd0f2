// Package signingsql keeps grants and the attempts to use them.
//
// It owns the tables of the signing room and their compare-and-set steps. It
// refuses to know PDF, keys and time-stamping authorities. It guarantees that
// each step happens once, whoever tries: a step whose attempt is no longer the
// grant's newest, or no longer in the state it starts from, is ErrSuperseded and
// changes nothing. Rows are never removed: a void attempt stays and says why.
//
//	grant    prepared ──────────────► signed ─► stamped ─► lasting ─► finished
//	attempt  begun ─────────────────► signed ──────────────────────► finished
//	           └─► void (then the next one)  └─► void
//
// A grant may skip stages that its level does not want. A finished document is
// renewed by another that begins with it.
package signingsql

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

//go:embed migrations
var migrations embed.FS

var (
	// ErrMissing means that the commune has no such grant.
	ErrMissing = errors.New("there is no such grant")
	// ErrSuperseded means that somebody else has taken the step, or a later attempt.
	ErrSuperseded = errors.New("the attempt is no longer the grant's newest, or not where this step begins")
)

// State is how far an attempt has come.
type State string

const (
	Begun    State = "begun"    // the key may be called, or has been
	Signed   State = "signed"   // its signature is kept
	Finished State = "finished" // the document is kept
	Void     State = "void"     // never to be used
)

// Attempt is one call of the key.
type Attempt struct {
	Commune    commune.ID
	Grant      string
	N          int // from 1
	State      State
	Level      string    // signing.LevelBB to LevelBLTA
	Specimen   bool      // made with a test key
	SignedAt   time.Time // /M of the signature
	Chain      []byte    // DER certificates one after the other, the signer's first
	Attributes []byte    // DER of the signed attributes: what the key signs
	Prepared   []byte    // what makes the document again, until the attempt is finished or void
	Signature  []byte    // the key's answer
	Stamp      []byte    // the time stamp upon it, from Stamped on and until the attempt is finished or void
	Material   []byte    // what is appended to the stamped file, from Lasting on and as long
	Reason     string    // why it is void
}

// Grant is a grant with what became of it.
type Grant struct {
	signing.Grant
	Receipt  signing.Receipt
	Attempts int // the newest attempt's number, 0 before the first
	Proof    Proof
	Renewals int // how often the finished document was renewed
}

// Proof is what the newest document time stamp of a file rests on; zero where there is none.
type Proof struct {
	EndsAt     time.Time // of its certificates
	Algorithms []string  // of keys and hashes, as signing/ltv names them
}

// algorithms is how they are kept, so that one can be searched for.
func (p Proof) algorithms() string {
	if len(p.Algorithms) == 0 {
		return ""
	}
	return " " + strings.Join(p.Algorithms, " ") + " "
}

// Store keeps them. It is safe for concurrent use.
type Store struct{ db *sqldb.DB }

// New makes the tables.
func New(db *sqldb.DB) (*Store, error) {
	if err := Migrate(context.Background(), db); err != nil {
		return nil, err
	}
	return &Store{db}, nil
}

// Migrate brings the tables up to date.
func Migrate(ctx context.Context, db *sqldb.DB) error { return db.Migrate(ctx, "signing", migrations) }

// Reset takes away every grant of a commune with its attempts: one to practise in begins
// again. Certificates that were found revoked stay so.
func Reset(tx *sqldb.Tx, c commune.ID) error {
	for _, table := range []string{"signing_attempt", "signing_grant"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE commune = $1`, string(c)); err != nil {
			return err
		}
	}
	return nil
}

// Grant adds a grant. A second one of the same ID, or a second approval of the
// same reference, is an error for which sqldb.IsUnique is true.
func (s *Store) Grant(tx *sqldb.Tx, g signing.Grant) error {
	_, err := tx.Exec(`INSERT INTO signing_grant
		(commune, id, kind, reference, content, granted_by, reason, granted_at, stage, attempts, level, signer, specimen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', '', FALSE)`,
		g.Commune, g.ID, string(g.Kind), g.Reference, g.Content, g.By, g.Reason, sqldb.Micros(g.At), string(signing.Prepared))
	return wrap(err)
}

// Get returns a grant; ErrMissing.
func (s *Store) Get(ctx context.Context, c commune.ID, id string) (Grant, error) {
	g := Grant{Grant: signing.Grant{ID: id, Commune: c}, Receipt: signing.Receipt{Grant: id}}
	var at, signedAt, stampedAt, endsAt sqldb.Time
	var algorithms string
	err := s.db.QueryRow(ctx, `SELECT kind, reference, content, granted_by, reason, granted_at, stage, attempts,
		document, sealed, signed_at, stamped_at, level, signer, specimen, ends_at, algorithms, renewals
		FROM signing_grant WHERE commune = $1 AND id = $2`, c, id).Scan(
		&g.Kind, &g.Reference, &g.Content, &g.By, &g.Reason, &at, &g.Receipt.Stage, &g.Attempts,
		&g.Receipt.Document, &g.Receipt.Sealed, &signedAt, &stampedAt, &g.Receipt.Level, &g.Receipt.Signer, &g.Receipt.Specimen,
		&endsAt, &algorithms, &g.Renewals)
	g.At, g.Receipt.SignedAt, g.Receipt.StampedAt = at.Time, signedAt.Time, stampedAt.Time
	g.Proof = Proof{endsAt.Time, strings.Fields(algorithms)}
	return g, wrap(err)
}

// Open lists the IDs of grants that have no finished document yet, oldest first.
func (s *Store) Open(ctx context.Context, c commune.ID, limit int) (ids []string, err error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM signing_grant WHERE commune = $1 AND stage <> 'finished' ORDER BY granted_at LIMIT $2`, c, int64(limit))
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, wrap(err)
		}
		ids = append(ids, id)
	}
	return ids, wrap(rows.Err())
}

// Attempts returns all attempts of a grant in their order.
func (s *Store) Attempts(ctx context.Context, c commune.ID, grant string) (list []Attempt, err error) {
	rows, err := s.db.Query(ctx, `SELECT n, state, level, specimen, signed_at, chain, attributes, prepared, signature, stamp, material, reason
		FROM signing_attempt WHERE commune = $1 AND grant_id = $2 ORDER BY n`, c, grant)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		a := Attempt{Commune: c, Grant: grant}
		var at sqldb.Time
		if err := rows.Scan(&a.N, &a.State, &a.Level, &a.Specimen, &at, &a.Chain, &a.Attributes, &a.Prepared, &a.Signature, &a.Stamp, &a.Material, &a.Reason); err != nil {
			return nil, wrap(err)
		}
		a.SignedAt = at.Time
		list = append(list, a)
	}
	return list, wrap(rows.Err())
}

// answerLost is why an attempt is void that nothing was heard of.
const answerLost = "the answer of the key was lost"

// Useless counts a grant's attempts that had an answer with which nothing could be done.
func (s *Store) Useless(ctx context.Context, c commune.ID, grant string) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM signing_attempt WHERE commune = $1 AND grant_id = $2 AND state = 'void' AND reason <> $3`,
		c, grant, answerLost).Scan(&n)
	return n, wrap(err)
}

// Begin adds the attempt a, which must be number newest+1 of a grant that has no
// signature, and makes void what an earlier one has left begun. The key is called
// only after this is committed.
func (s *Store) Begin(tx *sqldb.Tx, a Attempt) error {
	err := one(tx.Exec(`UPDATE signing_grant SET attempts = $1 WHERE commune = $2 AND id = $3 AND attempts = $4 AND stage = 'prepared'`,
		a.N, a.Commune, a.Grant, a.N-1))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE signing_attempt SET state = 'void', prepared = NULL, reason = $1
		WHERE commune = $2 AND grant_id = $3 AND state = 'begun'`, answerLost, a.Commune, a.Grant); err != nil {
		return wrap(err)
	}
	_, err = tx.Exec(`INSERT INTO signing_attempt (commune, grant_id, n, state, level, specimen, signed_at, chain, attributes, prepared, reason)
		VALUES ($1, $2, $3, 'begun', $4, $5, $6, $7, $8, $9, '')`,
		a.Commune, a.Grant, a.N, a.Level, a.Specimen, sqldb.Micros(a.SignedAt), a.Chain, a.Attributes, a.Prepared)
	return wrap(err)
}

// Sign keeps the key's answer to attempt n; the grant's stage is then Signed and
// its receipt r.
func (s *Store) Sign(tx *sqldb.Tx, c commune.ID, grant string, n int, signature []byte, r signing.Receipt) error {
	err := one(tx.Exec(`UPDATE signing_attempt SET state = 'signed', signature = $1
		WHERE commune = $2 AND grant_id = $3 AND n = $4 AND state = 'begun'`, signature, c, grant, n))
	if err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'signed', signed_at = $1, level = $2, signer = $3, specimen = $4
		WHERE commune = $5 AND id = $6 AND attempts = $7 AND stage = 'prepared'`,
		sqldb.Micros(r.SignedAt), r.Level, r.Signer, r.Specimen, c, grant, n))
}

// Stamp keeps the time stamp upon the signature of attempt n; the grant's stage is then Stamped.
func (s *Store) Stamp(tx *sqldb.Tx, c commune.ID, grant string, n int, token []byte, r signing.Receipt) error {
	if err := s.keep(tx, "stamp", token, c, grant, n); err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'stamped', stamped_at = $1 WHERE commune = $2 AND id = $3 AND attempts = $4 AND stage = 'signed'`,
		sqldb.Time{Time: r.StampedAt}, c, grant, n))
}

// Last keeps what is to be appended to the stamped file of attempt n; the grant's stage is then Lasting.
func (s *Store) Last(tx *sqldb.Tx, c commune.ID, grant string, n int, material []byte) error {
	if err := s.keep(tx, "material", material, c, grant, n); err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'lasting' WHERE commune = $1 AND id = $2 AND attempts = $3 AND stage = 'stamped'`, c, grant, n))
}

func (s *Store) keep(tx *sqldb.Tx, column string, value []byte, c commune.ID, grant string, n int) error {
	return one(tx.Exec(`UPDATE signing_attempt SET `+column+` = $1 WHERE commune = $2 AND grant_id = $3 AND n = $4 AND state = 'signed'`, value, c, grant, n))
}

// Unstamp throws the time stamp of attempt n away, and what was built on it: another
// is wanted. The grant's stage is then Signed.
func (s *Store) Unstamp(tx *sqldb.Tx, c commune.ID, grant string, n int) error {
	if err := one(tx.Exec(`UPDATE signing_attempt SET stamp = NULL, material = NULL WHERE commune = $1 AND grant_id = $2 AND n = $3 AND state = 'signed'`, c, grant, n)); err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'signed', stamped_at = NULL
		WHERE commune = $1 AND id = $2 AND attempts = $3 AND stage IN ('stamped', 'lasting')`, c, grant, n))
}

// Finish keeps the name of the finished document; the grant's stage is then Finished.
func (s *Store) Finish(tx *sqldb.Tx, c commune.ID, grant string, n int, r signing.Receipt, p Proof) error {
	err := one(tx.Exec(`UPDATE signing_attempt SET state = 'finished', prepared = NULL, stamp = NULL, material = NULL
		WHERE commune = $1 AND grant_id = $2 AND n = $3 AND state = 'signed'`, c, grant, n))
	if err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'finished', document = $1, sealed = $2, stamped_at = $3, ends_at = $4, algorithms = $5
		WHERE commune = $6 AND id = $7 AND attempts = $8 AND stage IN ('signed', 'stamped', 'lasting')`,
		r.Document, r.Sealed, sqldb.Time{Time: r.StampedAt}, sqldb.Time{Time: p.EndsAt}, p.algorithms(), c, grant, n))
}

// MakeVoid ends attempt n, begun or signed, for a reason; the grant can then be
// attempted again.
func (s *Store) MakeVoid(tx *sqldb.Tx, c commune.ID, grant string, n int, reason string) error {
	err := one(tx.Exec(`UPDATE signing_attempt SET state = 'void', prepared = NULL, stamp = NULL, material = NULL, reason = $1
		WHERE commune = $2 AND grant_id = $3 AND n = $4 AND state IN ('begun', 'signed')`, reason, c, grant, n))
	if err != nil {
		return err
	}
	return one(tx.Exec(`UPDATE signing_grant SET stage = 'prepared', signed_at = NULL, stamped_at = NULL
		WHERE commune = $1 AND id = $2 AND attempts = $3 AND stage <> 'finished'`, c, grant, n))
}

// one is ErrSuperseded where a compare-and-set met no row.
func one(res interface{ RowsAffected() (int64, error) }, err error) error {
	if err != nil {
		return wrap(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return wrap(errors.Join(ErrSuperseded, err))
	}
	return nil
}

func wrap(err error) error {
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrMissing
	}
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return nil
}
