package citizen

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/price"
	"github.com/belfry-eid/belfry/portal/visit"
)

// field is one question of the form page.
type field struct {
	Name     string
	Label    string
	Hint     string
	Value    string
	Error    string
	Choices  []choice // for a question with a few answers
	Describe string   // ids of hint and error, for aria-describedby
	Ways     *ways    // for the question how to tell the person; nil for others
}

type choice struct {
	ID, Value, Text string
	Language        i18n.Language // of Text
	Checked         bool
}

type formPage struct {
	Product *catalogue.Product
	Read    []orders.Answer
	Looked  bool
	Silent  bool
	Fields  []field
	Wishes  *price.Wishes // delivery and what follows from it; nil where nothing is to be chosen
	Errors  []page.Fault
	Action  string
	Whose   string    // whoseForm
	Until   time.Time // how long what was typed is kept; zero where nothing is
}

// form shows what is known and asks the rest.
func (p *Pages) form(w http.ResponseWriter, r *http.Request) error {
	d, pr, err := p.begin(r)
	if err != nil {
		return p.elsewhere(w, r, err)
	}
	return p.showForm(w, r, pr, d, nil)
}

func (p *Pages) showForm(w http.ResponseWriter, r *http.Request, pr *catalogue.Product, d draft, faults form.Errors) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("portal.form.title", "Product", pr.Label.In(v.Language)))
	frame.Back, frame.Failed = v.To("/documents/"+pr.ID), len(faults) > 0
	c := formPage{Product: pr, Read: d.Read, Looked: d.Looked, Silent: d.Silent, Whose: whoseForm(v), Action: v.To("/documents/" + pr.ID + "/form"), Until: d.Until}
	for _, name := range pr.Fields {
		if name == form.DocumentLanguage && len(d.Languages) == 1 {
			continue // nothing to choose
		}
		if name == form.Email {
			asked := waysOf(v, d.Typed, faults)
			c.Errors = append(c.Errors, asked.faults()...)
			c.Fields = append(c.Fields, field{Ways: asked})
			continue
		}
		f := question(v, name, d, faults[name])
		if f.Error != "" {
			c.Errors = append(c.Errors, page.Fault{Field: f.target(), Text: f.Error})
		}
		c.Fields = append(c.Fields, f)
	}
	t, err := p.tariff(v, pr.ID, d)
	if err != nil {
		return err
	}
	c.Wishes = price.Of(v, t, d.Read, d.Typed, faults)
	c.Errors = append(c.Errors, c.Wishes.Faults()...)
	return p.render(w, "form", frame, c)
}

func question(v *visit.Visit, name form.Name, d draft, fault string) field {
	f := field{Name: string(name), Label: v.T(name.LabelKey()), Hint: v.T(name.HintKey()), Value: d.Typed[name]}
	f.Describe = f.Name + "-hint"
	if fault != "" {
		f.Error = v.T(fault)
		f.Describe += " " + f.Name + "-error"
	}
	if name == form.DocumentLanguage {
		for i, l := range d.Languages {
			c := choice{ID: f.Name, Value: string(l), Text: l.Name(), Language: l, Checked: f.Value == string(l)}
			if i > 0 {
				c.ID += "-" + string(l)
			}
			f.Choices = append(f.Choices, c)
		}
	}
	return f
}

// target is the id that a link of the error summary leads to: the first choice or the input.
func (f field) target() string { return f.Name }

// whoseForm tells whose page a form stands on. What one person typed is not kept for the next
// who signs in at the same browser, when a page that was left open keeps it by itself.
func whoseForm(v *visit.Visit) string {
	sum := sha256.Sum256([]byte("form " + string(v.Commune.ID) + " " + v.Person.Subject))
	return hex.EncodeToString(sum[:8])
}

