package clerk

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Who may sign in whose place: administrators record what was decided, and end it.

type onRecord struct {
	delegation.Delegation
	Papers []string // their names; empty for all
	Stands bool     // neither ended nor over
}

type delegations struct {
	List     []onRecord
	Members  []staff.Member
	Offices  []delegation.Office
	Products []*catalogue.Product
	Typed    delegation.Delegation
	Errors   []page.Fault
	Fault    map[string]string // words by field
	Action   string
	EndTo    string
	Staff    string
}

func (p *Pages) showDelegations(w http.ResponseWriter, r *http.Request, status int, c delegations) error {
	v := visit.Of(r)
	list, err := p.delegations.List(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	if c.Members, err = p.staff.Members(r.Context(), v.Commune.ID); err != nil {
		return err
	}
	c.Products, c.Offices = p.orders.Products(v.Commune.ID), delegation.Offices
	today := p.now().In(i18n.Brussels()).Format(time.DateOnly)
	for _, d := range list {
		one := onRecord{Delegation: d, Stands: d.EndedAt.IsZero() && (d.To == "" || today <= d.To)}
		for _, pr := range c.Products {
			if slices.Contains(d.Products, pr.ID) {
				one.Papers = append(one.Papers, pr.Label.In(v.Language))
			}
		}
		c.List = append(c.List, one)
	}
	c.Action, c.EndTo, c.Staff = v.To("/desk/delegations"), v.To("/desk/delegations/end"), v.To("/desk/staff")
	frame := v.Frame(w, r, v.T("delegation.title"))
	frame.Back, frame.Failed = c.Staff, len(c.Errors) > 0
	return p.render(w, status, "delegations", frame, c)
}

func (p *Pages) listDelegations(w http.ResponseWriter, r *http.Request) error {
	today := p.now().In(i18n.Brussels()).Format(time.DateOnly)
	return p.showDelegations(w, r, http.StatusOK, delegations{Typed: delegation.Delegation{From: today}})
}

// fieldOf is the field of the page that a fault of a record is about.
var fieldOf = map[error]string{
	delegation.ErrName: "member", delegation.ErrOffice: "office-mayor", delegation.ErrDays: "from", delegation.ErrDecision: "decision",
}

func (p *Pages) recordDelegation(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	f := r.PostForm
	d := delegation.Delegation{
		Subject: f.Get("member"), Office: delegation.Office(f.Get("office")), From: f.Get("from"), To: f.Get("to"),
		Decision: strings.TrimSpace(f.Get("decision")),
	}
	member, err := p.staff.Member(r.Context(), v.Commune.ID, d.Subject)
	if err != nil {
		return err
	}
	if member != nil {
		d.Name = member.Name
	}
	for _, pr := range p.orders.Products(v.Commune.ID) {
		if slices.Contains(f["product"], pr.ID) {
			d.Products = append(d.Products, pr.ID)
		}
	}
	faults := d.Check()
	if len(d.Products) == 0 && f.Get("product") != "all" {
		faults = append(faults, fault.New(fault.Invalid, "delegation.products_missing", nil))
	}
	if slices.Contains(f["product"], "all") {
		d.Products = nil
	}
	if len(faults) > 0 {
		c := delegations{Typed: d, Fault: map[string]string{}}
		for _, e := range faults {
			field := fieldOf[e]
			if field == "" {
				field = "product-all"
			}
			c.Fault[field] = v.T(e.Key)
			c.Errors = append(c.Errors, page.Fault{Field: field, Text: c.Fault[field]})
		}
		return p.showDelegations(w, r, http.StatusUnprocessableEntity, c)
	}
	if _, err := p.delegations.Record(r.Context(), v.Commune.ID, d, v.Person.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/delegations"))
}

func (p *Pages) endDelegation(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	if err := p.delegations.End(r.Context(), v.Commune.ID, r.PostForm.Get("id"), v.Person.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/delegations"))
}
