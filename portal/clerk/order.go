package clerk

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// event is a line of an order's journal, in words.
type event struct {
	orders.Event
	Text string
	Who  string
}

type order struct {
	Order     orders.Order
	Late      int
	Own       bool // about the clerk's own order nothing can be decided
	Prepare   bool // may be prepared, or prepared again
	Approve   bool // a frozen content waits
	Plain     bool // and may be approved without the clerk's own signature
	Sign      bool // or with it
	SignTo    string
	Refuse    bool
	Withdraw  bool             // an issued paper may be taken back
	Replace   bool             // and another made in its place
	Orders    string           // what orders' addresses begin with
	Attention orders.Attention // asks for a reason before preparing
	Problem   string           // why the last step failed; empty where none
	ReasonBad bool             // the problem is the reason's
	Reason    string           // as typed
	Again     bool             // the card was just used again; nothing has been decided yet
	Errors    []page.Fault
	Hash      string
	Preview   string // address of the frozen content
	To        string // this page
	Events    []event
	Waiting   bool // the service is at work; the page is worth loading again
	Others    bool // it waits for an approver, and the clerk is none
	Who       who
	Thread    thread
	Outside   *origins // nil where this program makes the paper
	Fee       *payment // nil where the paper is downloaded and free
	naming
	Print bool  // the sealed paper, for the person
	Came  *came // who asked, where a clerk has made it
	Fresh bool  // it was issued just now, for somebody who waits at the counter
}

// order shows everything about an order on one page.
func (p *Pages) order(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	c, err := p.view(r, o)
	if err != nil {
		return err
	}
	c.Again = r.URL.Query().Has("again")
	return p.show(w, r, http.StatusOK, c)
}

func (p *Pages) view(r *http.Request, o orders.Order) (order, error) {
	v := visit.Of(r)
	own, err := p.orders.Own(r.Context(), v.Commune.ID, o.ID, me(v))
	if err != nil {
		return order{}, err
	}
	may := func(to orders.State) bool { return !own && orders.May(o.State, to, orders.ByClerk) }
	decides := v.Member.Role.Approves()
	c := order{
		Order: o, Late: max(daysLate(o, p.now()), 0), Own: own && o.State.Open(), To: v.To("/desk/orders/" + o.ID),
		Prepare: may(orders.InReview), Refuse: decides && may(orders.Refused), Withdraw: decides && may(orders.Withdrawn), Replace: !own && o.Withdrawal != nil,
		Print: !own && o.State == orders.Issued, Orders: v.To("/desk/orders/"), Attention: o.Attention,
		Waiting: o.State == orders.Approved || o.State == orders.Signed,
	}
	c.Came = cameShown(v, o, own)
	c.Fresh = c.Print && o.Entry != nil && o.Entry.Channel == orders.Counter && p.now().Sub(o.Paper.IssuedAt) < waiting
	if c.Prepare {
		if err := p.signatories(r, o, &c); err != nil {
			return order{}, err
		}
	}
	if o.Paper != nil && !o.Paper.Content.IsZero() {
		c.Hash = o.Paper.Content.String()
		c.Preview = c.To + "/preview"
		c.Approve = decides && may(orders.Approved)
		c.Others = !decides && may(orders.Approved)
		c.Plain, c.Sign, c.SignTo = !v.Commune.ClerksMustSign(), v.Commune.ClerksMaySign(), v.To("/desk/ready/begin")
	}
	if c.Outside = fromOutside(v, o, own); c.Outside != nil {
		c.Prepare = c.Prepare && c.Outside.Again // what is attached can be numbered anew
	}
	for _, e := range o.Events {
		c.Events = append(c.Events, inWords(v, e))
	}
	c.Thread, c.Fee = p.thread(v, o, own), paymentOf(v, o, own)
	c.Who, err = p.who(r, o, own)
	return c, err
}

// waiting is how long whoever stands at the counter is taken to be there still.
const waiting = 5 * time.Minute

