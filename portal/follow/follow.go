// Package follow holds the pages on which somebody sees where an order stands without
// signing in.
//
// It owns the question for code and birth date, the pause after wrong answers, and the page
// of somebody who has lost the code. It refuses to know how an order is found: orders says.
// It guarantees that
//
//   - a page holds the kind of paper, where it stands, the promised day and whether the
//     commune waits for an answer: no document, name, number or address, nothing of what was
//     asked or decided;
//   - a wrong code and a wrong birth date are one answer, and five of them a pause, of that
//     code for everybody and of that address for every code;
//   - whoever has lost the code hears one and the same answer; the code goes by mail, to the
//     address that was given with the order.
//
// The code is the order's reference: 40 random bits, which no order shares. With the limits
// here somebody with a million addresses has ten million tries an hour; to meet one order
// of somebody whose birth date they know takes years of these. So no second code is made,
// which would have to be kept, and could be lost, beside the first.
package follow

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Orders is what these pages ask of the orders room; *orders.Service answers.
type Orders interface {
	Follow(ctx context.Context, c commune.ID, reference string, born register.Day) (orders.Followed, error)
	SendCodes(ctx context.Context, c commune.ID, email string, born register.Day) error
}

// Pages serves them.
type Pages struct {
	orders    Orders
	kv        kv.Store
	now       clock.Clock
	templates *page.Templates
}

//go:embed all:templates
var templates embed.FS

// New parses the pages.
func New(o Orders, store kv.Store, now clock.Clock) *Pages {
	return &Pages{orders: o, kv: store, now: now, templates: page.Parse(templates)}
}

const lostPath = orders.FollowPath + "/code"

// Routes adds the pages' addresses, which the portal has freed of their language.
func (p *Pages) Routes(mux *http.ServeMux, site *web.Site) {
	mux.Handle("GET "+orders.FollowPath, site.Page(p.ask))
	mux.Handle("POST "+orders.FollowPath, site.Page(p.answer))
	mux.Handle("GET "+lostPath, site.Page(p.lost))
	mux.Handle("POST "+lostPath, site.Page(p.send))
}

// birth is the question for somebody's day of birth, as it was typed.
type birth struct {
	Day, Month, Year string
	Error            string
}

// question is what both forms ask.
type question struct {
	Code, CodeError   string
	Email, EmailError string
	Birth             birth
	Wrong             string // what was typed fits no order
	Errors            []page.Fault
	Action, Other     string
	Contact           commune.Contact
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, "ask", question{}, http.StatusOK)
}

func (p *Pages) lost(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, "lost", question{}, http.StatusOK)
}

// show writes a form; status counts where no field is wrong.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, name string, c question, status int) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("follow."+name+".title"))
	c.Action, c.Other, c.Contact = v.To(orders.FollowPath), v.To(lostPath), v.Commune.Contact
	frame.Back = v.To("/")
	if name == "lost" {
		c.Action, c.Other = c.Other, c.Action
		frame.Back = c.Other
	}
	for _, f := range []page.Fault{{Field: "code", Text: c.Wrong}, {Field: "code", Text: c.CodeError}, {Field: "email", Text: c.EmailError}, {Field: "day", Text: c.Birth.Error}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
		}
	}
	if len(c.Errors) > 0 {
		frame.Failed = true
		if status == http.StatusOK {
			status = http.StatusUnprocessableEntity
		}
	}
	return p.templates.Render(w, status, name, frame, c)
}

// born reads a day as people type it; month and day may be missing where nobody knows them.
func born(v *visit.Visit, r *http.Request) (register.Day, birth) {
	typed := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	b := birth{Day: typed("day"), Month: typed("month"), Year: typed("year")}
	part := func(s string) int {
		if s == "" {
			return 0
		}
		if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 9999 {
			return n
		}
		return -1
	}
	day, month, year := part(b.Day), part(b.Month), part(b.Year)
	if day >= 0 && month >= 0 && year > 0 {
		if d, ok := register.ParseDay(fmt.Sprintf("%04d-%02d-%02d", year, month, day)); ok {
			return d, b
		}
	}
	b.Error = v.T("follow.birth_wrong")
	return "", b
}

// answer says where an order stands.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := question{Code: strings.TrimSpace(r.PostForm.Get("code"))}
	var day register.Day
	day, c.Birth = born(v, r)
	code, ok := orders.ParseReference(c.Code)
	if !ok {
		c.CodeError = v.T("follow.code_wrong")
	}
	if c.CodeError+c.Birth.Error != "" {
		return p.show(w, r, "ask", c, http.StatusOK)
	}
	if err := p.admit(r, code); err != nil {
		return err
	}
	found, err := p.orders.Follow(r.Context(), v.Commune.ID, code, day)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		if err := p.wrong(r, code); err != nil {
			return err
		}
		c.Wrong = v.T("follow.unknown")
		return p.show(w, r, "ask", c, http.StatusNotFound)
	}
	if err != nil {
		return err
	}
	return p.state(w, r, found)
}

