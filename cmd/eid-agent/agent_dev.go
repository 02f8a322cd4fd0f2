//go:build dev

package main

import (
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/internal/page"
)

// allowPlainHTTP: local worlds have no TLS.
const allowPlainHTTP = true

//go:embed templates
var templates embed.FS

// pageWindow confirms on a page of the agent's own, with a field for the PIN. A page
// can be imitated and a browser sees what is typed, so only builds with the tag
// "dev" have it, for cards that are in no reader.
//
//	GET  /confirm/SECRET   who asks, what for, which card, PIN
//	POST /confirm/SECRET   form: form, card, pin, do=confirm|cancel
type pageWindow struct {
	agent *agent
	pages *page.Templates

	mu    sync.Mutex
	forms map[*operation]string // the token of the form shown last; used once
}

func newWindow(a *agent, _ string) window {
	return &pageWindow{agent: a, pages: page.Parse(templates), forms: map[*operation]string{}}
}

func (p *pageWindow) open(o *operation) string {
	return "http://" + p.agent.host + "/confirm/" + o.secret
}

func (p *pageWindow) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /confirm/{secret}", p.show)
	mux.HandleFunc("POST /confirm/{secret}", p.take)
}

// content is what the page shows.
type content struct {
	Origin, Purpose string
	Commune, Hash   string // "" where there are none
	Data            string // what is read, "" where it is nothing
	Sign            bool   // a document is to be signed
	Problem         string // what went wrong with the last try
	Field           string // that the problem is about
	Cards           []cardLine
	NoCard          string // why there is nothing to confirm with
	Form, Address   string
	PIN             bool // a PIN is to be typed here
}

type cardLine struct {
	Serial, Name string
	Problem      string
	Chosen       bool
}

func (p *pageWindow) find(r *http.Request) *operation {
	p.agent.mu.Lock()
	defer p.agent.mu.Unlock()
	for _, o := range p.agent.byID {
		if subtle.ConstantTimeCompare([]byte(o.secret), []byte(r.PathValue("secret"))) == 1 {
			return o
		}
	}
	return nil
}

func (p *pageWindow) show(w http.ResponseWriter, r *http.Request) {
	// Only as a page of its own: nobody's frame, image or script.
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" && dest != "document" {
		http.Error(w, "not a page", http.StatusForbidden)
		return
	}
	p.render(w, r, p.find(r), http.StatusOK, "", nil)
}

// render shows the form, or how it ended. serial is the card chosen before.
func (p *pageWindow) render(w http.ResponseWriter, r *http.Request, o *operation, status int, serial string, problem error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	// Not "no-referrer": then browsers send "Origin: null" with the form.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	if o == nil {
		p.end(w, i18n.French, http.StatusNotFound, "agent.over", "")
		return
	}
	if o.ended() {
		p.end(w, o.lang, http.StatusOK, endKey(o), o.outcome.code)
		return
	}
	c := content{
		Origin: o.origin, Purpose: o.what(),
		Form: p.newForm(o), Address: r.URL.Path,
	}
	c.Commune, c.Data, c.Sign = o.commune(), o.data(), o.sign != nil
	if o.sign != nil && o.sign.number > 0 {
		c.Hash = o.sign.fingerprint()
	}
	if problem != nil {
		c.Problem, c.Field = words(o.lang, problem), "pin"
	}
	if err := p.agent.cards.with(func(cards []*card.Card) error { c.list(o, o.among(cards), serial); return nil }); err != nil {
		c.NoCard = words(o.lang, err)
	}
	frame := page.Frame{Language: o.lang, Title: i18n.T(o.lang, "agent.title"), Site: i18n.T(o.lang, "agent.site"), Failed: problem != nil, NoIndex: true}
	if err := p.pages.Render(w, status, "confirm", frame, c); err != nil {
		p.agent.log.Error("page", "error", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
	}
}

