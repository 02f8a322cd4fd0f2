package clerk

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Papers that this program does not make: a register gives them sealed, or a clerk attaches
// what the commune's software has made.

// origins is what an order's page says of such a paper.
type origins struct {
	Attach  string // where a file is attached; "" where none may be
	Again   bool   // one is attached already
	File    *orders.PaperFile
	Access  *access
	Ask     string // where the register is asked; "" where it cannot be
	Waits   bool   // the register is being asked
	Failed  string // why it could not, in words
	Relayed bool   // issued as the register has sealed it
	Reason  bool   // a reason must be given
}

// access is how well a file can be read aloud, in words.
type access struct {
	Full    bool
	Missing []string
	Other   string // the language that it says it is in, where the person asked for another
	Asked   string
}

// fromOutside is nil for papers that this program makes.
func fromOutside(v *visit.Visit, o orders.Order, own bool) *origins {
	if o.Way == commune.Made {
		return nil
	}
	to := v.To("/desk/orders/" + o.ID)
	e := &origins{Reason: o.Attention.NeedsReason()}
	if !own && orders.May(o.State, orders.InReview, orders.ByClerk) {
		e.Attach = to + "/attach"
	}
	if p := o.Paper; p != nil {
		e.File, e.Again, e.Relayed = p.File, p.File != nil, p.Source != "" && o.State == orders.Issued
		if p.Access != nil {
			e.Access = accessOf(v, *p.Access, o.DocumentLanguage())
		}
	}
	if o.State != orders.Submitted {
		return e
	}
	for _, event := range o.Events {
		switch event.Kind {
		case orders.EventSourceFailed:
			e.Failed = v.T(event.Detail["Key"])
		case orders.EventSourceAsked:
			e.Failed = ""
		}
	}
	e.Waits = o.Way == commune.FromSource && (o.Attention == orders.NoAttention || asked(o))
	if !own && v.Member.Role.Approves() && !e.Waits && (o.Way == commune.FromSource || e.Failed != "") {
		e.Ask = to + "/source"
	}
	return e
}

// asked says whether a clerk has had the register asked.
func asked(o orders.Order) bool {
	for _, e := range o.Events {
		if e.Kind == orders.EventSourceAsked {
			return true
		}
	}
	return false
}

func accessOf(v *visit.Visit, a outside.Access, want i18n.Language) *access {
	words := &access{Full: a.Full()}
	for _, m := range []struct {
		lacks bool
		key   string
	}{{!a.Tagged, "way.access.tags"}, {a.Title == "", "way.access.title"}, {a.Language == "", "way.access.language"}} {
		if m.lacks {
			words.Missing = append(words.Missing, v.T(m.key))
		}
	}
	if l, ok := i18n.Parse(a.Language); ok && l != want {
		words.Other, words.Asked = l.Name(), want.Name()
	}
	return words
}

// attachRoutes adds the addresses of these pages.
func (p *Pages) attachRoutes(mux *http.ServeMux, site *web.Site) {
	const path = "/desk/orders/{id}/attach"
	mux.Handle("GET "+path, site.Page(visit.Staff(p.now, p.askAttach)))
	mux.Handle("POST "+path, site.Upload(visit.Staff(p.now, p.attach), outside.MaxFile+256<<10))
	mux.Handle("POST /desk/orders/{id}/source", site.Page(visit.Fresh(p.now, approver(p.askSource))))
}

type attachPage struct {
	Order       orders.Order
	Corners     []outside.Corner
	Corner      outside.Corner
	Most        int // megabytes
	Attention   orders.Attention
	Reason      string
	FileError   string
	CornerError string
	ReasonError string
	Errors      []page.Fault
	Action      string
	To          string
}

func (p *Pages) askAttach(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	if o.Way == commune.Made || !orders.May(o.State, orders.InReview, orders.ByClerk) {
		return web.See(w, r, v.To("/desk/orders/"+o.ID))
	}
	return p.showAttach(w, r, attachPage{Order: o, Corner: outside.Corners[0]})
}

