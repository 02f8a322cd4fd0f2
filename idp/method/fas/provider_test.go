package fas_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

// signedMetadata is the provider's metadata, bent, and signed by key.
func signedMetadata(t testing.TB, by *fakefas.Provider, bend func(string) string) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(bend(string(by.Metadata()))); err != nil {
		t.Fatal(err)
	}
	signed, err := by.Sign(doc.Root(), dsig.RSASHA256SignatureMethod)
	if err != nil {
		t.Fatal(err)
	}
	doc.SetRoot(signed)
	text, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with has both communes use this provider.
func (w *world) with(p *fas.Provider) {
	w.t.Helper()
	for i := range w.config.Agreements {
		w.config.Agreements[i].Provider = p
	}
	var err error
	w.fas, err = fas.New(w.config)
	w.must(err)
}

func TestMetadataOfTheProvider(t *testing.T) {
	_, idp := keys()
	stranger, err := fakefas.New(idp.Base, nil)
	if err != nil {
		t.Fatal(err)
	}
	until := func(d time.Duration) func(string) string {
		return replace(`ID="md"`, `ID="md" validUntil="`+time.Now().Add(d).UTC().Format(time.RFC3339)+`"`)
	}
	same := replace()
	for name, c := range map[string]struct {
		text []byte
		good bool
	}{
		"signed":                {signedMetadata(t, idp, same), true},
		"with an end":           {signedMetadata(t, idp, until(time.Hour)), true},
		"ended":                 {signedMetadata(t, idp, until(-time.Hour)), false},
		"unsigned":              {idp.Metadata(), false},
		"signed by a stranger":  {signedMetadata(t, stranger, same), false},
		"changed":               {[]byte(strings.Replace(string(signedMetadata(t, idp, same)), "/sso", "/evil", 1)), false},
		"another entity":        {signedMetadata(t, idp, replace(idp.EntityID(), "https://other.example")), false},
		"no signing key":        {signedMetadata(t, idp, replace(`use="signing"`, `use="encryption"`)), false},
		"an address of another": {signedMetadata(t, idp, replace("https://csam.example/sso", "javascript:alert(1)")), false},
		"no XML":                {[]byte("moved"), false},
	} {
		w := newWorld(t)
		file := filepath.Join(t.TempDir(), "signed.xml")
		w.must(os.WriteFile(file, c.text, 0o600))
		w.with(&fas.Provider{Name: "fas", EntityID: idp.EntityID(), Metadata: file, Signers: certificates(idp.Certificate)})
		if _, err := w.fas.Show(context.Background(), step("beaumarais")); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Metadata from an address is read again after an hour; while it cannot be, the last
// stays good.
func TestMetadataIsRefreshed(t *testing.T) {
	w := newWorld(t)
	_, idp := keys()
	var asked, gone atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if gone.Load() == 1 {
			http.Error(rw, "gone", http.StatusBadGateway)
			return
		}
		rw.Write(signedMetadata(t, idp, replace()))
	}))
	defer srv.Close()
	w.with(&fas.Provider{Name: "fas", Metadata: srv.URL, Signers: certificates(idp.Certificate), Client: srv.Client()})
	w.ask(step("beaumarais"))
	w.ask(step("beaumarais"))
	if asked.Load() != 1 {
		t.Errorf("asked %d times for two sign-ins", asked.Load())
	}
	gone.Store(1)
	w.hand.Add(time.Hour)
	w.ask(step("beaumarais"))
	if asked.Load() != 2 {
		t.Errorf("asked %d times after an hour", asked.Load())
	}
	w.with(&fas.Provider{Name: "fas", Metadata: srv.URL, Client: srv.Client()})
	if _, err := w.fas.Show(context.Background(), step("beaumarais")); err == nil {
		t.Error("metadata from an address is believed without a signature")
	}
}

// The POST binding carries a request that is signed inside.
func TestPostBinding(t *testing.T) {
	w := newWorld(t, func(a *fas.Agreement) { a.Binding = fas.Post })
	view, err := w.fas.Show(context.Background(), step("beaumarais"))
	w.must(err)
	text := sprint(view.Content)
	encoded := regexp.MustCompile(`SAMLRequest Value:([^}]+)`).FindStringSubmatch(text)
	if encoded == nil || len(view.Forms) != 1 || !strings.HasPrefix(view.Forms[0], "https://csam.example/") {
		t.Fatal("no request in the form, or a form that the page may not send")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded[1])
	w.must(err)
	doc := etree.NewDocument()
	w.must(doc.ReadFromBytes(raw))
	key, _ := keys()
	if _, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates(key.Certificate)}).Validate(doc.Root()); err != nil {
		t.Error(err)
	}
	u := under{id: doc.Root().SelectAttrValue("ID", ""), relay: regexp.MustCompile(`RelayState Value:([^}]+)`).FindStringSubmatch(text)[1]}
	_, err = w.answer(step("beaumarais"), u, w.respond(w.honest(u)))
	w.must(err)
}

// Two keys of ours during a roll-over: both are in the metadata, both decrypt.
func TestOwnRollOver(t *testing.T) {
	key, cert, err := fakefas.NewKey("the next one")
	if err != nil {
		t.Fatal(err)
	}
	next := fas.Key{Signer: key, Certificate: cert}
	w := newWorld(t, func(a *fas.Agreement) { a.Signing, a.Encryption = append(a.Signing, next), append(a.Encryption, next) })
	u := w.ask(step("beaumarais"))
	a := w.honest(u)
	a.EncryptTo = cert
	_, err = w.answer(step("beaumarais"), u, w.respond(a))
	w.must(err)
	rec := httptest.NewRecorder()
	w.must(w.fas.Metadata(rec, nil, "beaumarais"))
	if n := strings.Count(rec.Body.String(), "KeyDescriptor use="); n != 4 {
		t.Errorf("%d keys in the metadata, want 4", n)
	}
	if err := w.fas.Metadata(httptest.NewRecorder(), nil, "lindenberg"); err == nil {
		t.Error("a commune without an agreement has metadata")
	}
}

func TestAgreementsThatCannotWork(t *testing.T) {
	for name, bend := range map[string]func(*fas.Agreement){
		"no level":      func(a *fas.Agreement) { a.Levels = nil },
		"odd level":     func(a *fas.Agreement) { a.Levels = []fas.Level{{Value: "x", Level: "best"}} },
		"no key":        func(a *fas.Agreement) { a.Signing = nil },
		"odd exception": func(a *fas.Agreement) { a.Allow = []string{"md5"} },
		"odd binding":   func(a *fas.Agreement) { a.Binding = "artifact" },
	} {
		w := newWorld(t)
		cfg := w.config
		a := cfg.Agreements[0]
		bend(&a)
		cfg.Agreements = []fas.Agreement{a}
		if _, err := fas.New(cfg); err == nil {
			t.Error(name, "is accepted")
		}
	}
	if w := newWorld(t); w.fas.Offered(commune.ID("lindenberg")) || !w.fas.Offered("beaumarais") || w.fas.Name() != "fas" {
		t.Error("it is offered where there is no agreement")
	}
	var _ method.Remote = (*fas.FAS)(nil)
}
