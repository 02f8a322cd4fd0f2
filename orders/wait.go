package orders

import (
	"context"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Wait is what of a register an open order waits for, beside its state.
type Wait string

const (
	NoWait Wait = ""
	// RegisterWait: the register was silent when the order was made, and is asked again when
	// its paper is prepared.
	RegisterWait Wait = "register"
	// SourceWait: a register is being asked for the paper that it seals, and has not answered.
	SourceWait Wait = "source"
	// SourceFailed: that register could not give the paper; a clerk attaches one, or has it
	// asked again.
	SourceFailed Wait = "failed"
)

// Waits lists what there is to wait for.
var Waits = []Wait{RegisterWait, SourceWait, SourceFailed}

// Key is the message key of its words.
func (w Wait) Key() string { return "desk.wait." + string(w) }

// feeDueOf says in SQL whether an order's fee has to be received first, and was not.
const feeDueOf = `EXISTS (SELECT 1 FROM orders_fee f WHERE f.commune = o.commune AND f.order_id = o.id AND f.before_issue = 1 AND f.total > 0 AND f.received_at = 0)`

// unpaidOf says in SQL whether an order waits for its fee: without it nobody approves its
// paper, and no register is asked for one.
const unpaidOf = `(o.closed_at = 0 AND o.state IN ('submitted', 'awaiting_citizen', 'in_review') AND ` + feeDueOf + `)`

// waitOf tells an order's Wait in SQL. Those that wait for a clerk's word, or for their fee,
// wait for no register.
const waitOf = `CASE WHEN o.state <> 'submitted' THEN ''
	WHEN o.way = 'source' AND NOT ` + feeDueOf + `
		AND (o.attention = '' OR EXISTS (SELECT 1 FROM orders_event e WHERE e.commune = o.commune AND e.order_id = o.id AND e.kind = 'source_asked')) THEN 'source'
	WHEN o.way = 'attached' AND EXISTS (SELECT 1 FROM orders_event e WHERE e.commune = o.commune AND e.order_id = o.id AND e.kind = 'source_failed') THEN 'failed'
	WHEN o.attention = 'register_silent' THEN 'register' ELSE '' END`

// markWaits fills in what the orders of a list wait for, a register or their fee.
func (s *Service) markWaits(ctx context.Context, c commune.ID, list []Order) error {
	at, args := map[string]int{}, []any{string(c)}
	for i, o := range list {
		if o.State.Open() {
			at[o.ID] = i
			args = append(args, o.ID)
		}
	}
	if len(at) == 0 {
		return nil
	}
	rows, err := s.DB.Query(ctx, `SELECT o.id, `+waitOf+`, CASE WHEN `+unpaidOf+` THEN 1 ELSE 0 END
		FROM orders_order o WHERE o.commune = $1 AND o.id IN (`+placeholders(2, len(at))+`)`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var w Wait
		var unpaid int
		if err := rows.Scan(&id, &w, &unpaid); err != nil {
			return err
		}
		list[at[id]].Wait, list[at[id]].Unpaid = w, unpaid == 1
	}
	return rows.Err()
}
