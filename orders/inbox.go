package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// The lists of the desk. Each is read by an index in the order in which it is shown, so
// that a page costs the same among a thousand orders and among a million.

// Sort is the order of a list.
type Sort string

const (
	ByDue  Sort = ""     // by promised day, the most urgent first
	BySent Sort = "sent" // the oldest first
	ByName Sort = "name"
)

// Sorts lists every order of a list.
var Sorts = []Sort{ByDue, BySent, ByName}

// column that each sorts by; orders_order has an index for each behind closed_at.
var sortColumns = map[Sort]string{ByDue: "due_on", BySent: "submitted_at", ByName: "search_name"}

// Filter chooses orders of an inbox. Its zero value is every open order.
type Filter struct {
	// States; empty for the open ones. Where all are closed ones, the list begins with
	// what was closed last and has no other order.
	States []State
	// Search is a number, a reference, or the beginning of a surname.
	Search     string
	Late       bool     // only those whose promised day is over
	Assignees  []string // only those that one of these subjects is on
	Unassigned bool     // only those that nobody is on
	Answered   bool     // only those whose person has written since a clerk acted
	AtRegister bool     // only those with a Wait
	Unpaid     bool     // only those that wait for their fee
	Sort       Sort
	Descending bool
	After      string // Page.Next of the page before
	Limit      int    // 1 to 200; 50 where zero
}

// Page is a page of an inbox.
type Page struct {
	Orders []Order // without Events
	Next   string  // for Filter.After; "" on the last page
}

// Counts are the open orders of a commune, for the inbox's head.
type Counts struct {
	ByState    map[State]int
	Late       int
	Unassigned int
	Mine       int // of the subjects asked for
	Answered   int
	AtRegister int
	Unpaid     int
}

const (
	maxPage   = 200
	maxSearch = 100 // characters
)

func badFilter(format string, args ...any) error {
	return fault.New(fault.Invalid, "orders.bad_filter", fmt.Errorf(format, args...))
}

// Inbox lists orders of a commune. Fault orders.bad_filter (Invalid).
func (s *Service) Inbox(ctx context.Context, c commune.ID, f Filter) (Page, error) {
	if _, err := s.commune(c); err != nil {
		return Page{}, err
	}
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.Limit < 1 || f.Limit > maxPage {
		return Page{}, badFilter("limit %d", f.Limit)
	}
	q, err := s.query(ctx, c, f)
	if err != nil {
		return Page{}, err
	}
	list, err := s.list(ctx, c, q.text(f.Limit+1), q.args...)
	if err != nil {
		return Page{}, err
	}
	page := Page{Orders: list}
	if len(list) > f.Limit {
		page = Page{Orders: list[:f.Limit], Next: list[f.Limit-1].ID}
	}
	return page, s.markWaits(ctx, c, page.Orders)
}

// query is the rest of selectOrder; $1 is the commune.
type query struct {
	where []string
	order string
	args  []any
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args)+1)
}

func (q *query) and(condition string) { q.where = append(q.where, condition) }

func (q *query) in(column string, values []string) {
	var list []string
	for _, v := range values {
		list = append(list, q.arg(v))
	}
	q.and(column + " IN (" + strings.Join(list, ", ") + ")")
}

func (q *query) text(limit int) string {
	return fmt.Sprintf("AND %s ORDER BY %s LIMIT %d", strings.Join(q.where, " AND "), q.order, limit)
}

func (s *Service) query(ctx context.Context, c commune.ID, f Filter) (query, error) {
	var q query
	closed, err := q.states(f.States)
	if err != nil {
		return query{}, err
	}
	if f.Late {
		q.and("o.due_on < " + q.arg(s.today()))
		q.and("o.state <> " + q.arg(string(AwaitingCitizen)))
	}
	if len(f.Assignees) > 0 {
		q.in("o.assignee", f.Assignees)
	}
	if f.Unassigned {
		q.and("o.assignee = ''")
	}
	if f.Answered {
		q.and("o.answered_at > 0")
	}
	if f.AtRegister {
		q.and("o.state = 'submitted'")
		q.and(waitOf + " <> ''")
	}
	if f.Unpaid {
		q.and(unpaidOf)
	}
	if err := s.search(ctx, c, &q, f.Search); err != nil {
		return query{}, err
	}
	return q, s.sorted(ctx, c, &q, f, closed)
}

// states narrows to states, and says whether all of them are closed ones.
func (q *query) states(states []State) (closed bool, err error) {
	if len(states) == 0 {
		q.and("o.closed_at = 0")
		return false, nil
	}
	var names []string
	open := 0
	for _, st := range states {
		if !st.Known() {
			return false, badFilter("state %q", st)
		}
		if st.Open() {
			open++
		}
		names = append(names, "'"+string(st)+"'")
	}
	switch open {
	case 0:
		q.and("o.closed_at > 0")
	case len(states):
		q.and("o.closed_at = 0")
	}
	// The names themselves, which are ours: an index for a few states is found by them.
	q.and("o.state IN (" + strings.Join(names, ", ") + ")")
	return open == 0, nil
}

