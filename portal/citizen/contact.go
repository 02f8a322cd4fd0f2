package citizen

import (
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/portal/visit"
)

// How a person is told about their orders, and what they were told.

// ways is the question that stands for three answers.
type ways struct {
	Choices                []choice
	Error                  string
	Email, EmailError      string
	Phone, PhoneError      string
	Hint, Describe         string
	EmailHinted, PhoneHint string // ids, for aria-describedby
}

// waysOf is the question with what was typed so far.
func waysOf(v *visit.Visit, typed form.Answers, faults form.Errors) *ways {
	said := func(name form.Name) string {
		if faults[name] == "" {
			return ""
		}
		return v.T(faults[name])
	}
	w := &ways{
		Error: said(form.Contact), Email: typed[form.Email], EmailError: said(form.Email), Phone: typed[form.Phone], PhoneError: said(form.Phone),
		Describe: "contact-hint", EmailHinted: "email-hint", PhoneHint: "phone-hint",
	}
	for i, way := range form.Ways {
		c := choice{ID: "contact", Value: way, Text: v.T("orders.contact." + way), Checked: typed[form.Contact] == way}
		if i > 0 {
			c.ID += "-" + way
		}
		w.Choices = append(w.Choices, c)
	}
	for id, text := range map[*string]string{&w.Describe: w.Error, &w.EmailHinted: w.EmailError, &w.PhoneHint: w.PhoneError} {
		if text != "" {
			*id += " " + (*id)[:len(*id)-len("-hint")] + "-error"
		}
	}
	return w
}

// faults are the lines of the error summary.
func (w *ways) faults() []page.Fault {
	var list []page.Fault
	for _, f := range []page.Fault{{Field: "contact", Text: w.Error}, {Field: "email", Text: w.EmailError}, {Field: "phone", Text: w.PhoneError}} {
		if f.Text != "" {
			list = append(list, f)
		}
	}
	return list
}

type contactPage struct {
	Ways   *ways
	Known  bool
	Errors []page.Fault
	Action string
}

func (p *Pages) contact(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	kept, err := p.orders.Contact(r.Context(), v.Commune.ID, person(v))
	if err != nil {
		return err
	}
	return p.showContact(w, r, kept, nil, len(kept) > 0)
}

func (p *Pages) showContact(w http.ResponseWriter, r *http.Request, typed form.Answers, faults form.Errors, known bool) error {
	v := visit.Of(r)
	c := contactPage{Ways: waysOf(v, typed, faults), Known: known, Action: v.To(visit.AccountPath + "/contact")}
	c.Errors = c.Ways.faults()
	frame := v.Frame(w, r, v.T("account.contact.title"))
	frame.Back, frame.Failed = v.To(visit.AccountPath), len(c.Errors) > 0
	return p.render(w, "contact", frame, c)
}

// setContact remembers, or forgets, how the person wants to be told next time.
func (p *Pages) setContact(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	var typed form.Answers
	if !r.PostForm.Has("forget") {
		var faults form.Errors
		typed, faults = form.Parse([]form.Name{form.Email}, r.PostForm, nil, v.Commune.Country)
		if len(faults) > 0 {
			return p.showContact(w, r, typed, faults, false)
		}
	}
	if err := p.orders.SetContact(r.Context(), v.Commune.ID, person(v), typed); err != nil {
		return err
	}
	return web.See(w, r, v.To(visit.AccountPath)+"?kept=1")
}

// told is one message that was sent to the person, or could not be.
type told struct {
	At   time.Time
	Key  string // of what it was about
	Went bool
}

func toldOf(o orders.Order) []told {
	var list []told
	for _, e := range o.Events {
		if e.Kind != orders.EventNotified && e.Kind != orders.EventUnnotified {
			continue
		}
		t := told{At: e.At, Key: "account.told.other", Went: e.Kind == orders.EventNotified}
		for _, k := range notice.Kinds {
			if e.Detail["About"] == string(k) {
				t.Key = "account.told." + string(k)
			}
		}
		list = append(list, t)
	}
	return list
}
