// Package citizen holds the pages by which people order papers and fetch them.
//
// It owns the way from the commune's first page over form and check to the order
// and its paper. It refuses to know how people sign in, where they live and what
// becomes of an order: orders says. It guarantees that a form sent twice is one
// order, that what a person typed never stands in an address, and that a page
// about an order is seen by nobody but whoever made it.
package citizen

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/rp"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Orders is what these pages ask of the orders room; *orders.Service answers.
type Orders interface {
	Products(commune.ID) []*catalogue.Product
	Product(c commune.ID, id string) (*catalogue.Product, error)
	Way(c commune.ID, product string) (commune.Way, error)
	Prefill(ctx context.Context, c commune.ID, p orders.Person, product string) (orders.Prefill, error)
	Submit(ctx context.Context, c commune.ID, p orders.Person, s orders.Submission) (orders.Order, error)
	OfForm(ctx context.Context, c commune.ID, subject, key string) (orders.Order, error)
	Await(ctx context.Context, c commune.ID, id, subject string, most time.Duration) (orders.Order, error)
	Claim(ctx context.Context, c commune.ID, p orders.Person) error
	Mine(ctx context.Context, c commune.ID, subject string) ([]orders.Order, error)
	ForCitizen(ctx context.Context, c commune.ID, id, subject string) (orders.Order, error)
	Cancel(ctx context.Context, c commune.ID, id, subject string) (orders.Order, error)
	Document(ctx context.Context, c commune.ID, id, subject string) (orders.File, error)
	Proof(ctx context.Context, c commune.ID, id, subject string, l i18n.Language) (orders.File, error)
	SealsProofs(c commune.ID) bool
	Reply(ctx context.Context, c commune.ID, id, subject string, seen int, text string, files []orders.Upload) (orders.Order, error)
	Attachment(ctx context.Context, c commune.ID, id, subject string, seq, n int) (orders.AttachedFile, error)
	KeepDraft(ctx context.Context, c commune.ID, p orders.Person, d orders.Draft) (orders.Draft, error)
	Draft(ctx context.Context, c commune.ID, p orders.Person, product string) (orders.Draft, error)
	Drafts(ctx context.Context, c commune.ID, p orders.Person) ([]orders.Draft, error)
	DropDraft(ctx context.Context, c commune.ID, p orders.Person, product string) error
	Tariff(c commune.ID, product string) (fee.Tariff, error)
	Contact(ctx context.Context, c commune.ID, p orders.Person) (form.Answers, error)
	SetContact(ctx context.Context, c commune.ID, p orders.Person, typed form.Answers) error
	IssuedTo(ctx context.Context, c commune.ID, subjects []string, after string) (orders.PapersPage, error)
	Looks(ctx context.Context, c commune.ID, subjects []string, before time.Time) (orders.LooksPage, error)
}

// Pages serves them.
type Pages struct {
	orders    Orders
	sessions  *session.Store
	kv        kv.Store
	now       clock.Clock
	templates *page.Templates
}

//go:embed all:templates
var templates embed.FS

// New parses the pages.
func New(o Orders, s *session.Store, store kv.Store, now clock.Clock) *Pages {
	return &Pages{orders: o, sessions: s, kv: store, now: now, templates: page.Parse(templates)}
}

// Demand is what the commune of a visit asks of the sign-in of whoever orders a product.
func Demand(c *commune.Commune, pr *catalogue.Product) commune.Demand {
	return c.Products[pr.ID].Or(pr.SignIn)
}

// Meets says whether the visitor's sign-in is enough for a product now.
func Meets(v *visit.Visit, pr *catalogue.Product, now time.Time) bool {
	d := Demand(v.Commune, pr)
	if d.Level != "" && !rp.Reaches(v.Person.ACR, rp.Level(d.Level)) {
		return false
	}
	return d.Age() == 0 || now.Sub(v.Person.AuthTime) <= d.Age()
}

// more is where a visitor whose sign-in is not enough for a product signs in for it, and
// comes back to what they filled in.
func more(v *visit.Visit, pr *catalogue.Product) string {
	return v.SignInTo(v.To("/documents/"+pr.ID+"/check")) + "&" + url.Values{"for": {pr.ID}}.Encode()
}