// searchHeads are how much of a name has an index, in letters, the longest first: a
// name of a few letters finds many, and "van den" more than most.
var searchHeads = []int{12, 6, 3, 2}

// search narrows to what was typed: a number, a reference, or else a name's beginning.
func (s *Service) search(ctx context.Context, c commune.ID, q *query, typed string) error {
	if n, ok := ParseNumber(typed); ok {
		q.and("o.id = (SELECT order_id FROM orders_paper WHERE commune = $1 AND number = " + q.arg(string(n)) + ")")
		return nil
	}
	if ref, ok := code.Parse(typed, referenceLength); ok {
		var id string
		err := s.DB.QueryRow(ctx, `SELECT id FROM orders_order WHERE commune = $1 AND reference = $2`, string(c), ref).Scan(&id)
		if err == nil {
			q.and("o.id = " + q.arg(id))
		}
		if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
	}
	name := cut(words(typed), maxSearch)
	if name == "" {
		return nil
	}
	for _, n := range searchHeads {
		if utf8.RuneCountInString(name) >= n {
			q.and(fmt.Sprintf("substr(o.search_name, 1, %d) = %s", n, q.arg(cut(name, n))))
			break
		}
	}
	// words has left letters, digits and spaces: nothing that LIKE would read as a pattern.
	q.and("o.search_name LIKE " + q.arg(name+"%"))
	return nil
}

func (s *Service) sorted(ctx context.Context, c commune.ID, q *query, f Filter, closed bool) error {
	column, ok := sortColumns[f.Sort]
	if !ok || closed && (f.Sort != ByDue || f.Descending) {
		return badFilter("sort %q", f.Sort)
	}
	than, way := ">", ""
	switch {
	case closed:
		column, than, way = "closed_at", "<", " DESC"
	case f.Descending:
		than, way = "<", " DESC"
	}
	q.order = "o." + column + way + ", o.id" + way
	if f.After == "" {
		return nil
	}
	var last any // what the page before ended with
	err := s.DB.QueryRow(ctx, `SELECT `+column+` FROM orders_order WHERE commune = $1 AND id = $2`, string(c), f.After).Scan(&last)
	if errors.Is(err, sqldb.ErrNoRows) {
		return badFilter("after an order that is not there")
	}
	if err != nil {
		return err
	}
	q.and("(o." + column + ", o.id) " + than + " (" + q.arg(last) + ", " + q.arg(f.After) + ")")
	return nil
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

func (s *Service) today() string { return s.Clock().In(i18n.Brussels()).Format(time.DateOnly) }

// Counts says how many orders of a commune are open, by state and by what the inbox
// offers; Mine counts those that one of subjects is on.
func (s *Service) Counts(ctx context.Context, c commune.ID, subjects ...string) (Counts, error) {
	counts := Counts{ByState: map[State]int{}}
	for _, st := range OpenStates {
		counts.ByState[st] = 0
	}
	if err := s.countStates(ctx, c, &counts); err != nil {
		return Counts{}, err
	}
	of := []any{""} // a list has one value at least
	for _, subject := range subjects {
		of = append(of, subject)
	}
	for _, one := range []struct {
		into  *int
		where string
		args  []any
	}{
		{&counts.Unassigned, "closed_at = 0 AND assignee = ''", nil},
		{&counts.Mine, "closed_at = 0 AND assignee <> '' AND assignee IN (" + placeholders(2, len(of)) + ")", of},
		{&counts.Answered, "answered_at > 0 AND closed_at = 0", nil},
		{&counts.AtRegister, "closed_at = 0 AND state = 'submitted' AND " + waitOf + " <> ''", nil},
		{&counts.Unpaid, unpaidOf, nil},
	} {
		row := s.DB.QueryRow(ctx, `SELECT COUNT(*) FROM orders_order o WHERE commune = $1 AND `+one.where, append([]any{string(c)}, one.args...)...)
		if err := row.Scan(one.into); err != nil {
			return Counts{}, err
		}
	}
	return counts, nil
}

func (s *Service) countStates(ctx context.Context, c commune.ID, counts *Counts) error {
	rows, err := s.DB.Query(ctx, `SELECT state, COUNT(*), COALESCE(SUM(CASE WHEN due_on < $2 AND state <> $3 THEN 1 ELSE 0 END), 0)
		FROM orders_order WHERE commune = $1 AND closed_at = 0 GROUP BY state`, string(c), s.today(), string(AwaitingCitizen))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var st State
		var n, late int
		if err := rows.Scan(&st, &n, &late); err != nil {
			return err
		}
		counts.ByState[st] = n
		counts.Late += late
	}
	return rows.Err()
}
