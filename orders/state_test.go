package orders_test

import (
	"testing"

	"github.com/belfry-eid/belfry/orders"
)

// The table of moves read as rules about the whole, not as a copy of itself.
func TestMovesKeepTheRules(t *testing.T) {
	kinds := []orders.ActorKind{orders.ByCitizen, orders.ByClerk, orders.ByService}
	reach := map[orders.State]bool{orders.Submitted: true}
	for range orders.States {
		for _, from := range orders.States {
			for _, to := range orders.States {
				for _, by := range kinds {
					if reach[from] && orders.May(from, to, by) {
						reach[to] = true
					}
				}
			}
		}
	}
	for _, s := range orders.States {
		if !reach[s] {
			t.Errorf("%s cannot be reached", s)
		}
		for _, to := range orders.States {
			for _, by := range kinds {
				if !orders.May(s, to, by) {
					continue
				}
				switch {
				case s == orders.Issued && to == orders.Withdrawn && by == orders.ByClerk: // a paper is taken back in the open
				case !s.Open():
					t.Errorf("%s is closed, yet %s may make it %s", s, by, to)
				case to == orders.Withdrawn:
					t.Errorf("%s withdraws what is %s", by, s)
				case to == orders.Approved && (s != orders.InReview || by != orders.ByClerk):
					t.Errorf("%s approves what is %s", by, s)
				case (to == orders.Signed || to == orders.Issued) && by != orders.ByService:
					t.Errorf("%s makes an order %s by hand", by, to)
				case to == orders.Issued && s != orders.Approved && s != orders.Signed && s != orders.Submitted: // a source's paper is nobody's to approve
					t.Errorf("issued without approval, from %s", s)
				case to == orders.Cancelled && by != orders.ByCitizen:
					t.Errorf("%s cancels for the person", by)
				case s == orders.Approved && (to == orders.Refused || to == orders.Cancelled):
					t.Error("an approved order, whose seal may be under way, can be taken back")
				}
			}
		}
	}
}
