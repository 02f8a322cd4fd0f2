package clerk

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// view is a ready-made filter of the inbox, in the order of the page.
type view struct {
	name   string
	filter orders.Filter
	count  func(orders.Counts) int // nil where it is not counted
}

const (
	allOpen   = "open"   // what the desk shows first
	closedTab = "closed" // has one order, and nobody to give it to
	mineTab   = "mine"
	// registerTab is offered where something waits there: many communes ask no register.
	registerTab = "register"
	unpaidTab   = "unpaid" // likewise
)

var views = []view{
	{mineTab, orders.Filter{}, func(c orders.Counts) int { return c.Mine }}, // of whom, the visit says
	{"team", orders.Filter{Unassigned: true}, func(c orders.Counts) int { return c.Unassigned }},
	{allOpen, orders.Filter{}, func(c orders.Counts) int { return inStates(c, orders.OpenStates...) }},
	{"answered", orders.Filter{Answered: true}, func(c orders.Counts) int { return c.Answered }},
	{"waiting", orders.Filter{States: []orders.State{orders.AwaitingCitizen}}, func(c orders.Counts) int { return inStates(c, orders.AwaitingCitizen) }},
	{"in_review", orders.Filter{States: []orders.State{orders.InReview}}, func(c orders.Counts) int { return inStates(c, orders.InReview) }},
	{registerTab, orders.Filter{AtRegister: true}, func(c orders.Counts) int { return c.AtRegister }},
	{unpaidTab, orders.Filter{Unpaid: true}, func(c orders.Counts) int { return c.Unpaid }},
	{"late", orders.Filter{Late: true}, func(c orders.Counts) int { return c.Late }},
	{"sealing", orders.Filter{States: []orders.State{orders.Approved, orders.Signed}}, func(c orders.Counts) int {
		return inStates(c, orders.Approved, orders.Signed)
	}},
	{closedTab, orders.Filter{States: closedStates()}, nil},
}

func closedStates() []orders.State {
	return slices.DeleteFunc(slices.Clone(orders.States), orders.State.Open)
}

func inStates(c orders.Counts, states ...orders.State) (n int) {
	for _, s := range states {
		n += c.ByState[s]
	}
	return n
}

// tab is a view as it is offered.
type tab struct {
	Name    string
	Text    string
	Count   int
	Counted bool
	Href    string
	Current bool
}

// column is a head of the table, which sorts where it has an address.
type column struct {
	Text string
	Href string
	Sort string // "ascending" or "descending", of aria-sort; "" where it does not sort now
}

type row struct {
	Order    orders.Order
	Href     string
	Value    string // "ORDER SUBJECT": who was on it when the list was shown
	Late     int    // days after the promised one
	Today    bool
	Answered bool
	Mine     bool
}

type inbox struct {
	Tabs       []tab
	Current    string // name of the view shown
	Search     string
	Kept       []pair // the other parts of the filter, for the search form
	Columns    []column
	Rows       []row
	Next       string // the next page; empty on the last
	Sizes      []page.Link
	Action     string
	New        string // a request for somebody at the counter
	Ready      string // the list of what can be approved at once; no link where empty
	Letters    string // the list of letters to be sent; no link where there is none
	Waiting    int    // letters
	Give       string // where what is ticked is given to somebody; no such form where empty
	Colleagues []staff.Member
	Me         string
	Closed     []visit.Closed // in the days to come
}

type pair struct{ Name, Value string }

// inboxQuery is what an address of the inbox asks for. Filters are GET: they can be kept as a bookmark.
type inboxQuery struct {
	view   view
	search string
	sort   orders.Sort
	down   bool
	size   int
	after  string
}

// closedAhead is how many days ahead the desk is reminded of closed days.
const closedAhead = 30

var pageSizes = []int{50, 200}

func readInbox(q url.Values) inboxQuery {
	asked := inboxQuery{search: strings.TrimSpace(q.Get("q")), sort: orders.Sort(q.Get("sort")), down: q.Get("down") == "1", size: pageSizes[0], after: q.Get("after")}
	if n, err := strconv.Atoi(q.Get("rows")); err == nil && slices.Contains(pageSizes, n) {
		asked.size = n
	}
	i := slices.IndexFunc(views, func(v view) bool { return v.name == q.Get("show") })
	if i < 0 {
		i = slices.IndexFunc(views, func(v view) bool { return v.name == allOpen })
	}
	asked.view = views[i]
	if asked.view.name == closedTab {
		asked.sort, asked.down = orders.ByDue, false
	}
	return asked
}

// values are the address of the same question; what is usual is left out.
func (a inboxQuery) values() url.Values {
	q := url.Values{"show": {a.view.name}}
	set := func(name, value string, unusual bool) {
		if unusual {
			q.Set(name, value)
		}
	}
	set("q", a.search, a.search != "")
	set("sort", string(a.sort), a.sort != orders.ByDue)
	set("down", "1", a.down)
	set("rows", strconv.Itoa(a.size), a.size != pageSizes[0])
	set("after", a.after, a.after != "")
	return q
}