// Routes adds the pages' addresses, which the portal has freed of their language.
func (p *Pages) Routes(mux *http.ServeMux, site *web.Site) {
	open := func(pattern string, h web.Handler) { mux.Handle(pattern, site.Page(h)) }
	signed := func(pattern string, h web.Handler) { mux.Handle(pattern, site.Page(visit.Signed(h))) }
	open("GET /{$}", p.home)
	open("GET /documents/{product}", p.product)
	signed("GET /documents/{product}/form", p.form)
	signed("POST /documents/{product}/form", p.answer)
	signed("GET /documents/{product}/check", p.check)
	signed("POST /documents/{product}/send", p.send)
	signed("GET /documents/{product}/continue", p.resume)
	signed("POST /documents/{product}/discard", p.discard)
	signed("GET /papers", p.papers)
	signed("GET "+visit.AccountPath, p.account)
	signed("POST "+visit.AccountPath+"/sessions", p.endSessions)
	signed("GET "+visit.AccountPath+"/contact", p.contact)
	signed("POST "+visit.AccountPath+"/contact", p.setContact)
	signed("GET "+visit.AccountPath+"/access", p.access)
	signed("GET /orders", p.mine)
	signed("GET /orders/{id}", p.order)
	signed("GET /orders/{id}/sent", p.sent)
	signed("GET /orders/{id}/document", p.document)
	signed("GET /orders/{id}/proof", p.toOrder)
	signed("POST /orders/{id}/proof", p.proof)
	signed("GET /orders/{id}/message", p.toOrder)
	mux.Handle("POST /orders/{id}/message", site.Upload(visit.Signed(p.message), maxReply))
	signed("GET /orders/{id}/files/{seq}/{n}", p.file)
	signed("GET /orders/{id}/cancel", p.askCancel)
	signed("POST /orders/{id}/cancel", p.cancel)
}

func (p *Pages) render(w http.ResponseWriter, name string, f page.Frame, content any) error {
	status := http.StatusOK
	if f.Failed {
		status = http.StatusUnprocessableEntity
	}
	return p.templates.Render(w, status, name, f, content)
}

// person is who is signed in, as orders knows people.
func person(v *visit.Visit) orders.Person {
	s := v.Person
	return orders.Person{Subject: s.Subject, Number: s.Number, GivenNames: s.GivenNames, Surname: s.Surname, BirthDate: s.BirthDate, CardAddress: s.Address}
}

// listed is a product of the first page.
type listed struct {
	*catalogue.Product
	Price  string
	AtOnce bool // as of the product's page
}

type home struct {
	Commune  string
	Products []listed
	Signed   bool
	Card     bool // people sign in with it
	First    string
	Orders   string
	Verify   string
	Follow   string
	To       func(string) string
	Drafts   []begun
}

func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	name := v.Commune.NameIn(v.Language)
	h := home{Commune: name, Signed: v.Person != nil, Card: v.Commune.ByCard(),
		Orders: v.To("/orders"), Verify: v.To("/verify"), Follow: v.To(orders.FollowPath), To: v.To}
	for _, pr := range p.orders.Products(v.Commune.ID) {
		t, err := p.orders.Tariff(v.Commune.ID, pr.ID)
		if err != nil {
			return err
		}
		atOnce, err := p.atOnce(v.Commune.ID, pr.ID, t)
		if err != nil {
			return err
		}
		h.Products = append(h.Products, listed{pr, glance(v, t), atOnce})
	}
	if v.Person != nil {
		h.First = v.Person.GivenNames
		var err error
		if h.Drafts, err = p.begun(r); err != nil {
			return err
		}
	}
	return p.render(w, "home", v.Frame(w, r, v.T("portal.home.title", "Commune", name)), h)
}

type product struct {
	Product *catalogue.Product
	Price   string // in a few words
	Offers  []offer
	// Purposes are what a copy costs for each; nil where it does not depend on it.
	Purposes []offer
	Priced   priced
	Words    string // other names, in one line
	Form     string
	AtOnce   bool // the register gives it, and nobody has to approve it
	Signed   bool
	Card     bool // people sign in with it
	Closed   closed
}

