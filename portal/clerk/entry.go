package clerk

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/portal/price"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/visit"
)

// A new request for a person at the counter, on the phone or by letter, in three steps
// that a keyboard goes through: who asks for what; what the register says and what is left
// to ask; the paper, to read and approve. The number waits between the steps sealed with
// the clerk's session, and stands in no page and no address.

// entryDraft is what is known between the steps.
type entryDraft struct {
	Key        string
	Number     string        // as typed; "" where the card was read
	Reading    string        // the permission by which it was
	Holder     readCard      // without the photo
	Shown      *orders.Shown // as taken down from an identity document
	Channel    orders.Channel
	Identified orders.Identified
	Product    string
	Version    int
	Read       []orders.Answer
	Languages  []i18n.Language
	Attention  orders.Attention
	Came       orders.CameChoice
	Order      string // that it has made
}

const entryName = "entry"

// way is one choice of how somebody asks and how it was checked that it is they.
type way struct {
	ID, Value string
	Channel   orders.Channel
	Identity  orders.Identified
	Checked   bool
}

type entryPage struct {
	Ways     []way
	Number   string
	Products []*catalogue.Product
	Product  string
	Errors   []page.Fault
	Fault    map[string]string
	Action   string
	Shown    string      // address for papers that rest on no register; "" where there are none
	Reader   *cardReader // nil where no card can be read
	Card     *readCard   // nil while none was
}

func ways(chosen string) (list []way) {
	for _, w := range orders.Ways {
		for _, i := range w.Identified {
			one := way{ID: "way-" + string(i), Value: string(w.Channel) + " " + string(i), Channel: w.Channel, Identity: i}
			one.Checked = one.Value == chosen || chosen == "" && len(list) == 0
			list = append(list, one)
		}
	}
	return list
}

func (p *Pages) askEntry(w http.ResponseWriter, r *http.Request) error {
	if v := visit.Of(r); len(p.papers(v, true)) == 0 && len(p.papers(v, false)) > 0 {
		return web.See(w, r, v.To(shownPath))
	}
	return p.showEntry(w, r, http.StatusOK, entryPage{Ways: ways("")})
}

func (p *Pages) showEntry(w http.ResponseWriter, r *http.Request, status int, c entryPage) error {
	v := visit.Of(r)
	c.Products = p.papers(v, true)
	if len(p.papers(v, false)) > 0 {
		c.Shown = v.To(shownPath)
	}
	c.Action = v.To("/desk/new")
	frame := v.Frame(w, r, v.T("counter.title"))
	frame.Back, frame.Failed = v.To("/desk"), len(c.Errors) > 0
	var err error
	if c.Reader, err = p.reader(v); err != nil {
		return err
	}
	if c.Reader != nil && c.Card == nil {
		frame.Scripts = []string{readingScript.Address()}
		web.Allow(w, "connect-src", append([]string{"'self'"}, p.agents()...)...)
	}
	return p.render(w, status, "entry", frame, c)
}

var separators = regexp.MustCompile(`[ .\-/]`)

// inquire asks the register about whoever asks, and goes on to what it says.
func (p *Pages) inquire(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := entryPage{Ways: ways(r.PostForm.Get("way")), Product: r.PostForm.Get("product")}
	d, err := p.applicant(r, &c)
	if err != nil {
		return err
	}
	if c.Product == "" {
		c.bad("product", v.T("counter.product_missing"))
	}
	if len(c.Errors) > 0 {
		return p.showEntry(w, r, http.StatusUnprocessableEntity, c)
	}
	who, err := d.applicant(v)
	if err != nil {
		return err
	}
	known, err := p.orders.PrefillFor(r.Context(), v.Commune.ID, me(v), who, c.Product)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind != fault.Internal {
		web.Note(r, "key", e.Key)
		field := "number"
		if c.Card != nil {
			field = "product"
		}
		if strings.HasPrefix(e.Key, "reading.") {
			c.Card, field = nil, "card"
		}
		c.bad(field, i18n.Message(v.Language, e.Key, e.Args))
		return p.showEntry(w, r, web.Status(e.Kind), c)
	}
	if err != nil {
		return err
	}
	return p.goOn(w, r, d, known)
}

// goOn keeps what the first step has found, and leads to the second.
func (p *Pages) goOn(w http.ResponseWriter, r *http.Request, d entryDraft, known orders.Prefill) error {
	v := visit.Of(r)
	d.Key, d.Product, d.Version = orders.NewKey(), known.Product.ID, known.Product.Version
	d.Read, d.Languages, d.Attention, d.Came = known.Answers, known.Languages, known.Attention, known.Came
	if err := p.sessions.Keep(r.Context(), v.Commune.ID, v.Secret, entryName, d); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/new/check"))
}