func (p *Pages) showAttach(w http.ResponseWriter, r *http.Request, c attachPage) error {
	v := visit.Of(r)
	c.Corners, c.Most, c.To = outside.Corners, outside.MaxFile>>20, v.To("/desk/orders/"+c.Order.ID)
	c.Action = c.To + "/attach"
	if c.Attention == orders.NoAttention {
		c.Attention = c.Order.Attention
	}
	frame := v.Frame(w, r, v.T("way.desk.title"))
	frame.Back = c.To
	status := http.StatusOK
	for _, f := range []page.Fault{{Field: "file", Text: c.FileError}, {Field: "corner", Text: c.CornerError}, {Field: "reason", Text: c.ReasonError}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
		}
	}
	if len(c.Errors) > 0 {
		frame.Failed, status = true, http.StatusUnprocessableEntity
	}
	return p.render(w, status, "attach", frame, c)
}

// attach takes the file. What is the matter with it is said at its field.
func (p *Pages) attach(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	leave, err := p.enter(r)
	if err != nil {
		return err
	}
	defer leave()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendFor)) // a test's writer has none
	given, err := sentFile(r)
	c := attachPage{Corner: given.Corner, Reason: given.Reason}
	switch {
	case errors.Is(err, errTooLarge):
		c.FileError = v.T("outside.too_large", "Most", outside.MaxFile>>20)
	case err != nil:
		web.Note(r, "error", err.Error())
		c.FileError = v.T("way.desk.file_broken")
	case len(given.File) == 0:
		c.FileError = v.T("way.desk.file_missing")
	default:
		_, err = p.orders.Attach(r.Context(), v.Commune.ID, r.PathValue("id"), me(v), given)
		if err == nil {
			return web.See(w, r, v.To("/desk/orders/"+r.PathValue("id"))+"#preview")
		}
		if !c.blame(v, err) {
			return p.moved(w, r, err)
		}
		web.Note(r, "error", err.Error())
	}
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if lost != nil {
		return lost
	}
	c.Order = o
	return p.showAttach(w, r, c)
}

// blame puts a fault at the field that it is about; false where it is about none.
func (c *attachPage) blame(v *visit.Visit, err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind == fault.NotFound || e.Kind == fault.Internal || e.Key == "orders.moved" || e.Key == "orders.own" {
		return false
	}
	words := i18n.Message(v.Language, e.Key, e.Args)
	switch e.Key {
	case "orders.needs_reason":
		c.ReasonError = words
		if a, ok := e.Args["Attention"].(string); ok {
			c.Attention = orders.Attention(a)
		}
	case "orders.form.invalid":
		c.CornerError = v.T("way.desk.corner_missing")
		if c.Reason != "" {
			c.CornerError, c.ReasonError = "", v.T("clerk.order.reason_bad")
		}
	default:
		c.FileError = words
	}
	return true
}

const (
	sendFor  = 60 * time.Second // for a whole file: 10 MB at 1.5 Mbit/s
	inMemory = 4                // files at once
	waitFor  = 15 * time.Second
	maxPart  = 16 << 10 // bytes of a field beside the file
)

var errTooLarge = errors.New("clerk: the file is too large")

// enter waits a moment for one of few places.
func (p *Pages) enter(r *http.Request) (leave func(), err error) {
	select {
	case p.held <- struct{}{}:
		return func() { <-p.held }, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(waitFor):
		return nil, fault.New(fault.TooMany, "check.busy", nil)
	}
}

// sentFile reads the form into memory, part by part; nothing is written to disk.
func sentFile(r *http.Request) (a orders.AttachedPaper, err error) {
	form, err := r.MultipartReader()
	if err != nil {
		return a, err
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, tooLarge(err)
		}
		most := int64(maxPart)
		if part.FormName() == "file" {
			most = outside.MaxFile
		}
		value, err := io.ReadAll(io.LimitReader(part, most+1))
		if err != nil {
			return a, tooLarge(err)
		}
		if int64(len(value)) > most {
			return a, errTooLarge
		}
		switch part.FormName() {
		case "file":
			a.File = value
		case "corner":
			a.Corner = outside.Corner(value)
		case "reason":
			a.Reason = string(value)
		}
	}
}

func tooLarge(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok && e != nil {
		return errTooLarge
	}
	return err
}

// askSource has the register asked for the sealed paper: that issues it, so it is a decision.
func (p *Pages) askSource(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, reason := r.PathValue("id"), r.PostForm.Get("reason")
	if _, err := p.orders.AskSource(r.Context(), v.Commune.ID, id, me(v), reason); err != nil {
		return p.stopped(w, r, err, reason)
	}
	return web.See(w, r, v.To("/desk/orders/"+id))
}
