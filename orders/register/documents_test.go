package register

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

func asking(t testing.TB) Question {
	return Question{Request: "0197-request", Number: number(t), Product: "MainResidence", Language: i18n.Dutch}
}

var paper = `{"request":"0197-request","number":"` + digits + `","product":"MainResidence","language":"nl","reference":"RN-2026-004711","issued_on":"2026-02-03","document":"` +
	base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 sealed")) + `","more":"ignored"}`

func document(t *testing.T, h http.HandlerFunc) (Sealed, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{URL: srv.URL, TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	return c.Document(context.Background(), asking(t))
}

func TestDocument(t *testing.T) {
	got, err := document(t, func(w http.ResponseWriter, r *http.Request) {
		var q map[string]string
		want := map[string]string{"request": "0197-request", "number": digits, "product": "MainResidence", "language": "nl"}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q) != len(want) {
			t.Errorf("the question has another shape: %v", err)
		}
		for name, value := range want {
			if q[name] != value {
				t.Errorf("%s is %q", name, q[name])
			}
		}
		if r.Method != "POST" || r.RequestURI != "/document" || r.Header.Get("Authorization") != "Bearer secret-token" {
			t.Errorf("%s %s", r.Method, r.RequestURI)
		}
		answering(200, "application/json", paper)(w, r)
	})
	if err != nil || got.Reference != "RN-2026-004711" || string(got.File) != "%PDF-1.7 sealed" || got.IssuedOn.Format("2006-01-02") != "2026-02-03" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDocumentsThatAreNotTaken(t *testing.T) {
	change := func(from, to string) http.HandlerFunc {
		if !strings.Contains(paper, from) {
			t.Fatalf("nothing to spoil: %s", from)
		}
		return answering(200, "application/json", strings.Replace(paper, from, to, 1))
	}
	for name, c := range map[string]struct {
		h   http.HandlerFunc
		key string
	}{
		"another request":      {change("0197-request", "0197-other"), "way.source.mismatch"},
		"another person":       {change(digits, "85073003328"), "way.source.mismatch"},
		"another paper":        {change("MainResidence", "HouseHold"), "way.source.mismatch"},
		"another language":     {change(`"nl"`, `"fr"`), "way.source.mismatch"},
		"no reference":         {change("RN-2026-004711", ""), "way.source.unreadable"},
		"markup as reference":  {change("RN-2026-004711", "<b>1</b>"), "way.source.unreadable"},
		"a name of another's":  {change("RN-2026-004711", "rn:1"), "way.source.unreadable"},
		"no day":               {change("2026-02-03", "2026-02-31"), "way.source.unreadable"},
		"no document":          {change(base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 sealed")), ""), "way.source.unreadable"},
		"no base64":            {change(`"document":"`, `"document":"!`), "way.source.unreadable"},
		"half":                 {answering(200, "application/json", paper[:90]), "way.source.unreadable"},
		"HTML":                 {answering(200, "text/html", paper), "way.source.unreadable"},
		"more than it may be":  {answering(200, "application/json", `{"document":"`+strings.Repeat("A", maxSealed)+`"}`), "way.source.unreadable"},
		"not for this person":  {answering(409, "text/plain", ""), "way.source.none"},
		"not in this language": {answering(422, "text/plain", ""), "way.source.none"},
		"unknown":              {answering(404, "text/plain", ""), "register.unknown_person"},
		"refused":              {answering(403, "text/plain", ""), "way.source.refused"},
		"down":                 {answering(502, "text/html", "<h1>"), "way.source.down"},
	} {
		_, err := document(t, c.h)
		if fault.KeyOf(err) != c.key {
			t.Errorf("%s: %v, want %s", name, err, c.key)
		}
		if err != nil && (strings.Contains(err.Error(), digits) || strings.Contains(err.Error(), "secret-token")) {
			t.Errorf("%s: the error tells of the person or the token", name)
		}
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add([]byte(paper))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseSealed(body, asking(t))
		if err == nil && (a.Reference == "" || len(a.File) == 0 || len(a.File) > MaxDocument || a.IssuedOn.IsZero()) {
			t.Errorf("taken: %+v", a)
		}
	})
}
