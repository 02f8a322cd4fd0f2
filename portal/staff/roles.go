package staff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Role says what a member may do. Each may do what the one before it may.
type Role string

const (
	Clerk         Role = "clerk"         // prepares, asks people, writes notes
	Approver      Role = "approver"      // also approves and refuses
	Administrator Role = "administrator" // also says who works here, and as what
)

// Roles lists every role, the least first.
var Roles = []Role{Clerk, Approver, Administrator}

// Known says whether r is a role.
func (r Role) Known() bool { return slices.Contains(Roles, r) }

// Approves says whether r may decide about orders.
func (r Role) Approves() bool { return r == Approver || r == Administrator }

var errLast = fault.New(fault.Forbidden, "staff.last_administrator", nil)

// SetRole gives a member another role. The last administrator stays one. Faults:
// clerk.staff.unknown (NotFound); clerk.staff.invite_incomplete (Invalid);
// staff.last_administrator (Forbidden).
func (s *Register) SetRole(ctx context.Context, c commune.ID, subject string, role Role, by string) error {
	if !role.Known() {
		return fault.New(fault.Invalid, "clerk.staff.invite_incomplete", nil)
	}
	now := s.now()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var before Role
		err := tx.QueryRow(`SELECT role FROM staff_member WHERE commune = $1 AND subject = $2 AND removed_at IS NULL`, string(c), subject).Scan(&before)
		if errors.Is(err, sqldb.ErrNoRows) {
			return errMember
		}
		if err != nil {
			return fmt.Errorf("role: %w", err)
		}
		if before == role {
			return nil
		}
		if _, err := tx.Exec(`UPDATE staff_member SET role = $1 WHERE commune = $2 AND subject = $3 AND removed_at IS NULL`, string(role), string(c), subject); err != nil {
			return fmt.Errorf("role: %w", err)
		}
		if err := administered(tx, c, before); err != nil {
			return err
		}
		return s.journal.Append(tx, audit.Entry{Commune: c, At: now, Actor: by, Action: "staff.role", Subject: subject, Detail: map[string]string{"role": string(role), "before": string(before)}})
	})
}

// administered fails where somebody who was an administrator was the last one.
func administered(tx *sqldb.Tx, c commune.ID, before Role) error {
	if before != Administrator {
		return nil
	}
	var left int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM staff_member WHERE commune = $1 AND role = $2 AND removed_at IS NULL`, string(c), string(Administrator)).Scan(&left); err != nil {
		return fmt.Errorf("administrators: %w", err)
	}
	if left == 0 {
		return errLast
	}
	return nil
}
