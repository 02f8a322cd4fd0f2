package clerk

import (
	"context"
	"net/http"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Ending an order for a reason: one of a list, and the clerk's own words. Refusing one and
// taking an issued paper back are the same form with other words.

// ending is one way to end an order: its address, its fields' names and its texts by key.
type ending struct {
	path  string
	state orders.State // that it leads to

	Cause, Words                      string // names of the two fields
	Title, Again, Text                string
	CauseLabel, CauseHint             string
	WordsLabel, WordsHint             string
	After                             string // what the person is told besides
	Send, Back                        string
	causeMissing, wordsLong, wordsNot string

	// InPersonsLanguage says that the person reads the words, which the hint then names.
	InPersonsLanguage bool
	choices           func() []endingCause
	known             func(cause string) bool
	end               func(p *Pages, ctx context.Context, c commune.ID, id string, clerk orders.Clerk, cause, words string) error
}

// endingCause is a reason to choose.
type endingCause struct{ Value, Key string }

// refusing ends an order with reasons, which are due to the person (law of 29 July 1991 on
// the giving of reasons for administrative acts).
var refusing = ending{
	path: "/refuse", state: orders.Refused, Cause: "ground", Words: "text",
	Title: "clerk.refuse.title", Again: "clerk.refuse.again", CauseLabel: "clerk.refuse.ground",
	WordsLabel: "clerk.refuse.text", WordsHint: "clerk.refuse.text_hint", InPersonsLanguage: true, After: "appeal.added",
	Send: "clerk.refuse.send", Back: "clerk.refuse.back",
	causeMissing: "clerk.refuse.ground_missing", wordsLong: "clerk.refuse.text_long", wordsNot: "clerk.refuse.text_missing",
	choices: func() (list []endingCause) {
		for _, g := range orders.Grounds {
			list = append(list, endingCause{string(g), g.Key()})
		}
		return list
	},
	known: func(cause string) bool { return orders.Ground(cause).Known() },
	end: func(p *Pages, ctx context.Context, c commune.ID, id string, clerk orders.Clerk, cause, words string) error {
		_, err := p.orders.Refuse(ctx, c, id, clerk, orders.Reasons{Ground: orders.Ground(cause), Text: words})
		return err
	},
}

// withdrawing takes an issued paper back.
var withdrawing = ending{
	path: "/withdrawal", state: orders.Withdrawn, Cause: "cause", Words: "words",
	Title: "withdrawal.title", Again: "withdrawal.again", Text: "withdrawal.text", CauseLabel: "withdrawal.cause_label", CauseHint: "withdrawal.cause_hint",
	WordsLabel: "withdrawal.words", WordsHint: "withdrawal.words_hint", Send: "withdrawal.send", Back: "withdrawal.back",
	causeMissing: "withdrawal.cause_missing", wordsLong: "withdrawal.words_long", wordsNot: "withdrawal.words_missing",
	choices: func() (list []endingCause) {
		for _, c := range orders.Causes {
			list = append(list, endingCause{string(c), c.Key()})
		}
		return list
	},
	known: func(cause string) bool { return orders.Cause(cause).Known() },
	end: func(p *Pages, ctx context.Context, c commune.ID, id string, clerk orders.Clerk, cause, words string) error {
		_, err := p.orders.Withdraw(ctx, c, id, clerk, orders.Cause(cause), words)
		return err
	},
}

// endingPage is the form, as it was sent.
type endingPage struct {
	ending
	Order      orders.Order
	Code       string // the paper's number, or the order's reference
	Choices    []endingCause
	Chosen     string
	Typed      string
	Language   i18n.Language // that the words are to be in; "" where any will do
	Errors     []page.Fault
	CauseError string
	WordsError string
	Used       bool // back from using the card once more
	Action, To string
}

// asks shows the form of an ending.
func (p *Pages) asks(e ending) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := visit.Of(r)
		o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
		if err != nil {
			return err
		}
		if !orders.May(o.State, e.state, orders.ByClerk) {
			return web.See(w, r, v.To("/desk/orders/"+o.ID))
		}
		return p.showEnding(w, r, endingPage{ending: e, Order: o, Used: r.URL.Query().Has("again")})
	}
}

// ends ends an order, or shows its form again with what is missing.
func (p *Pages) ends(e ending) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := visit.Of(r)
		if err := r.ParseForm(); err != nil {
			return err
		}
		id, cause, words := r.PathValue("id"), r.PostForm.Get(e.Cause), r.PostForm.Get(e.Words)
		err := e.end(p, r.Context(), v.Commune.ID, id, me(v), cause, words)
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
		c := endingPage{ending: e, Order: o, Chosen: cause, Typed: words}
		if !e.known(cause) {
			c.CauseError = v.T(e.causeMissing)
		}
		switch n := utf8.RuneCountInString(words); {
		case n > orders.MaxReason:
			c.WordsError = v.T(e.wordsLong)
		case c.CauseError == "" || n == 0:
			c.WordsError = v.T(e.wordsNot)
		}
		return p.showEnding(w, r, c)
	}
}

func (p *Pages) showEnding(w http.ResponseWriter, r *http.Request, c endingPage) error {
	v := visit.Of(r)
	c.Choices, c.To, c.Code = c.choices(), v.To("/desk/orders/"+c.Order.ID), c.Order.Reference
	if c.state == orders.Withdrawn {
		c.Code = string(c.Order.Paper.Number)
	}
	if c.InPersonsLanguage {
		c.Language = c.Order.Language
	}
	c.Action = c.To + c.path
	frame := v.Frame(w, r, v.T(c.Title))
	frame.Back = c.To
	status := http.StatusOK
	for _, f := range []page.Fault{{Field: c.Cause, Text: c.CauseError}, {Field: c.Words, Text: c.WordsError}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
			frame.Failed, status = true, http.StatusUnprocessableEntity
		}
	}
	return p.render(w, status, "ending", frame, c)
}
