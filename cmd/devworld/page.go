package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/belfry-eid/belfry/testcerts/responder"
)

//go:embed page.html
var pageText string

var pages = template.Must(template.New("page").Parse(pageText))

// page is http://localhost:8080: what is where, for people.
func (w *world) page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", w.showWorld)
	mux.HandleFunc("GET /mail", w.showMails)
	mux.HandleFunc("GET /mail/{id}", w.showMail)
	mux.HandleFunc("GET /world.json", w.serveWorldFile)
	for path, f := range map[string]func(order) error{
		"/behave": w.behave, "/revoke": w.revoke, "/insert": w.insert,
		"/reset": func(order) error { w.resetMoods(); return nil },
	} {
		mux.HandleFunc("POST "+path, func(rw http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(rw, r.Body, 16<<10)
			o := orderOf(r)
			if err := f(o); err != nil {
				http.Error(rw, err.Error(), http.StatusBadRequest)
				return
			}
			at := "#controls"
			if o.Name != "" {
				at = "#cards"
			}
			http.Redirect(rw, r, "/?done="+url.QueryEscape(done(path, o))+at, http.StatusSeeOther)
		})
	}
	return headers(http.NewCrossOriginProtection().Handler(mux))
}

// headers keep other pages away from this one.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// done says in words what a form changed.
func done(path string, o order) string {
	switch path {
	case "/behave":
		return fmt.Sprintf("%s now answers: %s", o.Service, o.Behaviour)
	case "/revoke":
		return fmt.Sprintf("card of %s: revoked %v", o.Name, o.Revoked)
	case "/insert":
		return fmt.Sprintf("card of %s: in the reader %v", o.Name, o.Inserted)
	}
	return "all services are good again"
}

// control is one service on the page.
type control struct {
	Service    responder.Service
	Now        responder.Behaviour
	Behaviours []responder.Behaviour
}

// worldView is what the page shows.
type worldView struct {
	description
	First    string // address of the commune to begin with
	Mairie   string // address of the French one
	Done     string
	Controls []control
	Stopped  []string
	Dir      string
}

func (w *world) view() worldView {
	v := worldView{description: w.describe(), First: w.website("beaumarais"), Mairie: w.website(mairie), Dir: w.dir}
	moods := w.moods()
	for _, s := range services {
		v.Controls = append(v.Controls, control{s, moods[s], responder.Behaviours(s)})
	}
	for _, c := range []*child{w.belfry, w.agent} {
		if c != nil && c.ended() != "" {
			v.Stopped = append(v.Stopped, c.ended()+" Log: "+c.logFile)
		}
	}
	return v
}

func (w *world) showWorld(rw http.ResponseWriter, r *http.Request) {
	v := w.view()
	if v.Done = r.URL.Query().Get("done"); len(v.Done) > 200 {
		v.Done = ""
	}
	render(rw, "world", v)
}

func (w *world) showMails(rw http.ResponseWriter, _ *http.Request) {
	render(rw, "mails", struct{ Mails []message }{w.mail.all()})
}

func (w *world) showMail(rw http.ResponseWriter, r *http.Request) {
	m, ok := w.mail.byID(r.PathValue("id"))
	if !ok {
		http.NotFound(rw, r)
		return
	}
	render(rw, "mail", m)
}

func render(w http.ResponseWriter, name string, v any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
