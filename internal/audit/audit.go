// Package audit keeps what was done by whom, in a chain that shows tampering.
//
// It owns one chain for each commune: every entry carries the SHA-256 of itself
// and of the hash before it, and the newest hash (the head) is also written to a
// file outside the database. It refuses to know what the actions mean, and offers
// no way to change or remove an entry. It guarantees that an entry is committed
// with the work it tells of, or not at all, and that Verify names the first place
// where a row was changed, removed, swapped or cut off.
//
// What it cannot show: that somebody who holds both the database and the head
// files rewrote the two together. That takes a witness outside the install.
package audit

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Entry is one thing that was done. None of its texts ever holds a national
// number: people are named by their subject or staff identifiers.
type Entry struct {
	Commune commune.ID
	At      time.Time
	Actor   string            // who: a subject, a clerk, or "belfry" for the program itself
	Action  string            // what: "order.approved", "seal.signed", …
	Subject string            // to what: the order's or file's identifier
	Detail  map[string]string // may be nil
}

// Log is the chains of an install. It is safe for concurrent use.
type Log struct {
	db    *sqldb.DB
	heads *heads
}

// New makes the tables and opens the folder of head files, made where it does not exist.
func New(db *sqldb.DB, headDir string) (*Log, error) {
	if err := db.Migrate(context.Background(), "audit", migrations); err != nil {
		return nil, err
	}
	heads, err := openHeads(headDir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &Log{db, heads}, nil
}

// head is where a chain ends: its last entry's number and hash.
type head struct {
	seq  int64
	hash string
}

// Append adds e to its commune's chain, in the transaction of the work it tells of.
func (l *Log) Append(tx *sqldb.Tx, e Entry) error {
	if err := e.Commune.Check(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if e.Action == "" || e.At.IsZero() {
		return errors.New("audit: an entry has a time and an action")
	}
	detail, err := json.Marshal(e.Detail) // keys sorted; the text is what is hashed and kept
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	// The head row first: two processes that append at once meet there, and the
	// second runs again.
	r := row{e.Commune, 0, sqldb.Micros(e.At), e.Actor, e.Action, e.Subject, string(detail), ""}
	var prev string
	if err := tx.QueryRow(`INSERT INTO audit_head (commune, seq, hash) VALUES ($1, 1, '')
		ON CONFLICT (commune) DO UPDATE SET seq = audit_head.seq + 1 RETURNING seq, hash`, r.commune).Scan(&r.seq, &prev); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.hash = r.chained(prev)
	if _, err := tx.Exec(`INSERT INTO audit_entry (commune, seq, at, actor, action, subject, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.commune, r.seq, r.at, r.actor, r.action, r.subject, r.detail, r.hash); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if _, err := tx.Exec(`UPDATE audit_head SET hash = $1 WHERE commune = $2`, r.hash, r.commune); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	tx.AfterCommit(func() { l.heads.write(e.Commune, head{r.seq, r.hash}) })
	return nil
}

// lastHead reads the head row, the zero head where there is none.
func (l *Log) lastHead(ctx context.Context, c commune.ID) (h head, err error) {
	err = l.db.QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE commune = $1`, c).Scan(&h.seq, &h.hash)
	if errors.Is(err, sqldb.ErrNoRows) {
		return head{}, nil
	}
	return h, err
}

// List returns what was done to a subject, oldest first.
func (l *Log) List(ctx context.Context, c commune.ID, subject string) ([]Entry, error) {
	return l.entries(ctx, c, `subject = $2`, subject)
}

// Since returns what was done to any of these subjects at or after a time, oldest first.
func (l *Log) Since(ctx context.Context, c commune.ID, subjects []string, since time.Time) ([]Entry, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	args, places := []any{sqldb.Micros(since)}, make([]string, len(subjects))
	for i, subject := range subjects {
		args, places[i] = append(args, subject), fmt.Sprintf("$%d", 3+i)
	}
	return l.entries(ctx, c, `at >= $2 AND subject IN (`+strings.Join(places, ", ")+`)`, args...)
}

func (l *Log) entries(ctx context.Context, c commune.ID, where string, args ...any) ([]Entry, error) {
	rows, err := l.db.Query(ctx, `SELECT at, actor, action, subject, detail FROM audit_entry WHERE commune = $1 AND `+where+` ORDER BY seq`, append([]any{c}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() {
		e := Entry{Commune: c}
		var at sqldb.Time
		var detail string
		if err := rows.Scan(&at, &e.Actor, &e.Action, &e.Subject, &detail); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
			return nil, fmt.Errorf("audit: detail of an entry: %w", err)
		}
		e.At = at.Time
		list = append(list, e)
	}
	return list, rows.Err()
}

// Last is the time of a commune's newest entry, the zero time where there is
// none. A clock that stands before it does not tell the truth.
func (l *Log) Last(ctx context.Context, c commune.ID) (time.Time, error) {
	var at sqldb.Time
	err := l.db.QueryRow(ctx, `SELECT at FROM audit_entry WHERE commune = $1 ORDER BY seq DESC LIMIT 1`, c).Scan(&at)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return time.Time{}, fmt.Errorf("audit: %w", err)
	}
	return at.Time, nil
}

// row is an entry as it lies in the table.
type row struct {
	commune commune.ID
	seq     int64
	at      int64
	actor   string
	action  string
	subject string
	detail  string
	hash    string
}

// chained is the row's hash after prev. Each field goes in with its length, so
// that no two rows have one text.
func (r row) chained(prev string) string {
	h := sha256.New()
	field := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	for _, s := range []string{"belfry audit 1", prev, string(r.commune), r.actor, r.action, r.subject, r.detail} {
		field(s)
	}
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(r.seq)), uint64(r.at)))
	return hex.EncodeToString(h.Sum(nil))
}