// closed says when the offices are closed between today and the day by which a paper that
// is asked for today is promised.
type closed struct {
	Closed []visit.Closed
	Due    time.Time
}

func (p *Pages) closed(v *visit.Visit, pr *catalogue.Product) closed {
	now := p.now()
	due := orders.Due(v.Commune.Calendar(), now, pr.WorkingDays)
	return closed{v.Closed(now, due), due}
}

func (p *Pages) product(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	found, err := p.orders.Product(v.Commune.ID, r.PathValue("product"))
	if err != nil {
		return err
	}
	t, err := p.orders.Tariff(v.Commune.ID, found.ID)
	if err != nil {
		return err
	}
	atOnce, err := p.atOnce(v.Commune.ID, found.ID, t)
	if err != nil {
		return err
	}
	frame := v.Frame(w, r, found.Label.In(v.Language))
	frame.Back = v.To("/")
	deliveries, purposes := offers(v, t)
	if t.Free() && len(deliveries) == 1 {
		deliveries = nil
	}
	c := product{
		Price: glance(v, t), Offers: deliveries, Purposes: purposes, Priced: pricedOf(v.Commune, found, v.Language, fee.Price{}, t.Regulation),
		Product: found, Words: strings.Join(found.Words[v.Language], ", "),
		Form: v.To("/documents/" + found.ID + "/form"), AtOnce: atOnce, Signed: v.Person != nil, Card: v.Commune.ByCard(),
	}
	if !c.AtOnce { // a register does not close
		c.Closed = p.closed(v, found)
	}
	return p.render(w, "product", frame, c)
}

// atOnce says whether a register gives a product's paper as soon as it is asked for: where
// a fee is received first, some way of getting it must be free.
func (p *Pages) atOnce(c commune.ID, product string, t fee.Tariff) (bool, error) {
	way, err := p.orders.Way(c, product)
	free := func(d fee.Delivery) bool { return t.From(d) == 0 }
	return way == commune.FromSource && (!t.First || slices.ContainsFunc(t.Deliveries, free)), err
}

type mine struct {
	Drafts []begun
	Orders []orders.Order
	To     func(string) string
	Papers string
}

func (p *Pages) mine(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := p.orders.Claim(r.Context(), v.Commune.ID, person(v)); err != nil {
		return err
	}
	var list []orders.Order
	for _, subject := range v.Person.Subjects() {
		some, err := p.orders.Mine(r.Context(), v.Commune.ID, subject)
		if err != nil {
			return err
		}
		list = append(list, some...)
	}
	slices.SortStableFunc(list, func(a, b orders.Order) int { return strings.Compare(b.ID, a.ID) })
	drafts, err := p.begun(r)
	if err != nil {
		return err
	}
	return p.render(w, "mine", v.Frame(w, r, v.T("portal.mine.title")), mine{drafts, list, v.To, v.To("/papers")})
}

type order struct {
	Order    orders.Order
	Steps    []page.Step
	Due      time.Time
	Late     bool
	Ready    bool
	Cancel   string // where an order is withdrawn; no link where empty
	Download string
	Verify   string // the verification page as people type it
	Self     string // this page
	Follow   string // where it is followed without signing in, as people type it
	Refusal  *orders.Refusal
	Instead  string // where the order in a withdrawn paper's place is; empty where there is none
	Contact  commune.Contact
	ToMine   string
	Product  string
	Thread   thread
	Relayed  bool // sealed by a register, not by the commune
	AtOnce   bool // the register is being asked
	Unread   bool // a screen reader reads the paper badly
	Told     []told
	Fee      *priced // nil where nothing is or was to be paid
	Proof    string  // where a proof of it is made
	Sealed   bool    // the proof is
}

// load is the order of the page, made by the visitor under any name of theirs.
func (p *Pages) load(r *http.Request) (o orders.Order, err error) {
	v := visit.Of(r)
	if err := p.orders.Claim(r.Context(), v.Commune.ID, person(v)); err != nil { // a mail leads here
		return o, err
	}
	for _, subject := range v.Person.Subjects() {
		if o, err = p.orders.ForCitizen(r.Context(), v.Commune.ID, r.PathValue("id"), subject); fault.KindOf(err) != fault.NotFound {
			return o, err
		}
	}
	return o, err
}

