package clerk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Who is on an order: clerks take it, give it back, or give it to somebody else.

// who is the panel of an order's page that says so.
type who struct {
	Assignee   orders.Colleague
	Since      time.Time
	Mine       bool
	Offered    bool   // the order is open and not the clerk's own
	Away       string // until when the assignee is absent, and who stands in; "" where they are here
	Looking    looker // a colleague who has the page open just now; zero where none
	Colleagues []staff.Member
	Me         string
	To         string
}

func (p *Pages) who(r *http.Request, o orders.Order, own bool) (who, error) {
	v := visit.Of(r)
	c := who{
		Assignee: o.Assignee, Since: o.AssignedAt, Mine: o.Assignee.Subject == v.Person.Subject, Me: v.Person.Subject,
		Offered: o.State.Open() && !own, To: v.To("/desk/orders/" + o.ID + "/assign"),
	}
	if !c.Offered {
		return c, nil
	}
	var err error
	if c.Colleagues, err = p.staff.Members(r.Context(), v.Commune.ID); err != nil {
		return who{}, err
	}
	if c.Away, err = p.away(r, o.Assignee.Subject, c.Colleagues); err != nil {
		return who{}, err
	}
	c.Looking, err = p.lookAt(r.Context(), v, o.ID)
	return c, err
}

// looker is who has an order's page before them.
type looker struct {
	Subject, Name string
	At            time.Time
}

// looking is how long somebody counts as being there who has not loaded the page again.
const looking = 3 * time.Minute

// lookAt says who else was at this order's page a moment ago, and that the clerk is now.
func (p *Pages) lookAt(ctx context.Context, v *visit.Visit, order string) (looker, error) {
	key := "clerk/looking/" + string(v.Commune.ID) + "/" + order
	var last looker
	text, err := p.kv.Get(ctx, key)
	switch {
	case errors.Is(err, kv.ErrMissing):
	case err != nil:
		return looker{}, err
	default:
		if err := json.Unmarshal(text, &last); err != nil {
			return looker{}, err
		}
	}
	me, err := json.Marshal(looker{v.Person.Subject, v.Person.Name(), p.now()})
	if err != nil {
		return looker{}, err
	}
	if err := p.kv.Put(ctx, key, me, looking); err != nil {
		return looker{}, err
	}
	if last.Subject == v.Person.Subject {
		return looker{}, nil
	}
	return last, nil
}

// colleague is the member that a form names; nobody where it names none.
func (p *Pages) colleague(r *http.Request, subject string) (orders.Colleague, error) {
	if subject == "" {
		return orders.Colleague{}, nil
	}
	v := visit.Of(r)
	m, err := p.staff.Member(r.Context(), v.Commune.ID, subject)
	if err != nil {
		return orders.Colleague{}, err
	}
	if m == nil {
		return orders.Colleague{}, fault.New(fault.NotFound, "clerk.staff.unknown", nil)
	}
	return orders.Colleague{Subject: m.Subject, Name: m.Name}, nil
}

// assign is the form of an order's page.
func (p *Pages) assign(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	to, err := p.colleague(r, r.PostForm.Get("to"))
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if _, err := p.orders.Assign(r.Context(), v.Commune.ID, id, me(v), r.PostForm.Get("seen"), to); err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id))
}

// given is one line of the report on what was ticked in the inbox.
type given struct {
	Order  orders.Order // zero where this commune has none of that ID
	Href   string
	Done   bool
	Reason string
}

type givenPage struct {
	To        string // name; "" where the orders were given back
	Done, Not int
	Rows      []given
	Inbox     string
}

// assignSome gives what was ticked in the inbox to somebody. Each order is a step of its
// own: what cannot be given is named in the report, with the reason.
func (p *Pages) assignSome(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	to, err := p.colleague(r, r.PostForm.Get("to"))
	if err != nil {
		return err
	}
	if len(r.PostForm["order"]) > batchMax {
		return fault.New(fault.Invalid, "clerk.ready.too_many", nil)
	}
	c := givenPage{To: to.Name, Inbox: v.To("/desk")}
	for _, value := range r.PostForm["order"] {
		id, seen, _ := strings.Cut(value, " ")
		line, err := p.give(r, id, seen, to)
		if err != nil {
			return err
		}
		if line.Done {
			c.Done++
		} else {
			c.Not++
		}
		c.Rows = append(c.Rows, line)
	}
	frame := v.Frame(w, r, v.T("desk.given.title"))
	frame.Back = c.Inbox
	return p.render(w, http.StatusOK, "given", frame, c)
}

func (p *Pages) give(r *http.Request, id, seen string, to orders.Colleague) (given, error) {
	v := visit.Of(r)
	_, err := p.orders.Assign(r.Context(), v.Commune.ID, id, me(v), seen, to)
	e, ok := errors.AsType[*fault.Error](err)
	if err != nil && (!ok || e.Kind == fault.Internal) {
		return given{}, err
	}
	if err != nil {
		web.Note(r, "key", e.Key)
	}
	if fault.KindOf(err) == fault.NotFound {
		return given{Reason: v.T("clerk.batch.unknown_text")}, nil
	}
	o, lost := p.orders.Get(r.Context(), v.Commune.ID, id)
	if lost != nil {
		return given{}, lost
	}
	line := given{Order: o, Href: v.To("/desk/orders/" + id), Done: err == nil}
	if err != nil {
		line.Reason = i18n.Message(v.Language, e.Key, e.Args)
	}
	return line, nil
}

// answersFor are the subjects whose orders are the clerk's to do: their own, and those of
// whom they stand in for today.
func (p *Pages) answersFor(r *http.Request) ([]string, error) {
	v := visit.Of(r)
	absent, err := p.staff.StandsInFor(r.Context(), v.Commune.ID, v.Person.Subject)
	return append(absent, v.Person.Subject), err
}