// answer reads the form.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	pr, err := p.orders.Product(v.Commune.ID, r.PathValue("product"))
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	d, ok, err := p.open(r)
	if err != nil {
		return err
	}
	if !ok || d.Version != pr.Version {
		return web.See(w, r, v.To("/documents/"+pr.ID+"/form"))
	}
	if d.Order != "" { // the back button, after sending
		return web.See(w, r, v.To("/orders/"+d.Order))
	}
	if whose := r.PostForm["whose"]; len(whose) > 0 && whose[0] != whoseForm(v) {
		return web.See(w, r, v.To("/documents/"+pr.ID+"/form"))
	}
	t, err := p.tariff(v, pr.ID, d)
	if err != nil {
		return err
	}
	typed, faults := orders.ParseForm(pr, t, r.PostForm, d.Languages, v.Commune.Country)
	d.Typed, d.Complete = typed, len(faults) == 0
	if d, err = p.keepTyped(r, d); err != nil {
		return err
	}
	if r.PostForm.Has("auto") { // the page's script, while its person goes on typing
		return visit.Plain(w, v.T("account.drafts.unsent")+" "+i18n.Date(v.Language, d.Until))
	}
	if r.PostForm.Has("later") {
		return web.See(w, r, v.To("/orders")+"#drafts")
	}
	if !d.Complete {
		return p.showForm(w, r, pr, d, faults)
	}
	return web.See(w, r, v.To("/documents/"+pr.ID+"/check"))
}

// line is one answer of the check page.
type line struct {
	Label, Value string
	Origin       orders.Origin
	Lang         i18n.Language // of Value, where it is a language's own name
	Change       string        // where it is changed; not at all where empty
}

type checkPage struct {
	Product *catalogue.Product
	Lines   []line
	Price   priced
	Changed bool          // since it was shown before
	Hint    string        // about the purpose
	To      orders.Answer // the address of the letter; zero where none is sent
	Asked   bool          // how it is delivered is among the lines
	Key     string
	Action  string
	Looked  bool
	Silent  bool
	Until   time.Time
	Closed  closed
}

// check shows everything once more before it is sent.
func (p *Pages) check(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	pr, err := p.orders.Product(v.Commune.ID, r.PathValue("product"))
	if err != nil {
		return err
	}
	d, ok, err := p.open(r)
	if err != nil {
		return err
	}
	at := v.To("/documents/" + pr.ID + "/form")
	switch {
	case ok && d.Order != "":
		return web.See(w, r, v.To("/orders/"+d.Order))
	case !ok && d.Complete: // the session is a new one
		return web.See(w, r, v.To("/documents/"+pr.ID+"/continue"))
	case !ok || !d.Complete || d.Version != pr.Version:
		return web.See(w, r, at)
	case !Meets(v, pr, p.now()):
		return web.See(w, r, more(v, pr))
	}
	return p.showCheck(w, r, pr, d, false)
}

// showCheck shows the check page; changed says that the price is another than before.
func (p *Pages) showCheck(w http.ResponseWriter, r *http.Request, pr *catalogue.Product, d draft, changed bool) error {
	v := visit.Of(r)
	at := v.To("/documents/" + pr.ID + "/form")
	t, err := p.tariff(v, pr.ID, d)
	if err != nil {
		return err
	}
	if !answered(v, pr, t, d) { // the commune asks for something else by now
		return web.See(w, r, at)
	}
	choice := t.ChoiceOf(d.Typed)
	c := checkPage{
		Product: pr, Lines: lines(v, pr, t, d, at), Key: d.Key, Action: v.To("/documents/" + pr.ID + "/send"), Looked: d.Looked, Silent: d.Silent, Until: d.Until,
		Price: pricedOf(v.Commune, pr, v.Language, t.PriceOf(choice), t.Regulation), Changed: changed, Asked: t.AsksDelivery(),
	}
	if key := choice.Purpose.HintKey(); key != "" {
		c.Hint = v.T(key)
	}
	if choice.Delivery == fee.Post {
		c.To = price.AddressOf(d.Read)
	}
	way, err := p.orders.Way(v.Commune.ID, pr.ID)
	if err != nil {
		return err
	}
	if way != commune.FromSource || d.Looked { // somebody has to look at it
		c.Closed = p.closed(v, pr)
	}
	frame := v.Frame(w, r, v.T("portal.check.title"))
	frame.Back = at
	return p.render(w, "check", frame, c)
}