// standing is the page of an order.
type standing struct {
	Product string
	State   orders.State
	Due     time.Time
	Late    bool
	Promise bool   // the promised day counts
	Sign    string // where to sign in; none where nothing is to be seen there
	Do      bool   // the commune waits for the person
	Again   string
	Contact commune.Contact
}

func (p *Pages) state(w http.ResponseWriter, r *http.Request, o orders.Followed) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("follow.state.title"))
	frame.Back, frame.NoIndex = v.To(orders.FollowPath), true
	return p.templates.Render(w, http.StatusOK, "state", frame, standing{
		Product: o.Product.Label.In(v.Language), State: o.State, Due: o.DueOn, Late: o.Late,
		Do: o.State == orders.AwaitingCitizen, Promise: o.State.Open() && o.State != orders.AwaitingCitizen,
		Sign: v.SignInTo(v.To("/orders")), Again: v.To(orders.FollowPath), Contact: v.Commune.Contact,
	})
}

// send has lost codes sent. Whatever was typed, the answer is one.
func (p *Pages) send(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := question{Email: strings.TrimSpace(r.PostForm.Get("email"))}
	var day register.Day
	day, c.Birth = born(v, r)
	typed, faults := form.Parse([]form.Name{form.Email}, map[string][]string{"contact": {form.ByEmail}, "email": {c.Email}}, nil, v.Commune.Country)
	if faults[form.Email] != "" {
		c.EmailError = v.T(faults[form.Email])
	}
	if c.EmailError+c.Birth.Error != "" {
		return p.show(w, r, "lost", c, http.StatusOK)
	}
	if err := p.countLost(r); err != nil {
		return err
	}
	if err := p.orders.SendCodes(r.Context(), v.Commune.ID, typed[form.Email], day); err != nil {
		return err
	}
	frame := v.Frame(w, r, v.T("follow.sent.title"))
	frame.Back, frame.NoIndex = v.To(orders.FollowPath), true
	return p.templates.Render(w, http.StatusOK, "sent", frame, question{Action: v.To(orders.FollowPath), Contact: v.Commune.Contact})
}

// Limits against guessing.
const (
	mostWrong = 5                // answers that fit nothing, of one address, or of one code
	pause     = 30 * time.Minute // in which they count, and how long nothing is answered after them
	mostAsked = 60               // tries of any kind in that time, by one address or of one code: many at once are no way round
	mostLost  = 3                // times that codes are asked for, by one address
	allLost   = 300              // and by all

	tooMany = "follow.too_many" // said to whoever has to wait
)

// admit lets a try be made, unless its address or its code pauses. It is counted before it
// is answered.
func (p *Pages) admit(r *http.Request, code string) error {
	for _, who := range []string{p.address(r), "code/" + code} {
		end, err := p.kv.Get(r.Context(), p.key(r, "pause/"+who))
		if err == nil {
			until, err := strconv.ParseInt(string(end), 10, 64)
			if err != nil {
				return err
			}
			return visit.TooMany(tooMany, time.Unix(until, 0), p.now())
		}
		if !errors.Is(err, kv.ErrMissing) {
			return err
		}
	}
	for _, who := range []string{p.address(r), "code/" + code} {
		if err := p.count(r, "asked/"+who, mostAsked); err != nil {
			return err
		}
	}
	return nil
}

// wrong counts an answer that fits nothing, of its address and of its code, whether there is
// such a code or not. With the fifth the pause begins, and is said.
func (p *Pages) wrong(r *http.Request, code string) error {
	var paused error
	for _, who := range []string{p.address(r), "code/" + code} {
		n, err := p.kv.Incr(r.Context(), p.key(r, "wrong/"+who), pause)
		if err != nil {
			return err
		}
		if n < mostWrong {
			continue
		}
		end := p.now().Add(pause).Truncate(time.Minute).Add(time.Minute) // a minute that can be said
		if err := p.kv.Put(r.Context(), p.key(r, "pause/"+who), []byte(strconv.FormatInt(end.Unix(), 10)), end.Sub(p.now())); err != nil {
			return err
		}
		paused = visit.TooMany(tooMany, end, p.now())
	}
	return paused
}

// countLost counts somebody who has lost a code.
func (p *Pages) countLost(r *http.Request) error {
	if err := p.count(r, "lost/"+p.address(r), mostLost); err != nil {
		return err
	}
	return p.count(r, "lost", allLost)
}

// count stops what is done more than most times between two half hours of the clock.
func (p *Pages) count(r *http.Request, what string, most int64) error {
	l := visit.Limit{Most: most, Every: pause, Fault: tooMany}
	return l.Try(r.Context(), p.kv, p.now(), p.key(r, what))
}

func (p *Pages) key(r *http.Request, rest string) string {
	return "follow/" + string(visit.Of(r).Commune.ID) + "/" + rest
}

func (p *Pages) address(r *http.Request) string { return "from/" + web.Neighbourhood(web.Remote(r)) }
