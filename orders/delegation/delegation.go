// Package delegation says who may sign papers in the place of the mayor or of the
// officer of civil status.
//
// It owns the record of these decisions (who, for which papers, from when to when, by
// which decision) and the words that a delegate's name stands under. It refuses to know
// members' roles, orders and pages. It guarantees that a record is ended and never taken
// away, that every change leaves a line in the commune's journal in the same transaction,
// and that one ended, not yet begun, over or for other papers counts for nothing.
//
// The mention is the one that communes in Belgium and mairies in France use.
package delegation

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Office is whose place a delegate takes.
type Office string

const (
	Mayor     Office = "mayor"
	Registrar Office = "registrar" // the officer of civil status
)

// Offices lists both.
var Offices = []Office{Mayor, Registrar}

// Known says whether there is such an office.
func (o Office) Known() bool { return slices.Contains(Offices, o) }

// Key is the message key of the office's name.
func (o Office) Key() string { return "delegation.office." + string(o) }

// Mention is what stands above a delegate's name on a paper of the commune, in l.
func (o Office) Mention(of *commune.Commune, l i18n.Language) string {
	if of.French() {
		return i18n.T(l, "delegation.mention_france."+string(o))
	}
	return i18n.T(l, "delegation.mention."+string(o))
}

// Delegation is one decision.
type Delegation struct {
	ID      string
	Subject string // the member's; "" while they have not joined
	Name    string // as it stands on papers
	// Invitation is that of somebody who has not joined yet, "" for a member.
	Invitation string
	Office     Office
	Products   []string // IDs; empty for all, also those to come
	From, To   string   // YYYY-MM-DD, both included; To "" has no end
	Decision   string   // what it rests on: "arrêté du 3 mars 2026, no 12"
	MadeBy     string   // subject, or "operator"
	MadeAt     time.Time
	EndedBy    string
	EndedAt    time.Time // zero while it stands
}

// InForce says whether it counts for a product on a day.
func (d Delegation) InForce(product, day string) bool {
	return d.EndedAt.IsZero() && d.Subject != "" && d.From <= day && (d.To == "" || day <= d.To) &&
		(len(d.Products) == 0 || slices.Contains(d.Products, product))
}

// Journal takes a line in the transaction that causes it; *audit.Log is one.
type Journal interface {
	Append(*sqldb.Tx, audit.Entry) error
}

// Register is the record of an install's communes.
type Register struct {
	db      *sqldb.DB
	journal Journal
	now     clock.Clock
}

//go:embed migrations
var migrations embed.FS

// Migrate brings the tables up to date.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	return db.Migrate(ctx, "delegation", migrations)
}

// New brings the tables up to date.
func New(ctx context.Context, db *sqldb.DB, journal Journal, now clock.Clock) (*Register, error) {
	if err := Migrate(ctx, db); err != nil {
		return nil, fmt.Errorf("delegation: %w", err)
	}
	return &Register{db: db, journal: journal, now: now}, nil
}

// Faults of what is recorded; a page shows each at its field.
var (
	ErrName     = fault.New(fault.Invalid, "delegation.name_missing", nil)
	ErrOffice   = fault.New(fault.Invalid, "delegation.office_missing", nil)
	ErrDays     = fault.New(fault.Invalid, "delegation.days_wrong", nil)
	ErrDecision = fault.New(fault.Invalid, "delegation.decision_missing", nil)
	errUnknown  = fault.New(fault.NotFound, "delegation.unknown", nil)
)

const maxText = 200 // characters of a name and of a decision

// Check returns every fault of what is to be recorded, in the order of the page. Whether
// there are such products, the caller knows.
func (d Delegation) Check() (faults []*fault.Error) {
	text := func(s string) bool {
		return strings.TrimSpace(s) != "" && len([]rune(s)) <= maxText && !strings.ContainsAny(s, "\r\n\t")
	}
	if !text(d.Name) || (d.Subject == "") == (d.Invitation == "") {
		faults = append(faults, ErrName)
	}
	if !d.Office.Known() {
		faults = append(faults, ErrOffice)
	}
	if !isDay(d.From) || d.To != "" && (!isDay(d.To) || d.To < d.From) {
		faults = append(faults, ErrDays)
	}
	if !text(d.Decision) {
		faults = append(faults, ErrDecision)
	}
	return faults
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// Record keeps a decision. By is who records it: a member's subject, or "operator". The
// fault is the first of Check.
func (s *Register) Record(ctx context.Context, c commune.ID, d Delegation, by string) (Delegation, error) {
	if faults := d.Check(); len(faults) > 0 {
		return Delegation{}, faults[0]
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Delegation{}, err
	}
	d.ID, d.MadeBy, d.MadeAt = id.String(), by, s.now().UTC().Truncate(time.Microsecond)
	products := ""
	if len(d.Products) > 0 {
		products = " " + strings.Join(d.Products, " ") + " "
	}
	return d, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO delegation_delegation (commune, id, subject, name, invitation, office, products, from_day, to_day, decision, made_by, made_at, ended_by, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', 0)`,
			string(c), d.ID, d.Subject, d.Name, d.Invitation, string(d.Office), products, d.From, d.To, d.Decision, by, sqldb.Micros(d.MadeAt)); err != nil {
			return err
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: d.MadeAt, Actor: by, Action: "delegation.record", Subject: d.ID, Detail: map[string]string{
			"member": d.Subject + d.Invitation, "office": string(d.Office), "products": strings.TrimSpace(products), "from": d.From, "to": d.To, "decision": d.Decision,
		}})
	})
}

