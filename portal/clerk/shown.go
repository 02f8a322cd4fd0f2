package clerk

import (
	"errors"
	"net/http"
	"slices"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/portal/visit"
)

// The first step of an entry for a paper that rests on no register: the clerk takes down what
// the identity document says. The steps behind it are the same.

// shownPath is that step's address.
const shownPath = "/desk/new/person"

type shownPage struct {
	Typed     orders.Shown
	Documents []orders.DocumentKind
	Products  []*catalogue.Product
	Product   string
	Errors    []page.Fault
	Fault     map[string]string
	Action    string
	Numbered  string // address of the step for those whom a register knows; "" where no paper rests on one
}

// shownFields are where the faults of orders belong on the page.
var shownFields = map[string]string{
	"shown.name_wrong": "surname", "shown.birth_wrong": "birth_date", "shown.document_wrong": "document", "shown.ending_wrong": "ending",
	"shown.registered": "product", "orders.no_product": "product", "orders.own": "surname",
}

// papers are those of a commune that rest on a register, or those that rest on none.
func (p *Pages) papers(v *visit.Visit, registered bool) []*catalogue.Product {
	return slices.DeleteFunc(p.orders.Products(v.Commune.ID), func(pr *catalogue.Product) bool { return pr.Registered() != registered })
}

func (p *Pages) askShown(w http.ResponseWriter, r *http.Request) error {
	return p.showShown(w, r, http.StatusOK, shownPage{})
}

func (p *Pages) showShown(w http.ResponseWriter, r *http.Request, status int, c shownPage) error {
	v := visit.Of(r)
	c.Documents, c.Products, c.Action = orders.DocumentKinds, p.papers(v, false), v.To(shownPath)
	if len(c.Products) == 0 {
		return web.See(w, r, v.To("/desk/new"))
	}
	if len(p.papers(v, true)) > 0 {
		c.Numbered = v.To("/desk/new")
	}
	frame := v.Frame(w, r, v.T("counter.title"))
	frame.Back, frame.Failed = v.To("/desk"), len(c.Errors) > 0
	return p.render(w, status, "shown", frame, c)
}

// takeShown goes on to the second step with what was taken down.
func (p *Pages) takeShown(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := shownPage{Product: r.PostForm.Get("product"), Typed: orders.Shown{
		Surname: r.PostForm.Get("surname"), GivenNames: r.PostForm.Get("given_names"), BirthDate: r.PostForm.Get("birth_date"),
		Document: orders.DocumentKind(r.PostForm.Get("document")), Ending: r.PostForm.Get("ending"),
	}}
	known, err := p.orders.PrefillFor(r.Context(), v.Commune.ID, me(v), orders.Applicant{Shown: &c.Typed}, c.Product)
	if e, ok := errors.AsType[*fault.Error](err); ok && shownFields[e.Key] != "" {
		web.Note(r, "key", e.Key)
		field, text := shownFields[e.Key], i18n.Message(v.Language, e.Key, e.Args)
		if e.Key == "orders.no_product" {
			text = v.T("counter.product_missing")
		}
		c.Errors, c.Fault = []page.Fault{{Field: field, Text: text}}, map[string]string{field: text}
		return p.showShown(w, r, web.Status(e.Kind), c)
	}
	if err != nil {
		return err
	}
	d := entryDraft{Shown: &c.Typed, Channel: orders.Counter, Identified: orders.DocumentShown}
	return p.goOn(w, r, d, known)
}
