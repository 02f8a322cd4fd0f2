package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// prepared takes an order at the desk to its preview.
func (p *person) prepared(order string) {
	p.t.Helper()
	p.get(strings.Replace(order, "/orders/", "/desk/orders/", 1))
	p.want(200)
	p.send("/prepare")
	p.want(200)
}

// preparedFor is prepared for a colleague, whose name the paper then bears.
func (p *person) preparedFor(order, colleague string) {
	p.t.Helper()
	p.get(strings.Replace(order, "/orders/", "/desk/orders/", 1))
	p.want(200)
	choice := find(p.form("/prepare"), func(n *html.Node) bool {
		return n.Data == "option" && n.FirstChild != nil && strings.TrimSpace(n.FirstChild.Data) == colleague
	})
	if choice == nil {
		p.t.Fatalf("nobody can be chosen who is called %s:\n%s", colleague, p.text())
	}
	p.send("/prepare", "signatory", attr(choice, "value"))
	p.want(200)
}

// idOf is the order's id, the end of its address.
func idOf(order string) string { return order[strings.LastIndexByte(order, '/')+1:] }

// ready are the values of the list's ticks, by order.
func (p *person) ready(w *world, commune string) map[string]string {
	p.t.Helper()
	p.get(w.origin(commune) + "/" + official[commune] + "/desk/ready")
	p.want(200)
	values := map[string]string{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if attr(n, "name") == "order" && attr(n, "type") == "checkbox" {
			id, _, _ := strings.Cut(attr(n, "value"), " ")
			values[id] = attr(n, "value")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(p.page)
	return values
}

// choose begins a batch of what was ticked and stands at its page then.
func (p *person) choose(w *world, commune, way string, values ...string) {
	p.t.Helper()
	form := url.Values{"way": {way}, "order": values}
	r, err := http.NewRequest("POST", w.origin(commune)+"/"+official[commune]+"/desk/ready/begin", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if err := p.try(r); err != nil {
		p.t.Fatal(err)
	}
}

// told is a text as person.text has it: spaces folded.
func told(l i18n.Language, key string, args ...any) string {
	return strings.Join(strings.Fields(i18n.T(l, key, args...)), " ")
}

// asked is any answer of the signing page's script.
type asked struct {
	status       int
	ID           string
	Hash         []byte
	HashFunction string
	Number       int
	Documents    int
	Text, Error  string
	Stop         bool
}

// script asks the desk as the signing page's script does.
func (p *person) script(batch, what string, body map[string]any) asked {
	p.t.Helper()
	a, err := p.tryScript(batch, what, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *person) tryScript(batch, what string, body map[string]any) (asked, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return asked{}, err
	}
	r, err := http.NewRequest("POST", batch+"/"+what, bytes.NewReader(text))
	if err != nil {
		return asked{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := p.client.Do(r)
	if err != nil {
		return asked{}, err
	}
	defer answer.Body.Close()
	a := asked{status: answer.StatusCode}
	raw, err := io.ReadAll(answer.Body)
	if err == nil && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(raw, &a)
	}
	return a, err
}

// signs has a card sign through the card service; the word of a refusal where it does not.
func (w *world) signs(c worldCard, certificate []byte, a asked, pin string) (signature []byte, refusal string) {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"certificate": certificate, "hash": a.Hash, "hashFunction": a.HashFunction, "pin": pin})
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.Post(c.SignURL, "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var out struct {
		Signature []byte
		Error     struct{ Code string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	return out.Signature, out.Error.Code
}

// signed has one order of a batch signed by a card, and returns what the desk said.
func (p *person) signed(w *world, batch, order string, c worldCard) asked {
	p.t.Helper()
	a := p.script(batch, "prepare", map[string]any{"order": idOf(order), "certificate": c.Signature})
	if a.status != 200 {
		return a
	}
	signature, refusal := w.signs(c, c.Signature, a, c.PIN)
	if refusal != "" {
		p.t.Fatal(refusal)
	}
	return p.script(batch, "finish", map[string]any{"order": idOf(order), "request": a.ID, "signature": signature})
}

func (a asked) refused(t *testing.T, l i18n.Language, key string) {
	t.Helper()
	if a.status < 400 || a.Error != i18n.T(l, key) {
		t.Errorf("%d %q, want %q", a.status, a.Error, i18n.T(l, key))
	}
}

// Clerks of both communes sign with their own cards, several documents at once; the
// commune's seal comes upon their signature, and strangers accept both.
func TestClerksSign(t *testing.T) {
	w := startWorld(t)
	claire, wim := w.clerk("beaumarais", "claire"), w.clerk("zandvoorde", "wim")
	luc, amina, sofie := newPerson(t), newPerson(t), newPerson(t)
	first, second := luc.order(w, "beaumarais", w.card("luc")), amina.order(w, "beaumarais", w.card("amina"))
	third := sofie.order(w, "zandvoorde", w.card("sofie"))
	own := newPerson(t).order(w, "beaumarais", w.card("claire"))
	colleague := w.clerk("beaumarais", "jonas")
	for _, o := range []string{first, second} {
		claire.prepared(o)
	}
	colleague.prepared(own)
	wim.prepared(third)
	hash := colleague.ready(w, "beaumarais")[idOf(own)]
	ticks := claire.ready(w, "beaumarais")
	if len(ticks) != 2 || ticks[idOf(own)] != "" {
		t.Fatalf("ready for the clerk are %v", ticks)
	}
	claire.want(200, told(i18n.French, "clerk.sign.number"))
	claire.choose(w, "beaumarais", "sign", ticks[idOf(first)], ticks[idOf(second)], hash)
	claire.want(200, told(i18n.French, "clerk.batch.title", "Count", 3), told(i18n.French, "clerk.sign.number"))
	batch := claire.at.String()
	card := w.card("claire")
	claire.signed(w, batch, own, card).refused(t, i18n.French, "orders.own")
	if a := claire.signed(w, batch, first, card); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.Error)
	}
	claire.get(batch) // stopped, and come back to
	claire.want(200, told(i18n.French, "clerk.batch.decided", "Count", 1), told(i18n.French, "clerk.batch.failed", "Count", 1), told(i18n.French, "clerk.batch.left", "Count", 1), told(i18n.French, "orders.own"))
	colleague.get(batch)
	colleague.want(404)
	if a := claire.signed(w, batch, second, card); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.Error)
	}
	claire.signed(w, batch, second, card).isConflict(t)
	claire.get(batch)
	claire.want(200, told(i18n.French, "clerk.batch.decided", "Count", 2))

	wim.choose(w, "zandvoorde", "sign", wim.ready(w, "zandvoorde")[idOf(third)])
	if a := wim.signed(w, wim.at.String(), third, w.card("wim")); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.Error)
	}
	for _, paper := range []struct {
		holder        *person
		order, signer string
	}{{luc, first, "Claire Dubois"}, {amina, second, "Claire Dubois"}, {sofie, third, "Wim Janssens"}} {
		w.bothAccepted(paper.holder.waitIssued(paper.order, 30*time.Second), paper.signer)
	}
	claire.get(strings.Replace(first, "/orders/", "/desk/orders/", 1))
	claire.want(200, told(i18n.French, "orders.event.clerk_signed", "Signer", "Claire Louise Dubois"))
	for _, c := range []string{"beaumarais", "zandvoorde"} {
		w.command(0, "journal", "--config", w.Belfry.Config, c)
	}
	w.command(0, "check", "--config", w.Belfry.Config)
	w.noNumberLeaks()
}

