package clerk

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// What clerks and the person write to each other, and what clerks write for colleagues.

// thread is the part of an order's page that shows both.
type thread struct {
	Messages []orders.Message
	Language i18n.Language // of the messages
	Person   string
	Ask      string // where a question is written; no link where empty
	Resume   string // where one goes on without the answer; no button where empty
	File     string // what a file's address begins with
	Notes    []orders.Note
	Note     string // where a note is posted; no form where empty
	Typed    string
	Problem  string // of the note
}

func (p *Pages) thread(v *visit.Visit, o orders.Order, own bool) thread {
	to := v.To("/desk/orders/" + o.ID)
	c := thread{Messages: o.Messages, Language: o.Language, Person: o.Name(), File: to + "/files/", Notes: o.Notes}
	if own {
		return c
	}
	c.Note = to + "/note"
	switch {
	case o.State == orders.AwaitingCitizen:
		c.Resume = to + "/resume"
	case orders.May(o.State, orders.AwaitingCitizen, orders.ByClerk):
		c.Ask = to + "/ask"
	}
	return c
}

// readyMade is a text to begin a question with.
type readyMade struct{ Value, Label string }

type ask struct {
	Order     orders.Order
	Templates []readyMade
	Own       []readyMade // the commune's
	Chosen    string
	Text      string
	Foreign   i18n.Language // of Text, where it is not the person's
	Problem   string
	Errors    []page.Fault
	Again     bool // back from signing in once more
	Action    string
	To        string
}

// askForm is the page on which a question is written, in the person's language.
func (p *Pages) askForm(w http.ResponseWriter, r *http.Request) error {
	v, q := visit.Of(r), r.URL.Query()
	o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	if !orders.May(o.State, orders.AwaitingCitizen, orders.ByClerk) {
		return web.See(w, r, v.To("/desk/orders/"+o.ID))
	}
	c := ask{Order: o, Again: q.Has("again")}
	c.Chosen = q.Get("template")
	if t := orders.Template(c.Chosen); t.Known() {
		c.Text = i18n.T(o.Language, t.TextKey(), "Reference", o.Reference)
		return p.showAsk(w, r, http.StatusOK, c)
	}
	own, err := p.ownQuestion(r, c.Chosen)
	if err != nil {
		return err
	}
	if own != nil {
		var in i18n.Language
		if c.Text, in = own.TextFor(v.Commune, o); in != o.Language {
			c.Foreign = in
		}
	}
	return p.showAsk(w, r, http.StatusOK, c)
}

func (p *Pages) showAsk(w http.ResponseWriter, r *http.Request, status int, c ask) error {
	v := visit.Of(r)
	for _, t := range orders.Templates {
		c.Templates = append(c.Templates, readyMade{string(t), v.T(t.LabelKey())})
	}
	own, err := p.orders.Questions(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	for _, q := range own {
		c.Own = append(c.Own, readyMade{q.ID, q.LabelIn(v.Commune, v.Language)})
	}
	c.To = v.To("/desk/orders/" + c.Order.ID)
	c.Action = c.To + "/ask"
	frame := v.Frame(w, r, v.T("thread.ask.title"))
	frame.Back = c.To
	if c.Problem != "" {
		frame.Failed = true
		c.Errors = []page.Fault{{Field: "text", Text: c.Problem}}
	}
	return p.render(w, status, "ask", frame, c)
}

func (p *Pages) ask(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, text := r.PathValue("id"), r.PostForm.Get("text")
	_, err := p.orders.Ask(r.Context(), v.Commune.ID, id, me(v), text)
	if err == nil {
		return web.See(w, r, v.To("/desk/orders/"+id)+"#thread")
	}
	if fault.KindOf(err) != fault.Invalid {
		return p.moved(w, r, err)
	}
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, id, me(v))
	if lost != nil {
		return err
	}
	return p.showAsk(w, r, http.StatusUnprocessableEntity, ask{Order: o, Text: text, Problem: wrongText(v, text)})
}

// wrongText says what is wrong with a message that orders refused.
func wrongText(v *visit.Visit, text string) string {
	if utf8.RuneCountInString(text) > orders.MaxMessage {
		return v.T("thread.text_long", "Count", orders.MaxMessage)
	}
	return v.T("thread.text_missing")
}

// resume goes on without the person's answer.
func (p *Pages) resume(w http.ResponseWriter, r *http.Request) error {
	v, id := visit.Of(r), r.PathValue("id")
	if _, err := p.orders.Resume(r.Context(), v.Commune.ID, id, me(v)); err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id))
}

// note adds an internal note.
func (p *Pages) note(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, text := r.PathValue("id"), r.PostForm.Get("note")
	err := p.orders.AddNote(r.Context(), v.Commune.ID, id, me(v), text)
	if err == nil {
		return web.See(w, r, v.To("/desk/orders/"+id)+"#notes")
	}
	if fault.KindOf(err) != fault.Invalid {
		return err
	}
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, id, me(v))
	if lost != nil {
		return lost
	}
	c, lost := p.view(r, o)
	if lost != nil {
		return lost
	}
	c.Thread.Typed, c.Thread.Problem = text, wrongText(v, text)
	return p.show(w, r, http.StatusUnprocessableEntity, c)
}

// file hands out what a person sent, to be saved.
func (p *Pages) file(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	seq, err1 := strconv.Atoi(r.PathValue("seq"))
	n, err2 := strconv.Atoi(r.PathValue("n"))
	if err1 != nil || err2 != nil {
		return web.NotFound(w, r)
	}
	f, err := p.orders.AttachmentForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v), seq, n)
	if err != nil {
		return err
	}
	return visit.Attachment(w, f.Name, string(f.Type), f.Content)
}