func lines(v *visit.Visit, pr *catalogue.Product, t fee.Tariff, d draft, at string) []line {
	var list []line
	for _, a := range d.Read {
		list = append(list, line{Label: v.T(a.LabelKey()), Value: a.In(v.Language), Origin: a.Origin})
	}
	choice := t.ChoiceOf(d.Typed)
	for _, name := range append(form.Asked(pr.Fields), t.Asked()...) {
		if name == form.Copies && !t.AsksCopies(choice.Delivery) || name == form.Purpose && !t.AsksPurpose(choice.Delivery) {
			continue // not asked with this delivery
		}
		if (name == form.Email || name == form.Phone) && d.Typed[name] == "" {
			continue // another way was chosen
		}
		a := orders.Answer{Name: string(name), Value: d.Typed[name], Origin: orders.FromPerson}
		l := line{Label: v.T(a.LabelKey()), Value: a.In(v.Language), Origin: a.Origin, Change: at + "#" + a.Name}
		switch {
		case a.Value == "":
			l.Value = v.T("portal.check.none")
		case name == form.DocumentLanguage:
			l.Lang = i18n.Language(a.Value)
			if len(d.Languages) == 1 {
				l.Change, l.Origin = "", ""
			}
		}
		list = append(list, l)
	}
	return list
}

// send makes the order. Two clicks carry one key and make one order.
func (p *Pages) send(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	product := r.PathValue("product")
	if err := r.ParseForm(); err != nil {
		return err
	}
	d, ok, err := p.open(r)
	if err != nil {
		return err
	}
	if ok && d.Order != "" && d.Key == r.PostForm.Get("key") {
		return web.See(w, r, v.To("/orders/"+d.Order+"/sent"))
	}
	if !d.Complete { // sent a moment ago, or from another browser
		o, err := p.orders.OfForm(r.Context(), v.Commune.ID, v.Person.Subject, r.PostForm.Get("key"))
		if err == nil {
			return web.See(w, r, v.To("/orders/"+o.ID+"/sent"))
		}
		if fault.KindOf(err) != fault.NotFound {
			return err
		}
	}
	if !ok || !d.Complete || d.Key != r.PostForm.Get("key") { // the session ended, or another tab began anew
		return web.See(w, r, v.To("/documents/"+product+"/check"))
	}
	pr, err := p.orders.Product(v.Commune.ID, product)
	if err != nil {
		return err
	}
	if !Meets(v, pr, p.now()) {
		return web.See(w, r, more(v, pr))
	}
	o, err := p.orders.Submit(r.Context(), v.Commune.ID, person(v), orders.Submission{
		Product: product, Version: d.Version, Answers: d.Typed, Language: v.Language, Key: d.Key, Price: r.PostForm.Get("price"),
	})
	switch fault.KeyOf(err) {
	case "fee.changed":
		return p.showCheck(w, r, pr, d, true)
	case "fee.no_address", "orders.form.invalid": // what was answered is no longer asked so
		if t, wrong := p.tariff(v, product, d); wrong == nil && !answered(v, pr, t, d) {
			return web.See(w, r, v.To("/documents/"+product+"/form"))
		}
	}
	if fault.KeyOf(err) == "orders.form_used" { // from another browser, with other answers
		return errors.Join(err, p.forget(r))
	}
	if err != nil {
		return p.elsewhere(w, r, err)
	}
	d.Order = o.ID
	if err := p.keep(r, d); err != nil {
		return err
	}
	return web.See(w, r, p.next(r, o))
}
