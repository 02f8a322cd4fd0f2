package portal_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/testcerts"
)

// counter is a desk with a card reader: cards of testcerts, checked as a server checks them.
type counter struct {
	*browser
	certs     *testcerts.World
	authority *mood
}

// mood is the authority, as long as it does not fail.
type mood struct {
	idfile.Authority
	fault error
}

func (m *mood) Registry(ctx context.Context, der []byte) (trust.Certificate, error) {
	if m.fault != nil {
		return trust.Certificate{}, m.fault
	}
	return m.Authority.Registry(ctx, der)
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	w := newWorld(t)
	w.Clock.Add(time.Since(w.Clock.Now())) // cards are made today
	certs := testcerts.New(t)
	authority, err := trust.New(trust.Config{Roots: certs.Roots(), Intermediates: certs.Intermediates(), Hosts: certs.Hosts()})
	if err != nil {
		t.Fatal(err)
	}
	m := &mood{Authority: authority}
	w.cfg.Cards, w.cfg.AgentPorts = &idfile.Verifier{Authority: m, Clock: w.Clock.Now}, []int{17394}
	if w.portal, err = portal.New(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	return &counter{w.clerk(orderstest.A, 1, staff.Approver), certs, m}
}

// files are those of a card of testcerts, whose holder lives in A.
func (c *counter) files(name string) (idfile.Files, orders.Person) {
	c.t.Helper()
	card := c.certs.Citizen(name)
	f, err := c.certs.FilesOf(card, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	number, err := eid.ParseNationalNumber(card.Number)
	if err != nil {
		c.t.Fatal(err)
	}
	p := orders.Person{Subject: "subject-" + name, Number: number, GivenNames: card.GivenNames, Surname: card.Surname}
	c.Register.Move(p, c.Home(orderstest.A, p))
	return idfile.Files{Identity: f.Identity, IdentitySignature: f.IdentitySignature, Photo: f.Photo, Registry: f.Registry}, p
}

// permission is what the page's script asks for.
func (c *counter) permission() string {
	c.t.Helper()
	var said struct{ Permission string }
	a := c.post("/fr/desk/new/permission", nil)
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || said.Permission == "" {
		c.t.Fatalf("%d %s", a.status, a.body)
	}
	return said.Permission
}

// reads sends what the script sends.
func (c *counter) reads(permission string, f idfile.Files, typed string) *answer {
	c.t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.post("/fr/desk/new/card", url.Values{"permission": {permission}, "identity": {string(text)}, "number": {typed}})
}

// A card is read: the photo is shown once and kept nowhere, and the order says that its
// person was identified by the card.
func TestACardAtTheCounter(t *testing.T) {
	c := newCounter(t)
	if a := c.get("/fr/desk/new"); !strings.Contains(a.body, "/desk/reading.js?v=") || !strings.Contains(a.header.Get("Content-Security-Policy"), "http://127.0.0.1:17394") {
		t.Error("the page has no way to the card program")
	}
	for _, name := range []string{"luc", "henri"} { // a card of today, and one of before 2021
		f, p := c.files(name)
		a := c.reads(c.permission(), f, "")
		photo := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(f.Photo)
		shown := ""
		for _, img := range all(a.doc, "img") {
			shown += attr(img, "src")
		}
		if a.status != 200 || shown != photo || !strings.Contains(text(a.doc), p.GivenNames+" "+p.Surname) || strings.Contains(a.body, p.Number.Reveal()) {
			t.Fatalf("%s: %d %s", name, a.status, text(a.doc))
		}
		reading := a.value("reading")
		if a := c.post("/fr/desk/new", url.Values{"reading": {reading}}); a.status != 422 || len(all(a.doc, "img")) != 0 || a.value("reading") != reading || !strings.Contains(text(a.doc), p.Surname) {
			t.Errorf("without a product: %d", a.status)
		}
		check := c.get(c.post("/fr/desk/new", url.Values{"reading": {reading}, "product": {"residence"}}).to(t))
		if said := text(check.doc); !strings.Contains(said, i18n.T("fr", "counter.identified.card_read")) || !strings.Contains(said, "Rue du Beffroi 12") {
			t.Errorf("the second step: %s", said)
		}
		to, _, _ := strings.Cut(c.post("/fr/desk/new/check", url.Values{"key": {check.value("key")}, "document_language": {"fr"}}).to(t), "#")
		o := c.Get(t, orderstest.A, to[strings.LastIndex(to, "/")+1:])
		if o.State != orders.InReview || o.Entry.Channel != orders.Counter || o.Entry.Identified != orders.CardRead || o.Entry.By != "Claire 1" || o.Entry.Came.As != orders.AsSelf {
			t.Fatalf("%s: %s %+v", name, o.State, o.Entry)
		}
		if o.Answers[0].Origin != orders.FromCard {
			t.Errorf("%+v", o.Answers)
		}
		if a := c.get(to); !strings.Contains(text(a.doc), i18n.T("fr", "counter.identified.card_read")) {
			t.Error("the order's page does not say it")
		}
		for _, log := range []string{c.log.String(), c.Log.String()} {
			if strings.Contains(log, p.Number.Reveal()) || strings.Contains(log, reading) {
				t.Error("a log holds the number or the reading")
			}
		}
	}
}

// foreign signs an identity with a key that no root vouches for.
func foreign(t *testing.T, f idfile.Files) idfile.Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "RRN"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: x509.ECDSAWithSHA384}
	if f.Registry, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum384(f.Identity)
	if f.IdentitySignature, err = ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
		t.Fatal(err)
	}
	return f
}

