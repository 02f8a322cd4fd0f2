package orders

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Mine lists a person's orders in a commune, the newest first, a hundred at most.
func (s *Service) Mine(ctx context.Context, c commune.ID, subject string) ([]Order, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	return s.list(ctx, c, `AND o.subject = $2 ORDER BY o.id DESC LIMIT 100`, subject)
}

// Get returns an order with all its events, for programs. Fault orders.not_found (NotFound).
func (s *Service) Get(ctx context.Context, c commune.ID, id string) (Order, error) {
	return s.get(ctx, c, id, false)
}

func (s *Service) get(ctx context.Context, c commune.ID, id string, publicOnly bool) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	r.Events, err = s.events(ctx, c, id, publicOnly)
	return r.Order, err
}

// ForCitizen returns a person's own order with the events they may see. Fault
// orders.not_found (NotFound), also for an order of somebody else.
func (s *Service) ForCitizen(ctx context.Context, c commune.ID, id, subject string) (Order, error) {
	o, err := s.get(ctx, c, id, true)
	if err != nil {
		return Order{}, err
	}
	if o.Subject != subject {
		return Order{}, errNotFound
	}
	return o, nil
}

// ForClerk returns an order with all its events, and logs that the clerk has looked (T11).
// Fault orders.not_found.
func (s *Service) ForClerk(ctx context.Context, c commune.ID, id string, clerk Clerk) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if err := s.looked(ctx, r, clerk, "orders.read"); err != nil {
		return Order{}, err
	}
	r.Events, err = s.events(ctx, c, id, false)
	return r.Order, err
}

func (s *Service) looked(ctx context.Context, r row, clerk Clerk, action string) error {
	at := s.now()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, clerk.actor(), action, at, nil)
	})
}

// Own says whether an order is the clerk's own, about which they do not decide.
func (s *Service) Own(ctx context.Context, c commune.ID, id string, clerk Clerk) (bool, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return false, err
	}
	return s.own(r, clerk)
}

// own says whether an order is about the clerk. Where the numbers of both are not there
// to compare, whoever may be the person by name is held to be.
func (s *Service) own(r row, clerk Clerk) (bool, error) {
	person, err := s.vault.person(r.Commune, clerk.Number, clerk.Subject)
	if err != nil {
		return false, err
	}
	if (clerk.Number.IsZero() || strings.HasPrefix(r.person, numberless)) && mayBe(r.Order, clerk.Name) {
		return true, nil
	}
	return clerk.Subject == "" || clerk.Subject == r.Subject || person != "" && person == r.person, nil
}

const (
	maxPage   = 200
	maxSearch = 100 // characters
)

// Inbox lists orders of a commune by promised day. Fault orders.bad_filter (Invalid).
func (s *Service) Inbox(ctx context.Context, c commune.ID, f Filter) (Page, error) {
	if _, err := s.commune(c); err != nil {
		return Page{}, err
	}
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.Limit < 1 || f.Limit > maxPage {
		return Page{}, fault.New(fault.Invalid, "orders.bad_filter", fmt.Errorf("limit %d", f.Limit))
	}
	where, args, err := s.where(f)
	if err != nil {
		return Page{}, err
	}
	list, err := s.list(ctx, c, fmt.Sprintf("%s ORDER BY o.due_on, o.id LIMIT %d", where, f.Limit+1), args...)
	if err != nil || len(list) <= f.Limit {
		return Page{Orders: list}, err
	}
	last := list[f.Limit-1]
	return Page{Orders: list[:f.Limit], Next: last.DueOn.Format(time.DateOnly) + "_" + last.ID}, nil
}

