package main

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

// registerService is the register's name among the services that can be told to misbehave.
const registerService responder.Service = "register"

// register imitates a National Register reached through an integrator:
//
//	POST /register/residence   {"number": "…"}, with a bearer token
//	POST /register/household, /register/history and /register/nationality
//
// The number stands in the body, never in the address, where logs would keep it.
type register struct {
	tokenFile string
	mood      responder.Mood

	mu     sync.Mutex
	people map[string]*entry // by national number
}

// entry is the answer about one person.
type entry struct {
	name          string // for the page
	household     []member
	stays         []stay
	nationalities []nationality

	Status     string            `json:"status"`
	NIS        string            `json:"nis,omitempty"`
	Commune    map[string]string `json:"commune,omitempty"`
	Website    string            `json:"website,omitempty"`
	Street     string            `json:"street,omitempty"`
	House      string            `json:"number,omitempty"`
	Box        string            `json:"box,omitempty"`
	PostalCode string            `json:"postal_code,omitempty"`
	Locality   string            `json:"locality,omitempty"`
	Since      string            `json:"since,omitempty"`
	GivenNames string            `json:"given_names"`
	Surname    string            `json:"surname"`
	BirthDate  string            `json:"birth_date"`
	Moves      bool              `json:"declared_move,omitempty"`
}

func (w *world) registerURL() string { return "http://" + loopback(w.services) + "/register" }

func newRegister(w *world) *register {
	r := &register{tokenFile: w.path("secrets", "register.token"), people: map[string]*entry{}}
	for _, p := range w.pki.People() {
		e := &entry{
			name: p.Name, Status: p.Registration, NIS: p.NIS, Street: p.Street, House: p.House, Box: p.Box,
			PostalCode: p.PostalCode, Locality: p.Locality, Since: p.Since,
			GivenNames: p.GivenNames, Surname: p.Surname, BirthDate: p.BirthDate, Moves: p.DeclaredMove,
			household: w.householdOf(p), nationalities: nationalityOf(p),
		}
		w.place(e)
		e.stays = w.historyOf(e, p)
		r.people[p.Number] = e
	}
	return r
}

// place fills in what the register says of the commune of an entry.
func (w *world) place(e *entry) {
	for _, c := range testcerts.Communes() {
		if c.NIS == e.NIS {
			e.Commune, e.Website = c.Name, c.Website
			if c.Installed {
				e.Website = w.website(c.ID)
			}
		}
	}
}

func (r *register) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	const contentType = "application/json"
	if responder.Spoil(w, r.mood.Ask(registerService, req), contentType) {
		return
	}
	if !r.authorised(req) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the bearer token is not the one of var/secrets/register.token", http.StatusUnauthorized)
		return
	}
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); kind != contentType {
		http.Error(w, "application/json expected", http.StatusUnsupportedMediaType)
		return
	}
	var question struct {
		Number string `json:"number"`
	}
	if err := json.NewDecoder(io.LimitReader(req.Body, 4<<10)).Decode(&question); err != nil || len(question.Number) != 11 {
		http.Error(w, `{"number": "eleven digits"} expected`, http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	e, ok := r.people[question.Number]
	var answer []byte
	if ok {
		answer, _ = json.Marshal(e.about(req.PathValue("question"))) // strings only
		ok = string(answer) != "null"
	}
	r.mu.Unlock()
	if !ok {
		http.Error(w, "the register does not know this number", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(answer)
}

// about is the answer to a question, nil where there is no such question.
func (e *entry) about(question string) any {
	switch question {
	case "residence":
		return e
	case "household":
		return map[string]any{"members": e.household}
	case "history":
		return map[string]any{"stays": e.stays}
	case "nationality":
		return map[string]any{"nationalities": e.nationalities}
	}
	return nil
}

func (r *register) authorised(req *http.Request) bool {
	want, err := os.ReadFile(r.tokenFile)
	if err != nil {
		return false
	}
	got, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(strings.TrimSpace(string(want)))) == 1
}

// change alters what the register says about somebody: fields by their JSON names, as
// "street", or "status" and "nis", whose commune's names follow.
func (w *world) change(name string, fields map[string]string) error {
	r := w.register
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.people {
		if e.name != name {
			continue
		}
		changed := *e
		text, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &changed); err != nil {
			return err
		}
		if changed.NIS != e.NIS {
			changed.Commune, changed.Website = nil, ""
			w.place(&changed)
		}
		*e = changed
		return nil
	}
	return fmt.Errorf("the register has nobody called %q", name)
}
