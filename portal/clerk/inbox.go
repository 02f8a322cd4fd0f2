package clerk

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// tab is a ready-made filter of the inbox.
type tab struct {
	Name    string
	Text    string
	Count   int
	Counted bool
	Href    string
	Current bool
}

// tabs in the order of the page, with the states each shows.
var tabs = []struct {
	name   string
	states []orders.State
}{
	{"open", nil},
	{"submitted", []orders.State{orders.Submitted}},
	{"in_review", []orders.State{orders.InReview}},
	{"sealing", []orders.State{orders.Approved, orders.Signed}},
	{"late", nil},
	{"closed", []orders.State{orders.Issued, orders.Refused, orders.Cancelled}},
}

type row struct {
	Order orders.Order
	Href  string
	Late  int // days after the promised one
	Today bool
}

type inbox struct {
	Tabs    []tab
	Current string // name of the tab shown
	Search  string
	Rows    []row
	Next    string // the next page; empty on the last
	Action  string
	Ready   string // the list of what can be approved at once
}

// inbox lists orders, the most urgent first. Filters are GET: they can be kept as a bookmark.
func (p *Pages) inbox(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	q := r.URL.Query()
	f := orders.Filter{Search: strings.TrimSpace(q.Get("q")), After: q.Get("after")}
	current := "open"
	for _, t := range tabs {
		if t.name == q.Get("show") {
			current, f.States = t.name, t.states
		}
	}
	f.Late = current == "late"
	counts, err := p.orders.Counts(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	found, err := p.orders.Inbox(r.Context(), v.Commune.ID, f)
	if err != nil {
		return err
	}
	c := inbox{Tabs: p.tabs(v, counts, current, f.Search), Current: current, Search: f.Search, Action: v.To("/desk"), Ready: v.To("/desk/ready")}
	for _, o := range found.Orders {
		days := daysLate(o, p.now())
		c.Rows = append(c.Rows, row{Order: o, Href: v.To("/desk/orders/" + o.ID), Late: max(days, 0), Today: days == 0 && o.State.Open()})
	}
	if found.Next != "" {
		c.Next = v.To("/desk") + "?" + url.Values{"show": {current}, "q": {f.Search}, "after": {found.Next}}.Encode()
	}
	title := v.T("clerk.inbox.title") + " · " + v.T("clerk.inbox.tab."+current)
	return p.render(w, http.StatusOK, "inbox", v.Frame(w, r, title), c)
}

func (p *Pages) tabs(v *visit.Visit, n orders.Counts, current, search string) []tab {
	var list []tab
	for _, t := range tabs {
		q := url.Values{"show": {t.name}}
		if search != "" {
			q.Set("q", search)
		}
		made := tab{Name: t.name, Text: v.T("clerk.inbox.tab." + t.name), Href: v.To("/desk") + "?" + q.Encode(), Current: t.name == current, Counted: t.name != "closed"}
		switch t.name {
		case "open":
			for _, s := range orders.OpenStates {
				made.Count += n.ByState[s]
			}
		case "late":
			made.Count = n.Late
		default:
			for _, s := range t.states {
				made.Count += n.ByState[s]
			}
		}
		list = append(list, made)
	}
	return list
}

// daysLate counts days from the promised one to today, in Brussels: 0 on the day itself.
func daysLate(o orders.Order, now time.Time) int {
	if !o.State.Open() {
		return -1
	}
	day := func(t time.Time) time.Time {
		y, m, d := t.In(i18n.Brussels()).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(day(now).Sub(day(o.DueOn)) / (24 * time.Hour))
}