// where is the condition of a filter; $1 is the commune.
func (s *Service) where(f Filter) (string, []any, error) {
	var args []any
	arg := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)+1) }
	states := f.States
	if len(states) == 0 {
		states = OpenStates
	}
	var in []string
	for _, st := range states {
		if !st.Known() {
			return "", nil, fault.New(fault.Invalid, "orders.bad_filter", fmt.Errorf("state %q", st))
		}
		in = append(in, arg(string(st)))
	}
	where := "AND o.state IN (" + strings.Join(in, ", ") + ")"
	if f.Late {
		where += " AND o.due_on < " + arg(s.today())
	}
	if n, ok := ParseNumber(f.Search); ok {
		where += " AND p.number = " + arg(string(n))
	} else if name := words(f.Search); name != "" {
		// words has left letters, digits and spaces: nothing that LIKE would read as a pattern.
		match := "o.search_name LIKE " + arg(cut(name, maxSearch)+"%")
		if ref, ok := code.Parse(f.Search, referenceLength); ok {
			match += " OR o.reference = " + arg(ref)
		}
		where += " AND (" + match + ")"
	}
	if f.After != "" {
		day, id, ok := strings.Cut(f.After, "_")
		if _, err := time.Parse(time.DateOnly, day); err != nil || !ok {
			return "", nil, fault.New(fault.Invalid, "orders.bad_filter", fmt.Errorf("after %q", f.After))
		}
		day = arg(day)
		where += " AND (o.due_on > " + day + " OR o.due_on = " + day + " AND o.id > " + arg(id) + ")"
	}
	return where, args, nil
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

func (s *Service) today() string { return s.Clock().In(i18n.Brussels()).Format(time.DateOnly) }

// Counts says how many orders of a commune are open, by state, and how many of them late.
func (s *Service) Counts(ctx context.Context, c commune.ID) (Counts, error) {
	counts := Counts{ByState: map[State]int{}}
	args := []any{string(c), s.today()}
	for _, st := range OpenStates {
		args = append(args, string(st))
		counts.ByState[st] = 0
	}
	rows, err := s.DB.Query(ctx, `SELECT state, COUNT(*), COALESCE(SUM(CASE WHEN due_on < $2 THEN 1 ELSE 0 END), 0)
		FROM orders_order WHERE commune = $1 AND state IN (`+placeholders(3, len(OpenStates))+`) GROUP BY state`, args...)
	if err != nil {
		return Counts{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var st State
		var n, late int
		if err := rows.Scan(&st, &n, &late); err != nil {
			return Counts{}, err
		}
		counts.ByState[st] = n
		counts.Late += late
	}
	return counts, rows.Err()
}

// Preview returns the frozen bytes that a clerk is to approve, and logs that the clerk
// has looked. Faults: orders.not_found, orders.not_prepared (Conflict).
func (s *Service) Preview(ctx context.Context, c commune.ID, id string, clerk Clerk) (File, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return File{}, err
	}
	if r.Paper == nil || r.Paper.Content.IsZero() {
		return File{}, fault.New(fault.Conflict, "orders.not_prepared", nil)
	}
	if err := s.looked(ctx, r, clerk, "orders.previewed"); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Content, "preview-")
}

// Document returns a person's own sealed paper, and logs it. Faults: orders.not_found,
// also for an order of somebody else; orders.not_issued (Conflict).
func (s *Service) Document(ctx context.Context, c commune.ID, id, subject string) (File, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return File{}, err
	}
	if r.Subject != subject {
		return File{}, errNotFound
	}
	if r.State != Issued {
		return File{}, fault.New(fault.Conflict, "orders.not_issued", nil)
	}
	at := s.now()
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, Actor{ByCitizen, subject, r.Name()}, "orders.downloaded", at, nil)
	}); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Document, "")
}

func (s *Service) file(ctx context.Context, r row, d blob.Digest, prefix string) (File, error) {
	data, err := s.Blobs.Read(ctx, r.Commune, d)
	if err != nil {
		return File{}, fmt.Errorf("order %s: %w", r.ID, err)
	}
	return File{Name: fmt.Sprintf("%s%s-%s.pdf", prefix, r.Commune, r.Paper.Number), Type: "application/pdf", Digest: d, Data: data}, nil
}