func (a asked) isConflict(t *testing.T) {
	t.Helper()
	if a.status != http.StatusConflict || a.Error == "" {
		t.Errorf("%d %q, want a conflict in words", a.status, a.Error)
	}
}

// bothAccepted shows a paper with two signatures to others' programs and to our own.
func (w *world) bothAccepted(pdf []byte, signer string) {
	t := w.t
	t.Helper()
	file := filepath.Join(t.TempDir(), "paper.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("BELFRY_SHOTS"); dir != "" {
		os.MkdirAll(dir, 0o755)
		os.WriteFile(filepath.Join(dir, "signed-"+strings.ReplaceAll(signer, " ", "-")+".pdf"), pdf, 0o644)
	}
	for _, args := range [][]string{{"pdfsig", "-nocert", file}, {"qpdf", "--check", file}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
		if args[0] == "pdfsig" && strings.Count(string(out), "Signature is Valid") != 2 {
			t.Errorf("pdfsig does not find two valid signatures:\n%s", out)
		}
	}
	said := w.command(0, "verify", file, "--trust", filepath.Dir(w.PKI.Roots), "--json")
	var report struct {
		Signatures []struct {
			Result, Level, Changes string
			Certification          int
			Signer                 struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(said), &report); err != nil || len(report.Signatures) != 4 {
		t.Fatalf("%v: %s", err, said)
	}
	// The person's signature has a stamp of its own; then proofs, and a stamp upon all.
	person, seal, last := report.Signatures[0], report.Signatures[1], report.Signatures[3]
	if person.Signer.Name != signer+" (Signature)" || person.Result != "valid" || person.Changes != "extended" || seal.Result != "valid" || seal.Changes != "extended" || last.Result != "valid" || last.Changes != "none" || seal.Certification+person.Certification != 0 {
		t.Errorf("%+v", report.Signatures)
	}
	stranger := newPerson(t)
	stranger.uploadFile(w.origin("beaumarais")+"/fr/verify", pdf)
	if signer == "Claire Dubois" {
		stranger.want(200, told(i18n.French, "check.looked.person", "Name", signer), "Commune de Beaumarais")
	}
	for _, c := range w.Cards {
		if strings.Contains(said, c.NationalNumber) || strings.Contains(stranger.text(), c.NationalNumber) {
			t.Errorf("the national number of %s is shown", c.Name)
		}
	}
}

// Whatever is wrong with the card, or with what is said of it, nothing is signed and the
// clerk reads why; the same document is signed afterwards by the right card.
func TestSignaturesThatAreRefused(t *testing.T) {
	w := startWorld(t)
	claire := w.clerk("beaumarais", "claire")
	luc := newPerson(t)
	order := luc.order(w, "beaumarais", w.card("luc"))
	claire.prepared(order)
	claire.choose(w, "beaumarais", "sign", claire.ready(w, "beaumarais")[idOf(order)])
	batch, card := claire.at.String(), w.card("claire")
	prepare := func(certificate []byte) asked {
		t.Helper()
		return claire.script(batch, "prepare", map[string]any{"order": idOf(order), "certificate": certificate})
	}
	finish := func(a asked, signature []byte) asked {
		t.Helper()
		return claire.script(batch, "finish", map[string]any{"order": idOf(order), "request": a.ID, "signature": signature})
	}
	for name, key := range map[string]string{
		"luc": "deferred.other_person", "marc": "clerk.sign.revoked", "greta": "clerk.sign.expired", "nina": "card.unknown_ca",
	} {
		t.Run(name, func(t *testing.T) { prepare(w.card(name).Signature).refused(t, i18n.French, key) })
	}
	prepare(card.Authentication).refused(t, i18n.French, "clerk.sign.wrong_use")
	prepare([]byte("junk")).refused(t, i18n.French, "card.malformed")
	prepare(nil).refused(t, i18n.French, "card.malformed")

	w.tell("ocsp", "gone")
	w.tell("crl", "gone")
	if a := prepare(card.Signature); a.status != http.StatusServiceUnavailable && a.status != http.StatusBadGateway || !a.Stop || a.Error == "" {
		t.Errorf("responder down: %d %+v", a.status, a)
	}
	w.post(w.Control.URL+"/reset", nil)

	a := prepare(card.Signature)
	if _, refusal := w.signs(card, card.Signature, a, "0000"); !strings.HasPrefix(refusal, "card.pin_") {
		t.Errorf("a wrong PIN: %q", refusal)
	}
	if _, refusal := w.signs(card, w.card("luc").Signature, a, card.PIN); refusal == "" {
		t.Error("a card signs with another's certificate")
	}
	for code, key := range map[string]string{
		"pin_wrong": "card.pin_wrong", "pin_blocked": "card.pin_blocked", "removed": "card.removed", "cancelled": "clerk.sign.cancelled", "what?": "card.failed",
	} {
		if said := claire.script(batch, "failed", map[string]any{"order": idOf(order), "code": code}); said.Text != i18n.T(i18n.French, key) {
			t.Errorf("%s: %+v", code, said)
		}
		claire.get(batch)
		claire.want(200, told(i18n.French, key), told(i18n.French, "clerk.batch.failed", "Count", 1))
	}
	finish(a, make([]byte, 96)).refused(t, i18n.French, "deferred.signature_wrong")
	finish(asked{ID: "none"}, nil).refused(t, i18n.French, "deferred.unknown")
	signature, _ := w.signs(card, card.Signature, a, card.PIN)
	w.post(w.Control.URL+"/card", map[string]any{"name": "claire", "revoked": true})
	finish(a, signature).refused(t, i18n.French, "clerk.sign.revoked")
	w.post(w.Control.URL+"/card", map[string]any{"name": "claire", "revoked": false})
	if state := claire.ready(w, "beaumarais"); len(state) != 1 {
		t.Fatal("a refusal has moved the order")
	}
	if done := finish(a, signature); done.status != 200 {
		t.Errorf("the right signature: %d %+v", done.status, done)
	}
	finish(a, signature).isConflict(t)
	w.bothAccepted(luc.waitIssued(order, 30*time.Second), "Claire Dubois")
	w.noNumberLeaks()
}

// Without card: one click, a result for each, and what somebody else has decided
// meanwhile is said to be so.
func TestSeveralApprovedAtOnce(t *testing.T) {
	w := startWorld(t)
	claire := w.clerk("beaumarais", "claire")
	luc, amina := newPerson(t), newPerson(t)
	first, second := luc.order(w, "beaumarais", w.card("luc")), amina.order(w, "beaumarais", w.card("amina"))
	claire.prepared(first)
	claire.prepared(second)
	ticks := claire.ready(w, "beaumarais")
	claire.choose(w, "beaumarais", "approve")
	claire.want(422, told(i18n.French, "clerk.ready.none_ticked"))
	other := w.clerk("beaumarais", "jonas")
	other.prepared(second) // which then bears his name
	ofOther := other.ready(w, "beaumarais")
	other.choose(w, "beaumarais", "approve", ofOther[idOf(second)])
	other.want(200, told(i18n.French, "clerk.batch.decided", "Count", 1))
	claire.choose(w, "beaumarais", "approve", ticks[idOf(first)], ticks[idOf(second)], ticks[idOf(first)])
	report := claire.at.String()
	for range 2 { // and again after a reload
		claire.want(200, told(i18n.French, "clerk.batch.decided", "Count", 1), told(i18n.French, "clerk.batch.elsewhere", "Count", 1))
		claire.get(report)
	}
	for _, p := range []struct {
		who   *person
		order string
	}{{luc, first}, {amina, second}} {
		pdf := p.who.waitIssued(p.order, 30*time.Second)
		file := filepath.Join(t.TempDir(), idOf(p.order)+".pdf")
		if err := os.WriteFile(file, pdf, 0o600); err != nil {
			t.Fatal(err)
		}
		accepted(t, file)
	}
}