// inbox lists orders.
func (p *Pages) inbox(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	asked := readInbox(r.URL.Query())
	mine, err := p.answersFor(r)
	if err != nil {
		return err
	}
	f := asked.view.filter
	f.Search, f.Sort, f.Descending, f.Limit, f.After = asked.search, asked.sort, asked.down, asked.size, asked.after
	if asked.view.name == mineTab {
		f.Assignees = mine
	}
	counts, err := p.orders.Counts(r.Context(), v.Commune.ID, mine...)
	if err != nil {
		return err
	}
	found, err := p.orders.Inbox(r.Context(), v.Commune.ID, f)
	if err != nil {
		return err
	}
	c := inbox{Current: asked.view.name, Search: asked.search, New: v.To("/desk/new"), Action: v.To("/desk"), Me: v.Person.Subject}
	c.Closed = v.Closed(p.now(), p.now().AddDate(0, 0, closedAhead))
	if v.Member.Role.Approves() {
		c.Ready = v.To("/desk/ready")
	}
	if c.Waiting, err = p.orders.WaitingLetters(r.Context(), v.Commune.ID); err != nil {
		return err
	}
	if c.Waiting > 0 {
		c.Letters = v.To("/desk/letters")
	}
	c.address(v, asked, counts, found.Next)
	for _, o := range found.Orders {
		days := daysLate(o, p.now())
		c.Rows = append(c.Rows, row{
			Order: o, Href: v.To("/desk/orders/" + o.ID), Value: o.ID + " " + o.Assignee.Subject, Late: max(days, 0),
			Today: days == 0 && o.State.Open(), Answered: !o.AnsweredAt.IsZero(), Mine: o.Assignee.Subject == v.Person.Subject,
		})
	}
	if c.Current != closedTab && len(c.Rows) > 0 {
		c.Give = v.To("/desk/assign")
		if c.Colleagues, err = p.staff.Members(r.Context(), v.Commune.ID); err != nil {
			return err
		}
	}
	title := v.T("clerk.inbox.title") + " · " + v.T("desk.tab."+c.Current)
	return p.render(w, http.StatusOK, "inbox", v.Frame(w, r, title), c)
}

// address fills in where the links of the page lead.
func (c *inbox) address(v *visit.Visit, asked inboxQuery, counts orders.Counts, next string) {
	to := func(change func(*inboxQuery)) string {
		other := asked
		other.after = ""
		change(&other)
		return v.To("/desk") + "?" + other.values().Encode()
	}
	for _, t := range views {
		if (t.name == registerTab || t.name == unpaidTab) && t.name != c.Current && t.count(counts) == 0 {
			continue
		}
		made := tab{Name: t.name, Text: v.T("desk.tab." + t.name), Current: t.name == c.Current, Href: to(func(q *inboxQuery) { q.view, q.sort, q.down = t, orders.ByDue, false })}
		if t.count != nil {
			made.Counted, made.Count = true, t.count(counts)
		}
		c.Tabs = append(c.Tabs, made)
	}
	sorts := func(key string, by orders.Sort) {
		col := column{Text: v.T(key)}
		if c.Current != closedTab {
			col.Href = to(func(q *inboxQuery) { q.down, q.sort = q.sort == by && !q.down, by })
			if asked.sort == by {
				col.Sort = map[bool]string{false: "ascending", true: "descending"}[asked.down]
			}
		}
		c.Columns = append(c.Columns, col)
	}
	plain := func(key string) { c.Columns = append(c.Columns, column{Text: v.T(key)}) }
	sorts("clerk.inbox.person", orders.ByName)
	plain("clerk.inbox.document")
	plain("clerk.inbox.reference")
	sorts("desk.sent", orders.BySent)
	sorts("clerk.inbox.due", orders.ByDue)
	plain("clerk.inbox.state")
	plain("desk.who")
	for _, n := range pageSizes {
		c.Sizes = append(c.Sizes, page.Link{Text: strconv.Itoa(n), Href: to(func(q *inboxQuery) { q.size = n }), Current: n == asked.size})
	}
	if next != "" {
		c.Next = to(func(q *inboxQuery) { q.after = next })
	}
	kept := asked
	kept.search, kept.after = "", ""
	for name, value := range kept.values() {
		c.Kept = append(c.Kept, pair{name, value[0]})
	}
	slices.SortFunc(c.Kept, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
}

// daysLate counts days from the promised one to today, in Brussels: 0 on the day itself,
// -1 where nobody waits for the commune.
func daysLate(o orders.Order, now time.Time) int {
	if !o.State.Open() || o.State == orders.AwaitingCitizen {
		return -1
	}
	day := func(t time.Time) time.Time {
		y, m, d := t.In(i18n.Brussels()).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(day(now).Sub(day(o.DueOn)) / (24 * time.Hour))
}