// applicant is whom the first step is about: by the card that was read, or as it was typed.
func (p *Pages) applicant(r *http.Request, c *entryPage) (entryDraft, error) {
	v := visit.Of(r)
	if permission := r.PostForm.Get("reading"); permission != "" {
		card, err := p.kept(r, permission)
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind != fault.Internal {
			c.bad("card", i18n.Message(v.Language, e.Key, e.Args))
			return entryDraft{}, nil
		}
		if err != nil {
			return entryDraft{}, err
		}
		c.Card = card
		return entryDraft{Reading: permission, Holder: *card, Channel: orders.Counter, Identified: orders.CardRead}, nil
	}
	n := slices.IndexFunc(c.Ways, func(w way) bool { return w.Checked })
	if n < 0 {
		c.bad(c.Ways[0].ID, v.T("counter.way_wrong"))
		n = 0
	}
	number, err := eid.ParseNationalNumber(typedNumber(r))
	if err != nil {
		c.bad("number", v.T("counter.number_wrong"))
	}
	return entryDraft{Number: number.Reveal(), Channel: c.Ways[n].Channel, Identified: c.Ways[n].Identity}, nil
}

// applicant is the person as orders knows them.
func (d entryDraft) applicant(v *visit.Visit) (orders.Applicant, error) {
	if d.Reading != "" {
		return orders.Applicant{Reading: d.Reading, Session: v.Secret}, nil
	}
	if d.Shown != nil {
		return orders.Applicant{Shown: d.Shown}, nil
	}
	number, err := eid.ParseNationalNumber(d.Number)
	return orders.Applicant{Number: number}, err
}

// entryField is one question of the second step.
type entryField struct {
	Name, Label, Hint, Value, Error string
	Choices                         []i18n.Language
}

type entryCheck struct {
	Product   *catalogue.Product
	Read      []orders.Answer
	Attention orders.Attention
	Channel   orders.Channel
	Identity  orders.Identified
	Fields    []entryField
	Came      *cameForm
	Taken     bool          // down from an identity document, which is to be compared
	Wishes    *price.Wishes // delivery and purpose; nil where there is nothing to choose
	Paid      *payment      // taken at the counter, with the price; nil where nothing is
	Price     fee.Price     // to be confirmed; nothing where it is free or not known yet
	Errors    []page.Fault
	Key       string
	Action    string
	Closed    []visit.Closed // until the promised day
	Due       time.Time
}

// entered is the draft of this session; the first step where there is none.
func (p *Pages) entered(r *http.Request) (d entryDraft, pr *catalogue.Product, err error) {
	v := visit.Of(r)
	if err = p.sessions.Kept(r.Context(), v.Commune.ID, v.Secret, entryName, &d); err != nil {
		return d, nil, err
	}
	for _, one := range p.orders.Products(v.Commune.ID) {
		if one.ID == d.Product && one.Version == d.Version {
			return d, one, nil
		}
	}
	return d, nil, session.ErrNone
}

func (p *Pages) checkEntry(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	d, pr, err := p.entered(r)
	if errors.Is(err, session.ErrNone) {
		return web.See(w, r, v.To("/desk/new"))
	}
	if err != nil {
		return err
	}
	return p.showCheck(w, r, http.StatusOK, d, pr, form.Answers{}, nil, false, nil)
}

func (p *Pages) showCheck(w http.ResponseWriter, r *http.Request, status int, d entryDraft, pr *catalogue.Product, typed form.Answers, faults form.Errors, seen bool, wrong error) error {
	v := visit.Of(r)
	c := entryCheck{Product: pr, Read: d.Read, Attention: d.Attention, Channel: d.Channel, Identity: d.Identified, Key: d.Key, Action: v.To("/desk/new/check")}
	c.Taken = d.Shown != nil
	c.Due = orders.Due(v.Commune.Calendar(), p.now(), pr.WorkingDays)
	c.Closed = v.Closed(p.now(), c.Due)
	for _, name := range form.Asked(pr.Fields) {
		if name == form.Contact {
			continue // what is filled in says it
		}
		f := entryField{Name: string(name), Label: v.T(name.LabelKey()), Hint: v.T(name.HintKey()), Value: typed[name]}
		if name == form.DocumentLanguage {
			if len(d.Languages) == 1 {
				continue
			}
			f.Choices = d.Languages
		}
		if key := faults[name]; key != "" {
			f.Error = v.T(key)
			c.Errors = append(c.Errors, page.Fault{Field: f.Name, Text: f.Error})
		}
		c.Fields = append(c.Fields, f)
	}
	t, err := p.orders.Tariff(v.Commune.ID, pr.ID)
	if err != nil {
		return err
	}
	t = orders.Offered(t, d.Read)
	if _, chosen := typed[form.Delivery]; !chosen && d.Channel == orders.Counter && slices.Contains(t.Deliveries, fee.Counter) {
		typed[form.Delivery] = string(fee.Counter) // they are there
	}
	if c.Wishes = price.Of(v, t, d.Read, typed, faults); seen {
		c.Price = t.PriceOf(t.ChoiceOf(typed))
	}
	if c.Price.Total > 0 && d.Channel == orders.Counter {
		c.Paid = paidAtCounter(v, r, wrong)
	}
	c.Errors = append(c.Errors, c.Wishes.Faults()...)
	c.Errors = append(c.Errors, c.Paid.faults()...)
	who, answer := cameTyped(r)
	c.Came = cameOf(v, d.Came, answer, who, wrong)
	c.Errors = append(c.Errors, c.Came.Faults()...)
	frame := v.Frame(w, r, v.T("counter.check_title", "Product", pr.Label.In(v.Language)))
	frame.Back, frame.Failed = v.To("/desk/new"), len(c.Errors) > 0
	if c.Taken {
		frame.Back = v.To(shownPath)
	}
	return p.render(w, status, "entry_check", frame, c)
}

