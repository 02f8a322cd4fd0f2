package clerk

import (
	"net/http"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Taking an issued paper back, and making another in its place.

// withdrawal is the page that asks why.
type withdrawal struct {
	Order      orders.Order
	Causes     []orders.Cause
	Cause      orders.Cause
	Words      string
	Errors     []page.Fault
	CauseError string
	WordsError string
	Again      bool // back from using the card once more
	Action     string
	To         string
}

func (p *Pages) askWithdraw(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	if !orders.May(o.State, orders.Withdrawn, orders.ByClerk) {
		return web.See(w, r, v.To("/desk/orders/"+o.ID))
	}
	return p.showWithdraw(w, r, withdrawal{Order: o, Again: r.URL.Query().Has("again")})
}

func (p *Pages) showWithdraw(w http.ResponseWriter, r *http.Request, c withdrawal) error {
	v := visit.Of(r)
	c.Causes, c.To = orders.Causes, v.To("/desk/orders/"+c.Order.ID)
	c.Action = c.To + "/withdrawal"
	frame := v.Frame(w, r, v.T("withdrawal.title"))
	frame.Back = c.To
	status := http.StatusOK
	for _, f := range []page.Fault{{Field: "cause", Text: c.CauseError}, {Field: "words", Text: c.WordsError}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
		}
	}
	if len(c.Errors) > 0 {
		frame.Failed, status = true, http.StatusUnprocessableEntity
	}
	return p.render(w, status, "withdraw", frame, c)
}

func (p *Pages) withdrawPaper(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, cause, words := r.PathValue("id"), orders.Cause(r.PostForm.Get("cause")), r.PostForm.Get("words")
	_, err := p.orders.Withdraw(r.Context(), v.Commune.ID, id, me(v), cause, words)
	if err == nil {
		return web.See(w, r, v.To("/desk/orders/"+id))
	}
	if fault.KindOf(err) != fault.Invalid {
		return p.moved(w, r, err)
	}
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, id, me(v))
	if lost != nil {
		return err
	}
	c := withdrawal{Order: o, Cause: cause, Words: words}
	if !cause.Known() {
		c.CauseError = v.T("withdrawal.cause_missing")
	}
	switch n := utf8.RuneCountInString(words); {
	case n > orders.MaxReason:
		c.WordsError = v.T("withdrawal.words_long")
	case c.CauseError == "" || n == 0:
		c.WordsError = v.T("withdrawal.words_missing")
	}
	return p.showWithdraw(w, r, c)
}

// replace opens an order in the place of a withdrawn paper and goes on to it.
func (p *Pages) replace(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	made, err := p.orders.Replace(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+made.ID))
}
