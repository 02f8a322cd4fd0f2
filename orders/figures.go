package orders

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
)

// Channel is how an order came in.
type Channel string

// Online: the person sent the form.
const Online Channel = "online"

// Figure counts orders that came in within a stretch of time, and what became of them.
type Figure struct {
	Received  int
	Online    int // of Received, by the person's own form
	Counter   int // and by a clerk's, by how the person asked
	Phone     int
	Post      int
	Issued    int // among them papers withdrawn since
	Refused   int
	Cancelled int
	Open      int
	OnTime    int // answered (issued or refused) by the promised day
	Late      int // answered later, or still open after it and not waiting for the person
	// Median and NinthDecile are what half and nine tenths of the answered took at most,
	// from the form to the answer, what the person took to answer questions included. Zero
	// where none is answered.
	Median, NinthDecile time.Duration
}

// Share is the part of those due by now that were on time, from 0 to 1; false where none is due.
func (f Figure) Share() (float64, bool) {
	if f.OnTime+f.Late == 0 {
		return 0, false
	}
	return float64(f.OnTime) / float64(f.OnTime+f.Late), true
}

// Figures are a year's, by the day on which orders came in.
type Figures struct {
	Year     int
	Total    Figure
	Months   [12]Figure
	Products []ProductFigures // by name
	First    int              // the year of the commune's first order; Year where there is none
}

// ProductFigures are those of one product.
type ProductFigures struct {
	Product *catalogue.Product
	Total   Figure
	Months  [12]Figure
}

// Workload is what one colleague has in hand now; of nobody, what waits to be taken.
type Workload struct {
	Who        Colleague
	Open, Late int
}

// tally is a Figure in the making.
type tally struct {
	Figure
	took []time.Duration
}

func (t *tally) add(o counted, today string) {
	t.Received++
	switch o.channel {
	case Online:
		t.Online++
	case Counter:
		t.Counter++
	case Phone:
		t.Phone++
	case Post:
		t.Post++
	}
	switch o.state {
	case Issued, Withdrawn:
		t.Issued++
	case Refused:
		t.Refused++
	case Cancelled:
		t.Cancelled++
		return
	default:
		t.Open++
		if o.due < today && o.state != AwaitingCitizen {
			t.Late++
		}
		return
	}
	t.took = append(t.took, o.closed.Sub(o.submitted))
	if o.closed.In(i18n.Brussels()).Format(time.DateOnly) <= o.due {
		t.OnTime++
	} else {
		t.Late++
	}
}

func (t *tally) done() Figure {
	slices.Sort(t.took)
	t.Median, t.NinthDecile = quantile(t.took, 0.5), quantile(t.took, 0.9)
	return t.Figure
}

// quantile is the nearest rank: the least value that a part of all do not exceed.
func quantile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(math.Ceil(part*float64(len(sorted))))-1]
}

type counted struct {
	product           string
	channel           Channel
	state             State
	submitted, closed time.Time
	due               string
}

// Figures counts the orders that came in within a year, in Brussels.
func (s *Service) Figures(ctx context.Context, c commune.ID, year int) (Figures, error) {
	if _, err := s.commune(c); err != nil {
		return Figures{}, err
	}
	from := time.Date(year, 1, 1, 0, 0, 0, 0, i18n.Brussels())
	rows, err := s.DB.Query(ctx, `SELECT product, channel, state, submitted_at, closed_at, due_on FROM orders_order
		WHERE commune = $1 AND submitted_at >= $2 AND submitted_at < $3`, string(c), sqldb.Micros(from), sqldb.Micros(from.AddDate(1, 0, 0)))
	if err != nil {
		return Figures{}, err
	}
	defer rows.Close()
	var all tally
	var months [12]tally
	products := map[string]*[13]tally{} // by month, and the year behind them
	today := s.today()
	for rows.Next() {
		var o counted
		var submitted, closed int64
		if err := rows.Scan(&o.product, &o.channel, &o.state, &submitted, &closed, &o.due); err != nil {
			return Figures{}, err
		}
		o.submitted, o.closed = sqldb.FromMicros(submitted), sqldb.FromMicros(closed)
		m := int(o.submitted.In(i18n.Brussels()).Month()) - 1
		if products[o.product] == nil {
			products[o.product] = new([13]tally)
		}
		for _, t := range []*tally{&all, &months[m], &products[o.product][m], &products[o.product][12]} {
			t.add(o, today)
		}
	}
	if err := rows.Err(); err != nil {
		return Figures{}, err
	}
	f := Figures{Year: year, Total: all.done(), First: year}
	for m := range months {
		f.Months[m] = months[m].done()
	}
	for id, t := range products {
		p := ProductFigures{Total: t[12].done()}
		for m := range p.Months {
			p.Months[m] = t[m].done()
		}
		p.Product, _ = s.Catalogue.Newest(id)
		f.Products = append(f.Products, p)
	}
	slices.SortFunc(f.Products, func(a, b ProductFigures) int { return strings.Compare(a.Product.ID, b.Product.ID) })
	var first *int64
	if err := s.DB.QueryRow(ctx, `SELECT MIN(submitted_at) FROM orders_order WHERE commune = $1`, string(c)).Scan(&first); err != nil {
		return Figures{}, err
	}
	if first != nil {
		f.First = min(year, sqldb.FromMicros(*first).In(i18n.Brussels()).Year())
	}
	return f, nil
}

// Workloads say what each colleague has in hand, the most first.
func (s *Service) Workloads(ctx context.Context, c commune.ID) ([]Workload, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	rows, err := s.DB.Query(ctx, `SELECT assignee, MAX(assignee_name), COUNT(*), COALESCE(SUM(CASE WHEN due_on < $2 AND state <> $3 THEN 1 ELSE 0 END), 0)
		FROM orders_order WHERE commune = $1 AND closed_at = 0 GROUP BY assignee ORDER BY COUNT(*) DESC, assignee`, string(c), s.today(), string(AwaitingCitizen))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Workload
	for rows.Next() {
		var w Workload
		if err := rows.Scan(&w.Who.Subject, &w.Who.Name, &w.Open, &w.Late); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, rows.Err()
}
