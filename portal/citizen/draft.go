package citizen

import (
	"errors"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

// draft is a form between its pages. What a person typed is kept by orders, for two weeks
// and wherever they sign in; the rest with the session. Nothing of it ever stands in an
// address or a hidden field.
type draft struct {
	Key       string // makes one order, however often it is sent
	Version   int
	Read      []orders.Answer // from card and register
	Languages []i18n.Language
	Looked    bool   // a clerk will look first
	Silent    bool   // the register does not answer: the address is the card's
	Order     string // the order it made

	Typed    form.Answers `json:"-"`
	Complete bool         `json:"-"` // the answers passed
	Until    time.Time    `json:"-"` // zero where nothing is kept
}

// DraftName is under which name a product's draft is kept with the session.
func DraftName(product string) string { return "draft/" + product }

// open is the draft of the page's product; ok is false where the session has none.
func (p *Pages) open(r *http.Request) (d draft, ok bool, err error) {
	v := visit.Of(r)
	err = p.sessions.Kept(r.Context(), v.Commune.ID, v.Secret, DraftName(r.PathValue("product")), &d)
	if err != nil && !errors.Is(err, session.ErrNone) {
		return draft{}, false, err
	}
	ok = err == nil && d.Key != ""
	kept, err := p.orders.Draft(r.Context(), v.Commune.ID, person(v), r.PathValue("product"))
	if err != nil {
		return draft{}, false, err
	}
	if kept.Kept() {
		if kept.Key != d.Key { // begun in another browser
			d.Order = ""
		}
		d.Key, d.Version, d.Typed, d.Complete, d.Until = kept.Key, kept.Version, kept.Answers, kept.Complete, kept.Until
	}
	if d.Typed == nil {
		d.Typed = form.Answers{}
	}
	return d, ok, nil
}

// begin is the draft of the page's product with what card and register say today.
func (p *Pages) begin(r *http.Request) (draft, *catalogue.Product, error) {
	v := visit.Of(r)
	known, err := p.orders.Prefill(r.Context(), v.Commune.ID, person(v), r.PathValue("product"))
	if err != nil {
		return draft{}, nil, err
	}
	d, _, err := p.open(r)
	if err != nil {
		return draft{}, nil, err
	}
	if d.Order == "" && d.Key != "" {
		// The session does not know of an order that was made in another browser, or just
		// before the service died.
		made, err := p.orders.OfForm(r.Context(), v.Commune.ID, v.Person.Subject, d.Key)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return draft{}, nil, err
		}
		d.Order = made.ID
	}
	if d.Key == "" || d.Order != "" {
		d = draft{Key: orders.NewKey(), Typed: form.Answers{}}
	}
	if len(d.Typed) == 0 {
		for name, typed := range known.Contact {
			d.Typed[name] = typed
		}
	}
	if d.Version != known.Product.Version { // it may ask for something else
		d.Version, d.Complete = known.Product.Version, false
	}
	d.Read, d.Languages, d.Looked = known.Answers, known.Languages, known.Attention.NeedsReason()
	d.Silent = known.Attention == orders.RegisterSilent
	return d, known.Product, p.keep(r, d)
}

// keep keeps with the session what is no answer of the person's.
func (p *Pages) keep(r *http.Request, d draft) error {
	v := visit.Of(r)
	return p.sessions.Keep(r.Context(), v.Commune.ID, v.Secret, DraftName(r.PathValue("product")), d)
}

// keepTyped keeps all of it.
func (p *Pages) keepTyped(r *http.Request, d draft) (draft, error) {
	v := visit.Of(r)
	kept, err := p.orders.KeepDraft(r.Context(), v.Commune.ID, person(v), orders.Draft{
		Product: r.PathValue("product"), Version: d.Version, Key: d.Key, Answers: d.Typed, Complete: d.Complete, Language: v.Language,
	})
	if fault.KeyOf(err) == "orders.form_used" { // sent from another browser meanwhile
		return d, errors.Join(err, p.forget(r))
	}
	if err != nil {
		return d, err
	}
	d.Until = kept.Until
	return d, p.keep(r, d)
}

// forget drops the draft of the page's product, here and for every other browser.
func (p *Pages) forget(r *http.Request) error {
	v := visit.Of(r)
	if err := p.orders.DropDraft(r.Context(), v.Commune.ID, person(v), r.PathValue("product")); err != nil {
		return err
	}
	return p.keep(r, draft{})
}

// begun is a draft as the lists show it.
type begun struct {
	orders.Draft
	Name *catalogue.Product
}

func (p *Pages) begun(r *http.Request) ([]begun, error) {
	v := visit.Of(r)
	list, err := p.orders.Drafts(r.Context(), v.Commune.ID, person(v))
	if err != nil {
		return nil, err
	}
	var all []begun
	for _, d := range list {
		pr, err := p.orders.Product(v.Commune.ID, d.Product)
		if err != nil {
			return nil, err
		}
		all = append(all, begun{d, pr})
	}
	return all, nil
}

// resume goes on with a draft where its person left it: at the first question that has no
// good answer, or at the check page.
func (p *Pages) resume(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	at := v.To("/documents/" + r.PathValue("product"))
	d, pr, err := p.begin(r)
	if err != nil {
		return p.elsewhere(w, r, err)
	}
	if d.Until.IsZero() {
		return web.See(w, r, at+"/form")
	}
	if d.Complete {
		return web.See(w, r, at+"/check")
	}
	t, err := p.tariff(v, pr.ID, d)
	if err != nil {
		return err
	}
	return web.See(w, r, at+"/form#"+string(unanswered(pr, t, d, v.Commune.Country)))
}

// unanswered is the first question of a form that lacks a good answer.
func unanswered(pr *catalogue.Product, t fee.Tariff, d draft, country string) form.Name {
	_, faults := orders.ParseForm(pr, t, typedValues(d), d.Languages, country)
	for _, name := range append(form.Asked(pr.Fields), t.Asked()...) {
		if faults[name] != "" {
			return name
		}
	}
	return pr.Fields[0]
}

func (p *Pages) discard(w http.ResponseWriter, r *http.Request) error {
	if err := p.forget(r); err != nil {
		return err
	}
	return web.See(w, r, visit.Of(r).To("/orders"))
}
