package idp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/testcerts"
)

// written is what is written on a card, as our agent gives it to a page.
func (w *world) written(c *testcerts.Card) string {
	w.t.Helper()
	f, err := w.certs.FilesOf(c, nil)
	w.must(err)
	text, err := json.Marshal(idfile.Files{Identity: f.Identity, IdentitySignature: f.IdentitySignature, Address: f.Address, AddressSignature: f.AddressSignature, Registry: f.Registry})
	w.must(err)
	return string(text)
}

const withAddress = "openid profile address"

// step answers the card step with a token and what else the page sends.
func (p *party) step(b *browser, f flow, c *testcerts.Card, more ...string) place {
	p.w.t.Helper()
	at := b.open(p.ask(f))
	action, v := at.card()
	v.Set("token", p.w.token(c, at.origin(), v.Get("nonce")))
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return b.post(action, at.origin(), v)
}

// The address goes to the application that asks, if the person ticks the box, and to no
// other: cards of both generations.
func TestTheAddressOnTheCard(t *testing.T) {
	w := newWorld(t)
	p := w.parties[portal]
	for name, want := range map[string]string{"luc": "Rue du Beffroi 12 /3, 7999 Beaumarais", "henri": "Rue du Beffroi 71, 7999 Beaumarais", "amina": "Place du Marché 5, 7999 Beaumarais"} {
		c := w.certs.Citizen(name)
		b := w.browser()
		f := p.flow(with("scope", withAddress))
		a := p.exchange(f, p.step(b, f, c, "identity", w.written(c), "address", "1").code(f))
		info := w.userinfo(a.str("access_token"))
		address, _ := info.body["address"].(map[string]any)
		if address["formatted"] != want || address["locality"] != "Beaumarais" || !strings.Contains(a.str("scope"), "address") {
			t.Errorf("%s: %v, scope %q", name, address, a.str("scope"))
		}
		// The same session, for an application that the person did not give it to.
		other := w.parties[library]
		g := other.flow(with("scope", withAddress))
		info = w.userinfo(other.exchange(g, b.open(other.ask(g)).code(g)).str("access_token"))
		if info.body["address"] != nil {
			t.Errorf("%s: another application learns the address", name)
		}
		// And for the first one when it does not ask.
		g = p.flow(with("scope", "openid profile"))
		info = w.userinfo(p.exchange(g, b.open(p.ask(g)).code(g)).str("access_token"))
		if info.body["address"] != nil {
			t.Errorf("%s: the address comes unasked", name)
		}
	}
}

func TestWithoutAgreementNoAddress(t *testing.T) {
	w := newWorld(t)
	p, luc, sofie := w.parties[portal], w.certs.Citizen("luc"), w.certs.Citizen("sofie")
	for name, more := range map[string][]string{
		"files without the tick": {"identity", w.written(luc)}, "the tick without files": {"address", "1"}, "neither": nil,
	} {
		f := p.flow(with("scope", withAddress))
		a := p.exchange(f, p.step(w.browser(), f, luc, more...).code(f))
		if info := w.userinfo(a.str("access_token")); info.body["address"] != nil || strings.Contains(a.str("scope"), "address") {
			t.Errorf("%s: %v, scope %q", name, info.body["address"], a.str("scope"))
		}
	}
	f := p.flow(with("scope", "openid profile"))
	a := p.exchange(f, p.step(w.browser(), f, luc, "identity", w.written(luc), "address", "1").code(f))
	if w.userinfo(a.str("access_token")).body["address"] != nil {
		t.Error("an application that did not ask learns the address")
	}
	for name, c := range map[string]struct{ text, key string }{
		"another person's card": {w.written(sofie), "card.file_other_holder"},
		"no JSON":               {"Rue du Beffroi", "card.file_malformed"},
		"a book":                {strings.Repeat("x", 33<<10), "card.file_malformed"},
		"nothing in it":         {"{}", "card.file_malformed"},
		"a changed address":     {changed(t, w.written(luc)), "card.file_forged"},
	} {
		f := p.flow(with("scope", withAddress))
		at := p.step(w.browser(), f, luc, "identity", c.text, "address", "1")
		at.says(i18n.French, c.key)
		if strings.Contains(at.body, sofie.Number) {
			t.Errorf("%s: the page holds a number", name)
		}
	}
}

// changed is files with another street.
func changed(t *testing.T, text string) string {
	t.Helper()
	var f idfile.Files
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	f.Address[3] ^= 1
	out, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
