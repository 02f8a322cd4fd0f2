package orders

import (
	"fmt"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Emptied is how many rows of each kind Reset has taken away.
type Emptied struct{ Orders, Papers, Messages, Drafts int64 }

// ofOrders are the tables that Reset empties. Delegations stay: they are of people, not of
// orders; and so do the commune's own questions.
var ofOrders = []string{
	"orders_attachment", "orders_came", "orders_contact", "orders_counter", "orders_draft", "orders_entry", "orders_event", "orders_fee",
	"orders_file", "orders_message", "orders_note", "orders_order", "orders_paper", "orders_proof", "orders_reading", "orders_receipt", "orders_shown", "orders_withdrawal",
}

// Reset takes away every order of a training commune with all that belongs to it, so that
// its numbers begin again. It refuses any other commune, and one in which a paper was issued
// that is no specimen: whoever holds that paper must still be able to have it verified.
// Journals stay, and so do the files, which nothing then names.
func Reset(tx *sqldb.Tx, of *commune.Commune) (Emptied, error) {
	if !of.Training {
		return Emptied{}, fmt.Errorf("%s is no training commune: its settings do not say training = true, and nothing was removed", of.ID)
	}
	var good int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_paper WHERE commune = $1 AND document <> '' AND specimen = 0`, string(of.ID)).Scan(&good); err != nil {
		return Emptied{}, err
	}
	if good > 0 {
		return Emptied{}, fmt.Errorf("%s has issued %d papers that are no specimens: nothing was removed", of.ID, good)
	}
	removed := map[string]int64{}
	for _, table := range ofOrders {
		res, err := tx.Exec(`DELETE FROM `+table+` WHERE commune = $1`, string(of.ID))
		if err != nil {
			return Emptied{}, err
		}
		if removed[table], err = res.RowsAffected(); err != nil {
			return Emptied{}, err
		}
	}
	return Emptied{
		Orders: removed["orders_order"], Papers: removed["orders_paper"], Messages: removed["orders_message"] + removed["orders_note"], Drafts: removed["orders_draft"],
	}, nil
}
