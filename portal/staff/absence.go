package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Absence is a stretch of days on which a member is away and another answers for what
// they have in hand.
type Absence struct {
	Subject  string
	Deputy   string // subject of the member who stands in
	From, To string // the first and the last day, YYYY-MM-DD in Belgium
}

// longest is how long an absence may be told in advance: longer, it is a removal.
const longest = 366 * 24 * time.Hour

// check is the fault of an absence that cannot be.
func (a Absence) check(today string) error {
	from, err1 := time.Parse(time.DateOnly, a.From)
	to, err2 := time.Parse(time.DateOnly, a.To)
	switch {
	case err1 != nil || err2 != nil || to.Before(from) || a.To < today || to.Sub(from) > longest:
		return fault.New(fault.Invalid, "staff.absence.days", nil)
	case a.Deputy == "" || a.Deputy == a.Subject:
		return fault.New(fault.Invalid, "staff.absence.deputy_missing", nil)
	}
	return nil
}

// SetAbsence keeps a member's absence, in the place of the one before. By is who says so.
// Faults: staff.absence.days and staff.absence.deputy_missing (Invalid);
// clerk.staff.unknown (NotFound) where either does not work here.
func (s *Register) SetAbsence(ctx context.Context, c commune.ID, a Absence, by string) error {
	if err := a.check(s.today()); err != nil {
		return err
	}
	now := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var here int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM staff_member WHERE commune = $1 AND subject IN ($2, $3) AND removed_at IS NULL`, string(c), a.Subject, a.Deputy).Scan(&here); err != nil {
			return fmt.Errorf("absence: %w", err)
		}
		if here != 2 {
			return errMember
		}
		if _, err := tx.Exec(`INSERT INTO staff_absence (commune, subject, deputy, from_day, to_day) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (commune, subject) DO UPDATE SET deputy = excluded.deputy, from_day = excluded.from_day, to_day = excluded.to_day`,
			string(c), a.Subject, a.Deputy, a.From, a.To); err != nil {
			return fmt.Errorf("absence: %w", err)
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.absence", Subject: a.Subject,
			Detail: map[string]string{"deputy": a.Deputy, "from": a.From, "to": a.To}})
	})
}

// EndAbsence takes a member's absence back. Fault staff.absence.none (NotFound).
func (s *Register) EndAbsence(ctx context.Context, c commune.ID, subject, by string) error {
	now := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`DELETE FROM staff_absence WHERE commune = $1 AND subject = $2`, string(c), subject)
		if err != nil {
			return fmt.Errorf("absence: %w", err)
		}
		if err := one(res, fault.New(fault.NotFound, "staff.absence.none", nil)); err != nil {
			return err
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.present", Subject: subject})
	})
}

// Absences are those of today and later, by the absent member's subject.
func (s *Register) Absences(ctx context.Context, c commune.ID) (map[string]Absence, error) {
	rows, err := s.db.Query(ctx, `SELECT subject, deputy, from_day, to_day FROM staff_absence WHERE commune = $1 AND to_day >= $2`, string(c), s.today())
	if err != nil {
		return nil, fmt.Errorf("absences: %w", err)
	}
	defer rows.Close()
	all := map[string]Absence{}
	for rows.Next() {
		var a Absence
		if err := rows.Scan(&a.Subject, &a.Deputy, &a.From, &a.To); err != nil {
			return nil, fmt.Errorf("absences: %w", err)
		}
		all[a.Subject] = a
	}
	return all, rows.Err()
}

// StandsInFor lists the subjects of those whom a member stands in for today. It goes one
// step: where the deputy is away as well, their own deputy is not asked.
func (s *Register) StandsInFor(ctx context.Context, c commune.ID, deputy string) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT subject FROM staff_absence WHERE commune = $1 AND deputy = $2 AND to_day >= $3 AND from_day <= $3 ORDER BY subject`, string(c), deputy, s.today())
	if err != nil {
		return nil, fmt.Errorf("deputies: %w", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var subject string
		if err := rows.Scan(&subject); err != nil {
			return nil, fmt.Errorf("deputies: %w", err)
		}
		list = append(list, subject)
	}
	return list, rows.Err()
}

// Away says whether an absence covers the day of at.
func (a Absence) Away(at time.Time) bool {
	day := at.In(i18n.Brussels()).Format(time.DateOnly)
	return a.Subject != "" && a.From <= day && day <= a.To
}

func (s *Register) today() string { return s.now().In(i18n.Brussels()).Format(time.DateOnly) }
