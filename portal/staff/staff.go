// Package staff says who works at a commune's desk.
//
// It owns invitations, memberships with their roles, absences, and their tables. It refuses to know how
// somebody signs in, what a clerk may do with an order, and pages. It guarantees
// that an invitation makes one member once, that its code is kept as a hash only,
// and that every change leaves a line in the commune's journal in the same
// transaction (threat T11).
//
// People come by invitation: the operator makes the first administrator's with
// "belfry staff invite", administrators make the others'. The code is bound to a
// person when that person's card is used with it.
package staff

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// Member is somebody who works at the desk.
type Member struct {
	Commune commune.ID
	Subject string // the commune's pairwise name for the person
	Name    string // as on the card
	Role    Role
	Since   time.Time
}

// Invitation is one not used yet.
type Invitation struct {
	ID      string // hash of the code, in hex
	Name    string // whom it is for, as whoever invited wrote it
	Role    Role
	Made    time.Time
	Expires time.Time
}

// Lifetime of an invitation.
const Lifetime = 14 * 24 * time.Hour

// Journal takes a line in the transaction that causes it; *audit.Log is one.
type Journal interface {
	Append(*sqldb.Tx, audit.Entry) error
}

// Register is who works where.
type Register struct {
	db      *sqldb.DB
	journal Journal
	now     clock.Clock
}

//go:embed migrations
var migrations embed.FS

// Migrate brings the tables of staff up to date.
func Migrate(ctx context.Context, db *sqldb.DB) error { return db.Migrate(ctx, "staff", migrations) }

// New brings the tables up to date.
func New(ctx context.Context, db *sqldb.DB, journal Journal, now clock.Clock) (*Register, error) {
	if err := Migrate(ctx, db); err != nil {
		return nil, fmt.Errorf("staff: %w", err)
	}
	return &Register{db: db, journal: journal, now: now}, nil
}

var (
	errCode    = fault.New(fault.NotFound, "clerk.join.unknown", nil)
	errAlready = fault.New(fault.Conflict, "clerk.join.already", nil)
	errSelf    = fault.New(fault.Forbidden, "clerk.staff.not_self", nil)
	errMember  = fault.New(fault.NotFound, "clerk.staff.unknown", nil)
)

// Invite makes an invitation and returns its code, which is not kept. By is who
// invites: a member's subject, or "operator".
func (s *Register) Invite(ctx context.Context, c commune.ID, name string, role Role, by string) (string, error) {
	name = form.Line(name)
	if name == "" || len(name) > 200 || !role.Known() {
		return "", fault.New(fault.Invalid, "clerk.staff.invite_incomplete", nil)
	}
	made := code.Grouped(code.New(codeLength), 5)
	id, now := hash(made), s.now()
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO staff_invitation (commune, id, name, role, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			string(c), id, name, string(role), sqldb.Micros(now), sqldb.Micros(now.Add(Lifetime)))
		if err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.invite", Subject: id, Detail: map[string]string{"role": string(role)}})
	})
	return made, err
}

// Invited is the open invitation of a code.
func (s *Register) Invited(ctx context.Context, c commune.ID, typed string) (Invitation, error) {
	inv := Invitation{ID: hash(typed)}
	var made, expires int64
	err := s.db.QueryRow(ctx, `SELECT name, role, made_at, expires_at FROM staff_invitation WHERE commune = $1 AND id = $2 AND used_at IS NULL AND expires_at > $3`,
		string(c), inv.ID, sqldb.Micros(s.now())).Scan(&inv.Name, &inv.Role, &made, &expires)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Invitation{}, errCode
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("invitation: %w", err)
	}
	inv.Made, inv.Expires = sqldb.FromMicros(made), sqldb.FromMicros(expires)
	return inv, nil
}

