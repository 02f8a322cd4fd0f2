package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/fakesource"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

// servicesHandler is what answers on the services' port: PKI, cards, register and control.
// Only programs come here: a page in a browser is refused, and so is a name that
// somebody made lead to 127.0.0.1.
func (w *world) servicesHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/cards", w.cardHandler())
	mux.Handle("/cards/", w.cardHandler())
	mux.Handle("POST /register/{question}", w.register)
	mux.Handle("POST /register/document", w.source)
	mux.Handle("/control", w.controlHandler())
	mux.Handle("/control/", w.controlHandler())
	mux.HandleFunc("GET /world.json", w.serveWorldFile)
	mux.HandleFunc("GET /mail", func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, http.StatusOK, w.mail.all()) })
	mux.Handle("/", w.pki.Handler())
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "127.0.0.1" && host != "localhost" {
			http.Error(rw, "ask for 127.0.0.1", http.StatusMisdirectedRequest)
			return
		}
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "none" {
			http.Error(rw, "this port is for programs, not for pages", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

// controlHandler changes the world, for programs:
//
//	GET  /control              {"ocsp": "good", …}
//	POST /control              {"service": "ocsp", "behaviour": "late 3s"}
//	POST /control/reset        everything good again
//	POST /control/card         {"name": "sofie", "revoked": true}
//	POST /control/reader       {"name": "sofie", "inserted": false}
//	POST /control/person       {"name": "sofie", "fields": {"nis": "99001", "status": "registered", …}}
func (w *world) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control", func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, http.StatusOK, w.moods()) })
	post := func(path string, f func(order) error) {
		mux.HandleFunc("POST "+path, func(rw http.ResponseWriter, r *http.Request) {
			var o order
			if r.ContentLength != 0 {
				if err := readJSON(r, &o); err != nil {
					writeJSON(rw, http.StatusBadRequest, failure{failureDetail{"bad_request", err.Error()}})
					return
				}
			}
			if err := f(o); err != nil {
				writeJSON(rw, http.StatusBadRequest, failure{failureDetail{"refused", err.Error()}})
				return
			}
			writeJSON(rw, http.StatusOK, w.moods())
		})
	}
	post("/control", w.behave)
	post("/control/reset", func(order) error { w.resetMoods(); return nil })
	post("/control/card", w.revoke)
	post("/control/reader", w.insert)
	post("/control/person", func(o order) error { return w.change(o.Name, o.Fields) })
	return mux
}

// order is what control is told, from JSON or from a form of the page.
type order struct {
	Service   string            `json:"service"`
	Behaviour string            `json:"behaviour"`
	Name      string            `json:"name"`
	Revoked   bool              `json:"revoked"`
	Inserted  bool              `json:"inserted"`
	Fields    map[string]string `json:"fields"`
}

// services that can be told to misbehave, in the order of the page.
var services = []responder.Service{responder.OCSP, responder.CRL, responder.AIA, responder.TSA, registerService, fakesource.Service}

func (w *world) moods() map[responder.Service]responder.Behaviour {
	return map[responder.Service]responder.Behaviour{
		responder.OCSP: w.pki.Responder.Behaviour(responder.OCSP), responder.CRL: w.pki.Responder.Behaviour(responder.CRL),
		responder.AIA: w.pki.Responder.Behaviour(responder.AIA), responder.TSA: w.pki.TSA.Behaviour(),
		registerService: w.register.mood.Behaviour(registerService), fakesource.Service: w.source.Mood.Behaviour(fakesource.Service),
	}
}

func (w *world) resetMoods() {
	w.pki.Responder.Reset()
	w.pki.TSA.Reset()
	w.register.mood.Reset()
	w.source.Mood.Reset()
}

func (w *world) behave(o order) error {
	b := responder.Behaviour(o.Behaviour)
	switch s := responder.Service(o.Service); s {
	case responder.OCSP, responder.CRL, responder.AIA:
		return w.pki.Responder.Set(s, b)
	case responder.TSA:
		return w.pki.TSA.Set(b)
	case registerService:
		return w.register.mood.Set(s, b)
	case fakesource.Service:
		return w.source.Mood.Set(s, b)
	}
	return fmt.Errorf("no service is called %q", o.Service)
}

func (w *world) cardOf(name string) (*testcerts.Card, error) {
	for _, c := range w.pki.Cards() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("nobody called %q has a card", name)
}

func (w *world) revoke(o order) error {
	c, err := w.cardOf(o.Name)
	if err != nil {
		return err
	}
	if o.Revoked {
		c.Revoke()
	} else {
		c.Unrevoke()
	}
	return w.pki.Save()
}

func (w *world) insert(o order) error {
	c, err := w.cardOf(o.Name)
	if err != nil {
		return err
	}
	if o.Inserted {
		return w.reader.insert(c)
	}
	return w.reader.remove(c)
}

// orderOf reads a form of the page.
func orderOf(r *http.Request) order {
	o := order{
		Service: r.PostFormValue("service"), Behaviour: strings.TrimSpace(r.PostFormValue("behaviour")), Name: r.PostFormValue("name"),
		Revoked: r.PostFormValue("revoked") == "yes", Inserted: r.PostFormValue("inserted") == "yes",
	}
	if d := strings.TrimSpace(r.PostFormValue("late")); d != "" {
		o.Behaviour = "late " + d
	}
	return o
}

func (w *world) serveWorldFile(rw http.ResponseWriter, _ *http.Request) {
	text, err := json.MarshalIndent(w.describe(), "", "  ")
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Write(text)
}