func (c *content) list(o *operation, cards []*card.Card, serial string) {
	l := o.lang
	for _, one := range cards {
		line := cardLine{Serial: one.Serial(), Name: one.Name(), Chosen: one.Serial() == serial}
		if line.Name == "" {
			line.Name = i18n.T(l, "agent.card_unnamed")
		}
		if err := o.fits(one); err != nil {
			line.Problem = words(l, err)
		} else if one.Blocked() {
			line.Problem = words(l, card.ErrPINBlocked)
		} else if one.LastTry() {
			line.Problem = words(l, card.ErrPINLastTry)
		}
		c.PIN = c.PIN || o.wantsPIN(one)
		c.Cards = append(c.Cards, line)
	}
	if len(c.Cards) == 1 {
		c.Cards[0].Chosen = true
	}
}

// words are what a person reads of an error.
func words(l i18n.Language, err error) string {
	f, ok := asFault(err)
	if !ok {
		f = card.ErrFailed
	}
	return i18n.Message(l, f.Key, f.Args)
}

func endKey(o *operation) string {
	if o.outcome.code == "" {
		return "agent.done"
	}
	return "agent.ended"
}

func (p *pageWindow) end(w http.ResponseWriter, l i18n.Language, status int, key, code string) {
	frame := page.Frame{Language: l, Title: i18n.T(l, "agent.title"), Site: i18n.T(l, "agent.site"), NoIndex: true}
	text := ""
	if code != "" {
		text = i18n.T(l, "card."+code)
	}
	if err := p.pages.Render(w, status, "end", frame, struct{ Title, Text string }{i18n.T(l, key), text}); err != nil {
		p.agent.log.Error("page", "error", err)
	}
}

func (p *pageWindow) newForm(o *operation) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for old := range p.forms {
		if old.ended() {
			delete(p.forms, old)
		}
	}
	p.forms[o] = rand.Text()
	return p.forms[o]
}

// useForm says whether token is of the form shown last, which ends with it: a form
// that is sent twice, or behind another's back, costs no try of the PIN.
func (p *pageWindow) useForm(o *operation, token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := p.forms[o]
	delete(p.forms, o)
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
}

func (p *pageWindow) take(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "http://"+p.agent.host {
		http.Error(w, "sent by another site", http.StatusForbidden)
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		http.Error(w, "sent by another site", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	o := p.find(r)
	if o == nil || o.ended() {
		p.render(w, r, o, http.StatusOK, "", nil)
		return
	}
	if !p.useForm(o, r.PostForm.Get("form")) {
		p.render(w, r, o, http.StatusConflict, r.PostForm.Get("card"), nil)
		return
	}
	if r.PostForm.Get("do") != "confirm" {
		o.finish(outcome{code: "cancelled"})
		p.agent.log.Info("not signed", "origin", o.origin, "code", "cancelled")
		p.again(w, r)
		return
	}
	made, err := p.use(o, r.PostForm)
	switch {
	case err == nil:
		p.agent.log.Info("signed", "origin", o.origin, "purpose", o.purpose)
		o.finish(made)
	case settled(err):
		p.agent.log.Info("not signed", "origin", o.origin, "code", failure(err).code)
		o.fail(err)
	default:
		p.render(w, r, o, http.StatusUnprocessableEntity, r.PostForm.Get("card"), err)
		return
	}
	p.again(w, r)
}

// again answers a POST with the same page by GET.
func (p *pageWindow) again(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}

func (p *pageWindow) use(o *operation, form url.Values) (outcome, error) {
	pin := p11.ParsePIN(form.Get("pin"))
	defer pin.Wipe()
	var made outcome
	err := p.agent.cards.use(form.Get("card"), func(c *card.Card) error {
		var opts []p11.Option
		if c.LastTry() { // the page said so beside the card
			opts = append(opts, p11.SpendLastTry())
		}
		var err error
		made, err = o.use(p.agent, c, pin, opts...)
		return err
	})
	if err != nil {
		return outcome{}, fmt.Errorf("confirm: %w", err)
	}
	return made, nil
}

// use calls f with the card of a serial number.
func (r *reader) use(serial string, f func(*card.Card) error) error {
	err := r.with(func(cards []*card.Card) error {
		for _, c := range cards {
			if c.Serial() == serial {
				return f(c)
			}
		}
		return card.ErrRemoved
	})
	if errors.Is(err, card.ErrNoCard) {
		return card.ErrRemoved // it was there when it was chosen
	}
	return err
}