// says whether a French page has these words; its typography has other spaces than text.
func says(a *answer, key string) bool {
	return strings.Contains(text(a.doc), strings.Join(strings.Fields(i18n.T("fr", key)), " "))
}

// Each way in which a card says nothing that counts has words of its own, in four languages,
// and fills in nothing.
func TestCardsThatCountForNothing(t *testing.T) {
	c := newCounter(t)
	luc, p := c.files("luc")
	changed, noPhoto, otherPhoto, garbage := luc, luc, luc, luc
	changed.Identity = bytes.Replace(luc.Identity, []byte("Lambert"), []byte("Lombert"), 1)
	noPhoto.Photo = nil
	otherPhoto.Photo = append(bytes.Clone(luc.Photo), 0)
	garbage.Identity = []byte{1, 2, 3}
	expired, _ := c.files("greta")
	used := c.permission()
	if a := c.reads(used, luc, p.Number.Reveal()); a.status != 200 {
		t.Fatalf("a good card: %d %s", a.status, text(a.doc))
	}
	elsewhere := &counter{c.clerk(orderstest.B, 1, staff.Approver), c.certs, c.authority}
	colleague := &counter{c.clerk(orderstest.A, 2, staff.Approver), c.certs, c.authority}
	late := c.permission()
	for name, one := range map[string]struct {
		at         *counter
		permission string
		files      idfile.Files
		typed, key string
	}{
		"changed":               {c, c.permission(), changed, "", "reading.changed"},
		"another photo":         {c, c.permission(), otherPhoto, "", "reading.changed"},
		"no photo":              {c, c.permission(), noPhoto, "", "reading.no_photo"},
		"no card's":             {c, c.permission(), garbage, "", "reading.unreadable"},
		"expired":               {c, c.permission(), expired, "", "reading.expired"},
		"a foreign CA's":        {c, c.permission(), foreign(t, luc), "", "reading.foreign"},
		"another person's":      {c, c.permission(), luc, orderstest.Number(5).Reveal(), "reading.other"},
		"a number that is none": {c, c.permission(), luc, "123", "counter.number_wrong"},
		"replayed":              {c, used, luc, "", "reading.used"},
		"never asked for":       {c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", luc, "", "reading.none"},
		"another clerk's":       {colleague, c.permission(), luc, "", "reading.none"},
	} {
		a := one.at.reads(one.permission, one.files, one.typed)
		if a.status < 400 || !says(a, one.key) || a.value("reading") != "" || strings.Contains(a.body, "Lambert") {
			t.Errorf("%s: %d %s", name, a.status, text(a.doc))
		}
	}
	for key, fault := range map[string]error{
		"reading.revoked": trust.ErrRevoked.Because(errors.New("revoked")), "reading.silent": trust.ErrResponderDown.Because(errors.New("no answer")),
		"reading.not_yet": trust.ErrNotYetValid.Because(errors.New("tomorrow")),
	} {
		c.authority.fault = fault
		if a := c.reads(c.permission(), luc, ""); a.status < 400 || !says(a, key) || a.value("reading") != "" || strings.Contains(a.body, "Lambert") {
			t.Errorf("%s: %d %s", key, a.status, text(a.doc))
		}
		c.authority.fault = nil
	}
	if a := elsewhere.post("/nl/desk/new/card", url.Values{"permission": {c.permission()}, "identity": {"{}"}}); a.status < 400 || !strings.Contains(text(a.doc), i18n.T("nl", "reading.unreadable")) {
		t.Errorf("at another commune: %d", a.status)
	}
	c.Clock.Add(orders.PermissionFor)
	if a := c.reads(late, luc, ""); a.status != 409 || !says(a, "reading.late") {
		t.Errorf("late: %d", a.status)
	}
	// A reading of another session, or of none, is no one's card.
	if a := c.post("/fr/desk/new", url.Values{"reading": {late}, "product": {"residence"}}); a.status != 422 || !says(a, "reading.none") {
		t.Errorf("a reading that is none: %d", a.status)
	}
	for _, l := range i18n.Languages {
		seen := map[string]string{}
		for _, key := range []string{"changed", "no_photo", "unreadable", "expired", "not_yet", "foreign", "revoked", "silent", "other", "used", "none", "late"} {
			words := i18n.T(l, "reading."+key)
			if other := seen[words]; other != "" {
				t.Errorf("%s: %s and %s say the same", l, key, other)
			}
			seen[words] = key
		}
	}
	page := c.browser
	stranger := page.browser(orderstest.A)
	for _, path := range []string{"/fr/desk/new/permission", "/fr/desk/new/card"} {
		if a := stranger.post(path, nil); a.status != 303 && a.status != 401 && a.status != 403 {
			t.Errorf("nobody at %s: %d", path, a.status)
		}
	}
}