// Join binds the invitation of a code to a person. A person who was removed may be
// invited again. also is what else is done in the same transaction.
func (s *Register) Join(ctx context.Context, c commune.ID, typed, subject, name string, also ...func(tx *sqldb.Tx, invitation string) error) (Member, error) {
	inv, err := s.Invited(ctx, c, typed)
	if err != nil {
		return Member{}, err
	}
	m := Member{Commune: c, Subject: subject, Name: name, Role: inv.Role, Since: s.now()}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := consume(tx, inv.ID, m); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM staff_member WHERE commune = $1 AND subject = $2 AND removed_at IS NOT NULL`, string(c), subject)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		_, err = tx.Exec(`INSERT INTO staff_member (commune, subject, name, role, since) VALUES ($1, $2, $3, $4, $5)`,
			string(c), subject, name, string(m.Role), sqldb.Micros(m.Since))
		if sqldb.IsUnique(err) {
			return errAlready
		}
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		for _, f := range also {
			if err := f(tx, inv.ID); err != nil {
				return err
			}
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: m.Since, Actor: subject, Action: "staff.join", Subject: inv.ID, Detail: map[string]string{"role": string(m.Role)}})
	})
	return m, err
}

// consume marks the invitation used, unless somebody else was faster.
func consume(tx *sqldb.Tx, id string, m Member) error {
	res, err := tx.Exec(`UPDATE staff_invitation SET used_at = $1, used_by = $2 WHERE commune = $3 AND id = $4 AND used_at IS NULL AND expires_at > $1`,
		sqldb.Micros(m.Since), m.Subject, string(m.Commune), id)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return one(res, errCode)
}

// one returns otherwise where a statement did not change exactly one row.
func one(res interface{ RowsAffected() (int64, error) }, otherwise error) error {
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("staff: %w", err)
	}
	if n != 1 {
		return otherwise
	}
	return nil
}

// Member returns who a subject is at the desk, nil where nobody.
func (s *Register) Member(ctx context.Context, c commune.ID, subject string) (*Member, error) {
	m := Member{Commune: c, Subject: subject}
	var since int64
	err := s.db.QueryRow(ctx, `SELECT name, role, since FROM staff_member WHERE commune = $1 AND subject = $2 AND removed_at IS NULL`, string(c), subject).Scan(&m.Name, &m.Role, &since)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	m.Since = sqldb.FromMicros(since)
	return &m, nil
}

// Members lists who works at a commune, by name.
func (s *Register) Members(ctx context.Context, c commune.ID) ([]Member, error) {
	rows, err := s.db.Query(ctx, `SELECT subject, name, role, since FROM staff_member WHERE commune = $1 AND removed_at IS NULL ORDER BY name, subject`, string(c))
	if err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	defer rows.Close()
	var list []Member
	for rows.Next() {
		m := Member{Commune: c}
		var since int64
		if err := rows.Scan(&m.Subject, &m.Name, &m.Role, &since); err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
		m.Since = sqldb.FromMicros(since)
		list = append(list, m)
	}
	return list, rows.Err()
}

// Invitations lists a commune's open invitations, the newest first.
func (s *Register) Invitations(ctx context.Context, c commune.ID) ([]Invitation, error) {
	rows, err := s.db.Query(ctx, `SELECT id, name, role, made_at, expires_at FROM staff_invitation WHERE commune = $1 AND used_at IS NULL AND expires_at > $2 ORDER BY made_at DESC, id`, string(c), sqldb.Micros(s.now()))
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	defer rows.Close()
	var list []Invitation
	for rows.Next() {
		var inv Invitation
		var made, expires int64
		if err := rows.Scan(&inv.ID, &inv.Name, &inv.Role, &made, &expires); err != nil {
			return nil, fmt.Errorf("invitations: %w", err)
		}
		inv.Made, inv.Expires = sqldb.FromMicros(made), sqldb.FromMicros(expires)
		list = append(list, inv)
	}
	return list, rows.Err()
}

// Remove ends a membership. Nobody removes themselves, nor anybody the last administrator:
// of two who remove each other, one stays. also is what else is done in the same transaction.
func (s *Register) Remove(ctx context.Context, c commune.ID, subject, by string, also ...func(*sqldb.Tx) error) error {
	if subject == by {
		return errSelf
	}
	now := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var before Role
		err := tx.QueryRow(`UPDATE staff_member SET removed_at = $1 WHERE commune = $2 AND subject = $3 AND removed_at IS NULL RETURNING role`, sqldb.Micros(now), string(c), subject).Scan(&before)
		if errors.Is(err, sqldb.ErrNoRows) {
			return errMember
		}
		if err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		if err := administered(tx, c, before); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM staff_absence WHERE commune = $1 AND (subject = $2 OR deputy = $2)`, string(c), subject); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		for _, f := range also {
			if err := f(tx); err != nil {
				return err
			}
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.remove", Subject: subject})
	})
}

// Withdraw takes an open invitation back.
func (s *Register) Withdraw(ctx context.Context, c commune.ID, id, by string) error {
	now := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE staff_invitation SET expires_at = $1 WHERE commune = $2 AND id = $3 AND used_at IS NULL AND expires_at > $1`, sqldb.Micros(now), string(c), id)
		if err != nil {
			return fmt.Errorf("withdraw: %w", err)
		}
		if err := one(res, errCode); err != nil {
			return err
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.withdraw", Subject: id})
	})
}

// codeLength makes codes of 100 random bits, so that a plain hash tells nothing.
const codeLength = 20

// hash takes a code as people type it.
// EndInvitations ends every open invitation of every commune: after an older state of
// the database was restored, one that was used since would be good again.
func EndInvitations(tx *sqldb.Tx, at time.Time) error {
	if _, err := tx.Exec(`UPDATE staff_invitation SET expires_at = $1 WHERE used_at IS NULL AND expires_at > $1`, sqldb.Micros(at)); err != nil {
		return fmt.Errorf("invitations: %w", err)
	}
	return nil
}

func hash(typed string) string {
	plain, _ := code.Parse(typed, codeLength) // what is no code is no invitation's either
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}