func (p *Pages) view(v *visit.Visit, o orders.Order) order {
	c := order{
		Order: o, Steps: delivered(v, o, timeline(v, o, p.now())), Due: o.DueOn, Late: o.Late(p.now()), Ready: o.State == orders.Issued,
		Download: v.To("/orders/" + o.ID + "/document"), Self: v.To("/orders/" + o.ID), ToMine: v.To("/orders"),
		Verify: v.Commune.Origin() + orders.VerifyPath, Follow: v.Commune.Origin() + orders.FollowPath, Refusal: o.Refusal, Contact: v.Commune.Contact, Product: o.Product.Label.In(v.Language),
	}
	if wd := o.Withdrawal; wd != nil && !wd.Replaceable() {
		c.Instead = v.To("/orders/" + wd.ReplacedBy)
	}
	c.Thread, c.Told = threadOf(v, o), toldOf(o)
	if f := o.Fee; f != nil && f.Price.Total > 0 {
		paid := pricedOf(v.Commune, o.Product, v.Language, f.Price, f.Regulation)
		c.Fee = &paid
	}
	c.Proof, c.Sealed = c.Self+"/proof", p.orders.SealsProofs(v.Commune.ID)
	c.AtOnce = o.Way == commune.FromSource && o.State == orders.Submitted && o.Attention == orders.NoAttention && !o.Fee.Due()
	if o.Paper != nil {
		c.Relayed = o.Paper.Source != ""
		c.Unread = c.Ready && o.Paper.Access != nil && !o.Paper.Access.Full()
	}
	if orders.May(o.State, orders.Cancelled, orders.ByCitizen) {
		c.Cancel = v.To("/orders/" + o.ID + "/cancel")
	}
	return c
}

func (p *Pages) order(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	frame := v.Frame(w, r, v.T("portal.order.title", "Product", o.Product.Label.In(v.Language), "Reference", o.Reference))
	frame.Back = v.To("/orders")
	return p.render(w, "order", frame, p.view(v, o))
}

func (p *Pages) sent(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	return p.render(w, "sent", v.Frame(w, r, v.T("portal.sent.title")), p.view(v, o))
}

// document sends the sealed paper. It is saved and not shown: a viewer in the
// browser would change nothing in it but hide its seal.
func (p *Pages) document(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	f, err := p.orders.Document(r.Context(), v.Commune.ID, o.ID, o.Subject)
	if err != nil {
		return err
	}
	return visit.Download(w, f.Name, f.Type, f.Data)
}

// proofs is how many proofs one person has made in an hour: each is set in type, and a new
// one calls the key.
var proofs = visit.Limit{Most: 20, Every: time.Hour, Fault: "proof.too_many"}

// proof sends what a person takes away of an order.
func (p *Pages) proof(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	if err := proofs.Try(r.Context(), p.kv, p.now(), "proof/"+string(v.Commune.ID)+"/"+v.Person.Subject); err != nil {
		return err
	}
	f, err := p.orders.Proof(r.Context(), v.Commune.ID, o.ID, o.Subject, v.Language)
	if err != nil {
		return err
	}
	return visit.Download(w, f.Name, f.Type, f.Data)
}

func (p *Pages) askCancel(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	if !orders.May(o.State, orders.Cancelled, orders.ByCitizen) {
		return web.See(w, r, v.To("/orders/"+o.ID))
	}
	frame := v.Frame(w, r, v.T("portal.cancel.title"))
	frame.Back = v.To("/orders/" + o.ID)
	return p.render(w, "cancel", frame, p.view(v, o))
}