// enterOrder makes the order and prepares its paper, where nothing stands in the way; the
// order's page says what does.
func (p *Pages) enterOrder(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	d, pr, err := p.entered(r)
	if errors.Is(err, session.ErrNone) || err == nil && d.Key != r.PostForm.Get("key") {
		return web.See(w, r, v.To("/desk/new"))
	}
	if err != nil {
		return err
	}
	if d.Order != "" { // the back button, or a second click
		return web.See(w, r, v.To("/desk/orders/"+d.Order))
	}
	if r.PostForm.Get(string(form.Email))+r.PostForm.Get(string(form.Phone)) == "" {
		r.PostForm.Set(string(form.Contact), form.NoContact) // whoever is there is told there
	}
	t, err := p.orders.Tariff(v.Commune.ID, pr.ID)
	if err != nil {
		return err
	}
	typed, faults := orders.ParseForm(pr, orders.Offered(t, d.Read), r.PostForm, d.Languages, v.Commune.Country)
	if len(faults) > 0 {
		return p.showCheck(w, r, http.StatusUnprocessableEntity, d, pr, typed, faults, false, nil)
	}
	who, err := d.applicant(v)
	if err != nil {
		return err
	}
	e := orders.Entry{Channel: d.Channel, Identified: d.Identified}
	e.Came, _ = cameTyped(r)
	paying := r.PostForm.Get("price") != "" && d.Channel == orders.Counter && r.PostForm.Get("paying") != ""
	if paying && r.PostForm.Get("how") == "" {
		return p.showCheck(w, r, http.StatusUnprocessableEntity, d, pr, typed, nil, true, fault.New(fault.Invalid, "fee.how_missing", nil))
	}
	if how := r.PostForm.Get("how"); paying && how != paidLater {
		e.Paid = orders.Paid{How: orders.Payment(how), Number: r.PostForm.Get("receipt")}
	}
	o, err := p.orders.Enter(r.Context(), v.Commune.ID, me(v), e, who, orders.Submission{
		Product: d.Product, Version: d.Version, Answers: typed, Language: v.Language, Key: d.Key, Price: r.PostForm.Get("price"),
	})
	if fault.KeyOf(err) == "fee.changed" { // not seen yet, or another choice since
		return p.showCheck(w, r, http.StatusOK, d, pr, typed, nil, true, nil)
	}
	if key := fault.KeyOf(err); cameFields[key] != "" || key == "fee.how_missing" || key == "fee.number_wrong" {
		web.Note(r, "key", key)
		return p.showCheck(w, r, http.StatusUnprocessableEntity, d, pr, typed, nil, r.PostForm.Get("price") != "", err)
	}
	if err != nil {
		return err
	}
	d = entryDraft{Key: d.Key, Product: d.Product, Version: d.Version, Languages: d.Languages, Order: o.ID} // the number has done its work
	if err := p.sessions.Keep(r.Context(), v.Commune.ID, v.Secret, entryName, d); err != nil {
		return err
	}
	if o.Attention == orders.NoAttention && o.State == orders.Submitted {
		if _, err := p.orders.PrepareFor(r.Context(), v.Commune.ID, o.ID, me(v), "", nil); err != nil {
			web.Note(r, "key", fault.KeyOf(err)) // the order is made; its page leads on
		}
	}
	return web.See(w, r, v.To("/desk/orders/"+o.ID)+"#decide")
}

// standing is an order's state as one word, for a page that waits. Nobody has looked at
// anything by asking it.
func (p *Pages) standing(w http.ResponseWriter, r *http.Request) error {
	o, err := p.orders.Get(r.Context(), visit.Of(r).Commune.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = io.WriteString(w, string(o.State))
	return err
}

// sealed shows the issued paper, to be printed for the person.
func (p *Pages) sealed(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	f, err := p.orders.Sealed(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return p.moved(w, r, err)
	}
	return visit.Inline(w, f.Name, f.Type, f.Data)
}
