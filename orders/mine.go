package orders

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
)

// What a person reads about themselves: their papers, and who has looked at their orders.

// PapersPage is a piece of the list of somebody's papers.
type PapersPage struct {
	Orders []Order // issued, or withdrawn since; with Withdrawal
	Next   string  // names the piece that follows; "" where there is none
}

const papersOnPage = 20

// IssuedTo lists the papers that were issued to a person, known by any of these subjects, the
// newest order first. After is the Next of the piece before, "" for the first.
func (s *Service) IssuedTo(ctx context.Context, c commune.ID, subjects []string, after string) (PapersPage, error) {
	if _, err := s.commune(c); err != nil || len(subjects) == 0 {
		return PapersPage{}, err
	}
	where := `AND o.subject IN (` + placeholders(4, len(subjects)) + `) AND o.state IN ($2, $3) AND p.void = 0 `
	args := []any{string(Issued), string(Withdrawn)}
	for _, subject := range subjects {
		args = append(args, subject)
	}
	if after != "" {
		args = append(args, after)
		where += `AND o.id < ` + placeholders(1+len(args), 1) + ` `
	}
	args = append(args, papersOnPage+1)
	found, err := s.rows(ctx, c, where+`ORDER BY o.id DESC LIMIT `+placeholders(1+len(args), 1), args...)
	if err != nil {
		return PapersPage{}, err
	}
	var page PapersPage
	if len(found) > papersOnPage {
		found = found[:papersOnPage]
		page.Next = found[papersOnPage-1].ID
	}
	for i := range found {
		if found[i].State == Withdrawn {
			if err := s.link(ctx, &found[i]); err != nil {
				return PapersPage{}, err
			}
		}
		page.Orders = append(page.Orders, found[i].Order)
	}
	return page, nil
}

// Look is one line of the log of who looked at somebody's order or worked on it. It names
// no clerk: people learn what was done and when, and ask the commune for more.
type Look struct {
	At    time.Time
	Order Order
	Did   Deed
}

// Deed is what somebody of the commune did with an order.
type Deed string

const (
	DidRead     Deed = "read"      // opened its page
	DidReadFile Deed = "read_file" // opened a file that the person sent
	DidPreview  Deed = "preview"   // opened the paper before it was issued
	DidDecide   Deed = "decide"    // approved, refused, withdrew
	DidWork     Deed = "work"      // anything else
)

const (
	maxLooked  = 1000 // orders that are asked about
	looksMonth = 6    // how far back
	looksPage  = 50   // lines, and those of the same moment as the last
)

// Deeds lists every one.
var Deeds = []Deed{DidRead, DidReadFile, DidPreview, DidDecide, DidWork}

// Key is the message key of its words.
func (d Deed) Key() string { return "account.did." + string(d) }

var deeds = map[string]Deed{
	"orders.read": DidRead, "orders.listed": DidRead, "orders.attachment_read": DidReadFile, "orders.previewed": DidPreview,
	"orders.approved": DidDecide, "orders.refused": DidDecide, "orders.withdrawn": DidDecide,
}

// LooksPage is a piece of the list of looks.
type LooksPage struct {
	Looks []Look
	// Next is the time before which the piece that follows begins; zero where there is none.
	Next time.Time
}

// Looks says who of the commune has looked at a person's orders, or worked on them, in the
// last six months: the newest first. Before is the Next of the piece before, zero for the
// first. What the person and the service did is not among them.
func (s *Service) Looks(ctx context.Context, c commune.ID, subjects []string, before time.Time) (LooksPage, error) {
	if _, err := s.commune(c); err != nil || len(subjects) == 0 {
		return LooksPage{}, err
	}
	args := []any{maxLooked}
	for _, subject := range subjects {
		args = append(args, subject)
	}
	mine, err := s.list(ctx, c, `AND o.subject IN (`+placeholders(3, len(subjects))+`) ORDER BY o.id DESC LIMIT $2`, args...)
	if err != nil || len(mine) == 0 {
		return LooksPage{}, err
	}
	byID, ids := map[string]Order{}, make([]string, 0, len(mine))
	for _, o := range mine {
		byID[o.ID], ids = o, append(ids, o.ID)
	}
	entries, err := s.Audit.Since(ctx, c, ids, s.now().AddDate(0, -looksMonth, 0))
	if err != nil {
		return LooksPage{}, err
	}
	var page LooksPage
	for _, e := range slices.Backward(entries) {
		if e.Actor == "belfry" || slices.Contains(subjects, e.Actor) || !strings.HasPrefix(e.Action, "orders.") {
			continue
		}
		if !before.IsZero() && !e.At.Before(before) {
			continue
		}
		if n := len(page.Looks); n >= looksPage && !e.At.Equal(page.Looks[n-1].At) {
			page.Next = page.Looks[n-1].At
			break
		}
		did, known := deeds[e.Action]
		if !known {
			did = DidWork
		}
		page.Looks = append(page.Looks, Look{At: e.At, Order: byID[e.Subject], Did: did})
	}
	return page, nil
}