func (p *Pages) cancel(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	if o, err = p.orders.Cancel(r.Context(), v.Commune.ID, o.ID, o.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/orders/"+o.ID))
}

// elsewhere answers somebody whose main residence is in another commune: named, linked,
// and nothing issued; or whom the register does not answer about. Every other error goes
// on to the error page.
func (p *Pages) elsewhere(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if ok && orders.RegisterIsSilent(err) {
		return p.silent(w, r, err)
	}
	if !ok || e.Key != "orders.lives_elsewhere" {
		return err
	}
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("portal.elsewhere.title"))
	frame.Back = v.To("/")
	return p.templates.Render(w, http.StatusForbidden, "elsewhere", frame, elsewhere{
		Here: v.Commune.NameIn(v.Language), There: text(e.Args["Commune"]), Link: website(text(e.Args["Link"])),
	})
}

// silent offers somebody with a card to go on with the address that is written on it.
func (p *Pages) silent(w http.ResponseWriter, r *http.Request, err error) error {
	v := visit.Of(r)
	if !v.Commune.ByCard() || v.Commune.French() || v.Person == nil || v.Person.Number.IsZero() {
		return err
	}
	web.Note(r, "error", err.Error())
	product := r.PathValue("product")
	form := v.To("/documents/" + product + "/form")
	frame := v.Frame(w, r, v.T("portal.silent.title"))
	frame.Back = v.To("/documents/" + product)
	return p.templates.Render(w, http.StatusServiceUnavailable, "silent", frame, silent{
		Again: form, Card: v.To("/sign-in") + "?" + url.Values{"address": {product}, "return": {form}}.Encode(), Contact: v.Commune.Contact,
	})
}

type silent struct {
	Again, Card string
	Contact     commune.Contact
}

type elsewhere struct{ Here, There, Link string }

func text(v any) string { s, _ := v.(string); return s }

// website is an address from the register, empty unless it is a plain web address.
func website(s string) string {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return s
	}
	return ""
}

// timeline tells where an order stands: four steps, or those before its refusal.
func timeline(v *visit.Visit, o orders.Order, now time.Time) []page.Step {
	if relays(o) {
		return relaying(v, o, now)
	}
	at := map[orders.EventKind]time.Time{}
	for _, e := range o.Events {
		at[e.Kind] = e.At
	}
	steps := []page.Step{
		{Title: v.T("portal.step.sent"), State: page.Past, At: o.SubmittedAt},
		{Title: v.T("portal.step.checked"), State: page.Now, Text: v.T("portal.step.checked.now")},
		{Title: v.T("portal.step.sealed"), State: page.Next, Text: ""},
		{Title: v.T("portal.step.ready"), State: page.Next},
	}
	pass := func(i int, when time.Time) {
		steps[i].State, steps[i].At, steps[i].Text = page.Past, when, ""
		if i+1 < len(steps) {
			steps[i+1].State = page.Now
		}
	}
	switch o.State {
	case orders.AwaitingCitizen:
		steps[1].Text = v.T("thread.step.asked")
	case orders.InReview:
		steps[1].Text = v.T("portal.step.prepared")
	case orders.Approved:
		pass(1, at[orders.EventApproved])
		steps[2].Text = v.T("portal.step.sealed.now")
	case orders.Signed:
		pass(1, at[orders.EventApproved])
		pass(2, sealedAt(o, at))
		steps[3].Text = v.T("portal.step.ready.stamp")
	case orders.Issued, orders.Withdrawn:
		pass(1, at[orders.EventApproved])
		pass(2, sealedAt(o, at))
		pass(3, at[orders.EventIssued])
		if o.State == orders.Withdrawn {
			steps = append(steps, page.Step{Title: v.T("portal.step.withdrawn"), State: page.Failed, At: o.ChangedAt})
			break
		}
		steps[3].Text = v.T("portal.step.ready.done")
	case orders.Refused, orders.Cancelled:
		steps = steps[:2]
		steps[1] = page.Step{Title: v.T("portal.step." + string(o.State)), State: page.Failed, At: o.ChangedAt}
	}
	for i := range steps {
		steps[i].Words = v.T("portal.step.is." + string(steps[i].State))
	}
	return steps
}

func sealedAt(o orders.Order, at map[orders.EventKind]time.Time) time.Time {
	if t := at[orders.EventSigned]; !t.IsZero() {
		return t
	}
	if o.Paper != nil && !o.Paper.SignedAt.IsZero() {
		return o.Paper.SignedAt
	}
	return at[orders.EventIssued]
}
