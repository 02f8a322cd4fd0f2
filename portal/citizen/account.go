package citizen

import (
	"net/http"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

// What people see of themselves beside their orders: their papers, where they are signed
// in, and who looked at what they asked for.

type papers struct {
	Papers []paper
	Next   string // where the list goes on; empty where it ends
	First  string // where it begins; empty on its first page
	Check  string // the verification page
	To     func(string) string
}

type paper struct {
	orders.Order
	Standing string // "valid", "withdrawn" or "replaced"
	Old      bool   // older than many organisations take
	Code     string // for whoever checks it
}

// oldAfter is the age, in months, beyond which organisations often want a newer paper.
const oldAfter = 3

func (p *Pages) papers(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	after := r.URL.Query().Get("after")
	list, err := p.orders.IssuedTo(r.Context(), v.Commune.ID, v.Person.Subjects(), after)
	if err != nil {
		return err
	}
	c := papers{Check: v.To(orders.VerifyPath), To: v.To}
	if list.Next != "" {
		c.Next = v.To("/papers") + "?after=" + list.Next
	}
	if after != "" {
		c.First = v.To("/papers")
	}
	for _, o := range list.Orders {
		one := paper{Order: o, Standing: string(orders.Valid), Code: o.Paper.Code}
		switch wd := o.Withdrawal; {
		case o.State != orders.Withdrawn:
			one.Old = o.Paper.IssuedAt.AddDate(0, oldAfter, 0).Before(p.now())
		case wd != nil && wd.Replacement != "":
			one.Standing = string(orders.PaperReplaced)
		default:
			one.Standing = string(orders.PaperWithdrawn)
		}
		c.Papers = append(c.Papers, one)
	}
	return p.render(w, "papers", v.Frame(w, r, v.T("account.papers.title")), c)
}

type account struct {
	Sessions []session.Open
	Others   bool // more than the one that asks
	End      string
	Access   string
	Contact  []orders.Answer // how the person is told; empty where that is not known
	Change   string
	Kept     bool // it was just changed
	Ended    bool
	Idle     int // minutes
}

func (p *Pages) account(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	open, err := p.sessions.List(r.Context(), v.Commune.ID, v.Person.Subjects(), v.Secret)
	if err != nil {
		return err
	}
	known, err := p.orders.Contact(r.Context(), v.Commune.ID, person(v))
	if err != nil {
		return err
	}
	var contact []orders.Answer
	for _, name := range form.Asked([]form.Name{form.Email}) {
		if known[name] != "" {
			contact = append(contact, orders.Answer{Name: string(name), Value: known[name]})
		}
	}
	return p.render(w, "account", v.Frame(w, r, v.T("account.title")), account{
		Sessions: open, Others: len(open) > 1, End: v.To(visit.AccountPath + "/sessions"), Access: v.To(visit.AccountPath + "/access"),
		Contact: contact, Change: v.To(visit.AccountPath + "/contact"), Kept: r.URL.Query().Has("kept"),
		Ended: r.URL.Query().Has("ended"), Idle: int(session.Idle / time.Minute),
	})
}

// endSessions ends the session of an ID, or all others.
func (p *Pages) endSessions(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id := r.PostForm.Get("id")
	if id == "" && !r.PostForm.Has("others") {
		return web.See(w, r, v.To(visit.AccountPath))
	}
	if err := p.sessions.EndOpen(r.Context(), v.Commune.ID, v.Person.Subjects(), v.Secret, id); err != nil {
		return err
	}
	return web.See(w, r, v.To(visit.AccountPath)+"?ended=1")
}

type access struct {
	Looks       []orders.Look
	Next, First string // other pieces of the list; empty where there are none
	To          func(string) string
}

// access shows who of the commune looked at the person's orders.
func (p *Pages) access(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	at := v.To(visit.AccountPath + "/access")
	c := access{To: v.To}
	var before time.Time
	if micros, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64); err == nil {
		before, c.First = time.UnixMicro(micros), at
	}
	list, err := p.orders.Looks(r.Context(), v.Commune.ID, v.Person.Subjects(), before)
	if err != nil {
		return err
	}
	if c.Looks = list.Looks; !list.Next.IsZero() {
		c.Next = at + "?before=" + strconv.FormatInt(list.Next.UnixMicro(), 10)
	}
	frame := v.Frame(w, r, v.T("account.access.title"))
	frame.Back = v.To(visit.AccountPath)
	return p.render(w, "access", frame, c)
}
