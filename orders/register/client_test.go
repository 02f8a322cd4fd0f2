package register

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/form"
)

// digits is a number with an impossible month, made here.
const digits = "71715100070"

func number(t testing.TB) eid.NationalNumber {
	n, err := eid.ParseNationalNumber(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const luc = `{"status":"registered","nis":"99001","commune":{"fr":"Beaumarais","nl":"Schoonmeers","xx":"?"},"website":"https://www.beaumarais.example",
	"street":"Rue du Beffroi","number":"12","box":"3","postal_code":"9901","locality":"Beaumarais","since":"2019-05-01",
	"given_names":"Luc  Marie","surname":"Lambert\u202e","birth_date":"1985-00-00","nationality":"ignored"}`

// ask runs one question against a register that answers with h.
func ask(t testing.TB, h http.HandlerFunc, timeout time.Duration) (Residence, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: srv.URL + "/", TokenFile: token, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return c.Residence(context.Background(), number(t))
}

func answering(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestResidence(t *testing.T) {
	r, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
		var q map[string]string
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q["number"] != digits || len(q) != 1 {
			t.Errorf("the question has another shape: %v", err)
		}
		if r.Method != "POST" || r.RequestURI != "/residence" || r.Header.Get("Authorization") != "Bearer secret-token" {
			t.Errorf("%s %s with %q", r.Method, r.RequestURI, r.Header.Get("Authorization"))
		}
		answering(200, "application/json; charset=utf-8", luc)(w, r)
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != Registered || r.NIS != "99001" || r.GivenNames != "Luc Marie" || r.Surname != "Lambert" || r.Website != "https://www.beaumarais.example" {
		t.Errorf("%+v", r)
	}
	for l, want := range map[i18n.Language]string{
		i18n.French: "Rue du Beffroi 12 boîte\u00a03, 9901\u00a0Beaumarais", i18n.Dutch: "Rue du Beffroi 12 bus\u00a03, 9901\u00a0Beaumarais",
	} {
		if got := r.Address(l); got != want {
			t.Errorf("%s: %q", l, got)
		}
	}
	if r.CommuneName(i18n.Dutch) != "Schoonmeers" || r.CommuneName(i18n.German) != "Beaumarais" {
		t.Errorf("commune %v", r.Commune)
	}
	if r.BirthDate.In(i18n.French) != "1985" || r.Since.In(i18n.Dutch) != "1\u00a0mei 2019" {
		t.Errorf("dates %q and %q", r.BirthDate.In(i18n.French), r.Since.In(i18n.Dutch))
	}
}

func TestEachWayToFail(t *testing.T) {
	down := fault.New(fault.Unreachable, "register.down", nil)
	refused := fault.New(fault.Internal, "register.refused", nil)
	unreadable := fault.New(fault.Internal, "register.unreadable", nil)
	change := func(from, to string) http.HandlerFunc {
		if !strings.Contains(luc, from) {
			t.Fatalf("nothing to spoil: %s", from)
		}
		return answering(200, "application/json", strings.Replace(luc, from, to, 1))
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want *fault.Error
	}{
		"unknown number": {answering(404, "application/json", "{}"), fault.New(fault.NotFound, "register.unknown_person", nil)},
		"no content":     {answering(204, "application/json", ""), unreadable}, // no answer, and no word about the person
		"empty":          {answering(200, "application/json", ""), unreadable},
		"an empty word":  {answering(200, "application/json", "{}"), unreadable},
		"null":           {answering(200, "application/json", "null"), unreadable},
		"token refused":  {answering(401, "text/plain", ""), refused},
		"not authorised": {answering(403, "text/plain", ""), refused},
		"overloaded":     {answering(503, "text/html", "<h1>"), down},
		"too many":       {answering(429, "text/plain", ""), down},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, unreadable},
		"HTML":               {answering(200, "text/html", luc), unreadable},
		"no JSON":            {answering(200, "application/json", "<html>"), unreadable},
		"huge":               {answering(200, "application/json", luc+strings.Repeat(" ", 70<<10)), unreadable},
		"half":               {answering(200, "application/json", luc[:100]), unreadable},
		"no status":          {change(`"registered"`, `""`), unreadable},
		"status with markup": {change(`"registered"`, `"<b>"`), unreadable},
		"nis":                {change(`"99001"`, `"9900"`), unreadable},
		"nis missing":        {change(`"99001"`, `""`), unreadable},
		"no names":           {change(`"Luc  Marie","surname":"Lambert\u202e"`, `"","surname":""`), unreadable},
		"long surname":       {change(`"Lambert`, `"`+strings.Repeat("x", 201)), unreadable},
		"birth date":         {change(`"1985-00-00"`, `"1985-02-30"`), unreadable},
		"since":              {change(`"2019-05-01"`, `"May"`), unreadable},
		"hangs up":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, down},
		"promises more bytes": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9999")
			answering(200, "application/json", luc)(w, r)
		}, down},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, c.h, 0)
			if err == nil || fault.KindOf(err) != c.want.Kind || fault.KeyOf(err) != c.want.Key {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), digits) || strings.Contains(err.Error(), "Lambert") || strings.Contains(err.Error(), "secret-token")) {
				t.Error("the error tells of the person or the token")
			}
		})
	}
}

func TestSlowRegister(t *testing.T) {
	_, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server sees a client leave only when it reads
		<-r.Context().Done()
	}, 50*time.Millisecond)
	if fault.KeyOf(err) != "register.down" {
		t.Errorf("got %v", err)
	}
}

func TestOddPeople(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"struck off, nowhere": {`"registered","nis":"99001"`, `"struck_off","nis":""`},
		"a status of later":   {`"registered"`, `"moved_abroad"`},
		"a single name":       {`"Luc  Marie"`, `""`},
		"since unknown":       {`"2019-05-01"`, `""`},
		"dangerous link":      {`"https://www.beaumarais.example"`, `"javascript:alert(1)"`},
	} {
		r, err := ask(t, answering(200, "application/json", strings.Replace(luc, c.from, c.to, 1)), 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(r.Website, "javascript") {
			t.Error("a script would be linked")
		}
	}
}

func TestOnlyHTTPSCarriesNumbers(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://register.example/v1": true, "http://127.0.0.1:9": true, "http://register.belfry.localhost:8080": true, "http://[::1]:9": true,
		"http://register.example": false, "": false, "https://u:p@register.example": false, "https://register.example/?a=b": false, "ftp://127.0.0.1": false,
		"http://localhost.evil.example": false,
	} {
		if _, err := New(Config{URL: url, TokenFile: "token"}); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(luc))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"status":"struck_off","surname":"X","birth_date":"1900-01-00"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body)
		if err != nil {
			return
		}
		for _, s := range []string{r.Street, r.House, r.Box, r.PostalCode, r.Locality, r.GivenNames, r.Surname, r.Website, r.BirthDate.In(i18n.French), r.Address(i18n.Dutch), r.CommuneName(i18n.German)} {
			if !form.Clean(s) || strings.Contains(s, "\n") {
				t.Errorf("%+q", s)
			}
		}
		if located(r.Status) && (len(r.NIS) != 5 || r.Address(i18n.French) == "") {
			t.Errorf("lives nowhere: %+v", r)
		}
		_ = fmt.Sprint(r)
	})
}
