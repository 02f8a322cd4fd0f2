package clerk

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Letters that wait to be printed and sent.

type lettersPage struct {
	Rows    []letterRow
	More    bool // there are others behind
	Done    int  // marked as sent a moment ago
	Errors  []page.Fault
	Problem string
	Action  string
	Inbox   string
}

type letterRow struct {
	Order    orders.Order
	To       []string
	Href     string
	Selected bool
}

func (p *Pages) letters(w http.ResponseWriter, r *http.Request) error {
	done, _ := strconv.Atoi(r.URL.Query().Get("sent"))
	return p.showLetters(w, r, http.StatusOK, "", nil, max(done, 0))
}

// showLetters ticks all of them, or those that were ticked before.
func (p *Pages) showLetters(w http.ResponseWriter, r *http.Request, status int, problem string, ticked []string, done int) error {
	v := visit.Of(r)
	list, more, err := p.orders.Letters(r.Context(), v.Commune.ID, me(v))
	if err != nil {
		return err
	}
	c := lettersPage{More: more, Done: done, Problem: problem, Action: v.To("/desk/letters"), Inbox: v.To("/desk")}
	for _, o := range list {
		c.Rows = append(c.Rows, letterRow{Order: o, To: o.Fee.To, Href: v.To("/desk/orders/" + o.ID), Selected: problem == "" || slices.Contains(ticked, o.ID)})
	}
	frame := v.Frame(w, r, v.T("letter.title"))
	frame.Back = c.Inbox
	if problem != "" {
		frame.Failed = true
		c.Errors = []page.Fault{{Field: "order-0", Text: problem}}
	}
	return p.render(w, status, "letters", frame, c)
}

// sendLetters prints what is ticked, or marks it as sent.
func (p *Pages) sendLetters(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["order"]
	var err error
	var n int
	if r.PostForm.Get("do") == "sent" {
		if n, err = p.orders.PostLetters(r.Context(), v.Commune.ID, me(v), slices.Clone(ids)); err == nil {
			return web.See(w, r, v.To("/desk/letters")+"?sent="+strconv.Itoa(n))
		}
	} else { // a form that was sent by no button sends no letter
		var f orders.File
		if f, err = p.orders.PrintLetters(r.Context(), v.Commune.ID, me(v), slices.Clone(ids)); err == nil {
			return visit.Inline(w, f.Name, f.Type, f.Data)
		}
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Invalid && e.Kind != fault.Conflict {
		return err
	}
	web.Note(r, "key", e.Key)
	return p.showLetters(w, r, web.Status(e.Kind), i18n.Message(v.Language, e.Key, e.Args), ids, 0)
}