// Joined makes the delegations that were recorded for an invitation those of the member
// who used it, in the transaction in which they join.
func (s *Register) Joined(tx *sqldb.Tx, c commune.ID, invitation, subject, name string) error {
	if invitation == "" || subject == "" {
		return errUnknown
	}
	res, err := tx.Exec(`UPDATE delegation_delegation SET subject = $1, name = $2, invitation = '' WHERE commune = $3 AND invitation = $4`, subject, name, string(c), invitation)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return s.journal.Append(tx, audit.Entry{Commune: c, At: s.now(), Actor: subject, Action: "delegation.joined", Subject: invitation})
}

// Left ends every decision about a member who no longer works here, in the transaction in
// which they go: invited again, they sign nothing before somebody records it anew.
func (s *Register) Left(tx *sqldb.Tx, c commune.ID, subject, by string) error {
	at := s.now()
	res, err := tx.Exec(`UPDATE delegation_delegation SET ended_by = $1, ended_at = $2 WHERE commune = $3 AND subject = $4 AND ended_at = 0`,
		by, sqldb.Micros(at), string(c), subject)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return err
	}
	return s.journal.Append(tx, audit.Entry{Commune: c, At: at, Actor: by, Action: "delegation.left", Subject: subject, Detail: map[string]string{"ended": fmt.Sprint(n)}})
}

// End ends a decision from this moment on. Faults: delegation.unknown (NotFound) for
// none that stands.
func (s *Register) End(ctx context.Context, c commune.ID, id, by string) error {
	at := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE delegation_delegation SET ended_by = $1, ended_at = $2 WHERE commune = $3 AND id = $4 AND ended_at = 0`,
			by, sqldb.Micros(at), string(c), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errUnknown
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: at, Actor: by, Action: "delegation.end", Subject: id})
	})
}

// List is every decision of a commune, also those that are over, the newest first.
func (s *Register) List(ctx context.Context, c commune.ID) ([]Delegation, error) {
	return read(func(query string, args ...any) (rows, error) { return s.db.Query(ctx, query, args...) }, c, `ORDER BY id DESC`)
}

// InForce lists what counts for a product on a day, by name.
func (s *Register) InForce(ctx context.Context, c commune.ID, product, day string) ([]Delegation, error) {
	list, err := read(func(query string, args ...any) (rows, error) { return s.db.Query(ctx, query, args...) }, c, `AND ended_at = 0 ORDER BY name, id`)
	return slices.DeleteFunc(list, func(d Delegation) bool { return !d.InForce(product, day) }), err
}

// Holds says whether a subject has a decision in force, as the transaction sees it.
func Holds(tx *sqldb.Tx, c commune.ID, subject string, office Office, product, day string) (bool, error) {
	list, err := read(func(query string, args ...any) (rows, error) { return tx.Query(query, args...) }, c, `AND subject = $2 AND ended_at = 0`, subject)
	return slices.ContainsFunc(list, func(d Delegation) bool { return d.Office == office && d.InForce(product, day) }), err
}

type rows interface {
	Next() bool
	Scan(...any) error
	Close() error
	Err() error
}

func read(query func(string, ...any) (rows, error), c commune.ID, where string, args ...any) ([]Delegation, error) {
	found, err := query(`SELECT id, subject, name, invitation, office, products, from_day, to_day, decision, made_by, made_at, ended_by, ended_at
		FROM delegation_delegation WHERE commune = $1 `+where, append([]any{string(c)}, args...)...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var list []Delegation
	for found.Next() {
		var d Delegation
		var products string
		var made, ended int64
		if err := found.Scan(&d.ID, &d.Subject, &d.Name, &d.Invitation, &d.Office, &products, &d.From, &d.To, &d.Decision, &d.MadeBy, &made, &d.EndedBy, &ended); err != nil {
			return nil, err
		}
		d.Products, d.MadeAt = strings.Fields(products), sqldb.FromMicros(made)
		if ended != 0 {
			d.EndedAt = sqldb.FromMicros(ended)
		}
		list = append(list, d)
	}
	return list, found.Err()
}