func inWords(v *visit.Visit, e orders.Event) event {
	values := make(map[string]any, len(e.Detail))
	for name, value := range e.Detail {
		values[name] = value
	}
	made := event{Event: e, Text: i18n.Message(v.Language, e.Kind.Key(), values), Who: e.Actor.Name}
	if e.Actor.Kind == orders.ByService {
		made.Who = v.T("clerk.order.service")
	}
	return made
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, c order) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("clerk.order.title", "Name", c.Order.Name(), "Product", c.Order.Product.Label.In(v.Language)))
	frame.Back = v.To("/desk")
	if c.Problem != "" {
		frame.Failed = true
		target := "decide"
		if c.ReasonBad {
			target = "reason"
		}
		c.Errors = []page.Fault{{Field: target, Text: c.Problem}}
	}
	if c.Thread.Problem != "" {
		frame.Failed = true
		c.Errors = append(c.Errors, page.Fault{Field: "note", Text: c.Thread.Problem})
	}
	if wrong := c.Fee.faults(); len(wrong) > 0 {
		frame.Failed = true
		c.Errors = append(c.Errors, wrong...)
	}
	if c.Outside != nil {
		c.Outside.Reason = c.Attention.NeedsReason()
	}
	web.Allow(w, "frame-src", "'self'")
	return p.render(w, status, "order", frame, c)
}

// naming is in whose name a paper is prepared.
type naming struct {
	Signatories []orders.Signatory // who may sign it today, the clerk first where they may
	Chosen      string             // among them, until another is
	Other       string             // whose name the paper bears, where it is not the clerk's
	MaySign     bool               // the clerk is one of Signatories
	Me          string
}

// signatories says in whose name the paper may be prepared, and in whose it is.
func (p *Pages) signatories(r *http.Request, o orders.Order, c *order) (err error) {
	v := visit.Of(r)
	if c.Signatories, err = p.orders.Signatories(r.Context(), v.Commune.ID, o.ID, me(v)); err != nil {
		return err
	}
	members, err := p.staff.Members(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	c.Signatories = slices.DeleteFunc(c.Signatories, func(x orders.Signatory) bool { // who has left, or only prepares
		return !slices.ContainsFunc(members, func(m staff.Member) bool { return m.Subject == x.Subject && m.Role.Approves() })
	})
	if len(c.Signatories) == 0 {
		return nil
	}
	c.Me, c.Chosen = v.Person.Subject, c.Signatories[0].Subject
	c.MaySign = c.Chosen == c.Me
	if o.Paper != nil && o.Paper.Signatory.Subject != "" {
		if by := o.Paper.Signatory; by.Subject != c.Me {
			c.Other = by.Name
		}
		if !c.MaySign {
			c.Chosen = o.Paper.Signatory.Subject
		}
	}
	return nil
}

// prepare freezes the content that is to be approved. What stops it is said on the
// order's page, where the clerk can do something about it.
func (p *Pages) prepare(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, reason := r.PathValue("id"), r.PostForm.Get("reason")
	var err error
	var despite *string
	if r.PostForm.Has("reason") {
		despite = &reason
	}
	_, err = p.orders.PrepareFor(r.Context(), v.Commune.ID, id, me(v), r.PostForm.Get("signatory"), despite)
	if err == nil {
		return web.See(w, r, v.To("/desk/orders/"+id)+"#preview")
	}
	return p.stopped(w, r, err, reason)
}

func (p *Pages) stopped(w http.ResponseWriter, r *http.Request, err error, reason string) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind == fault.Internal || e.Kind == fault.NotFound || e.Key == "orders.moved" {
		return p.moved(w, r, err)
	}
	v := visit.Of(r)
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if lost != nil {
		return err
	}
	c, lost := p.view(r, o)
	if lost != nil {
		return err
	}
	web.Note(r, "error", err.Error())
	c.Problem, c.Reason = i18n.Message(v.Language, e.Key, e.Args), reason
	if a, ok := e.Args["Attention"].(string); ok {
		c.Attention = orders.Attention(a)
	}
	switch e.Key {
	case "orders.needs_reason":
		c.ReasonBad = c.Attention != orders.NoAttention
	case "orders.form.invalid":
		c.ReasonBad, c.Problem = c.Attention != orders.NoAttention, v.T("clerk.order.reason_bad")
	}
	return p.show(w, r, web.Status(e.Kind), c)
}

// preview shows the frozen bytes within the order's page.
func (p *Pages) preview(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	f, err := p.orders.Preview(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	return visit.Inline(w, f.Name, f.Type, f.Data)
}

// approve allows exactly the bytes whose hash the page showed.
func (p *Pages) approve(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id := r.PathValue("id")
	content, err := blob.ParseDigest(r.PostForm.Get("content"))
	if err != nil {
		return fault.New(fault.Invalid, "clerk.order.hash_missing", err)
	}
	if _, err := p.orders.Approve(r.Context(), v.Commune.ID, id, me(v), content); err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id))
}
