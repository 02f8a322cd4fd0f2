package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// confirmation is the card program's next window: opened by the page, or where the
// browser lets no page open one without a click, by its link.
func (b *tab) confirmation(seen map[target.ID]bool) *tab {
	b.t.Helper()
	for try := range 150 {
		for _, i := range b.windows() {
			if i.Type != "page" || seen[i.TargetID] || !strings.Contains(i.URL, "/confirm/") {
				continue
			}
			seen[i.TargetID] = true
			ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(i.TargetID))
			b.t.Cleanup(cancel)
			if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
				b.t.Fatal(err)
			}
			return &tab{b.t, ctx}
		}
		if try == 30 {
			b.front()
			if link, err := see(b, chromedp.Evaluate[bool](`!!document.querySelector("[data-status] a")`)); err == nil && link {
				b.click("[data-status] a")
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("no window of the card program\n%s", b.state())
	return nil
}

// agrees lets the page read the certificate of a card.
func (b *tab) agrees(c worldCard) {
	b.t.Helper()
	b.do("choose the card of "+c.Name, chromedp.Evaluate[chromedp.Void](c.inTheList()))
	b.click(`button[value=confirm]`)
}

// A clerk signs several documents in Chromium with the card program: a wrong PIN, a
// stop in the middle, and what was left afterwards. Each page is held to axe, to the
// keyboard and to 320 px, in French and Dutch.
func TestBrowserSigning(t *testing.T) {
	claire := browse(t)
	w := startWorld(t)
	luc, amina := newPerson(t), newPerson(t)
	colleague := w.clerk("beaumarais", "jonas")
	first, second := luc.order(w, "beaumarais", w.card("luc")), amina.order(w, "beaumarais", w.card("amina"))

	claire.open(w.invite("beaumarais", "Claire Dubois"))
	claire.click(`main a[href*="/sign-in"]`)
	claire.at("/login/")
	claire.click(`main a[href$="/card"]`)
	claire.withCard(w.card("claire"), w.card("claire").PIN)
	claire.at("/desk/join")
	claire.click(`form[action*="/join"] button`)
	claire.at("/desk")
	claire.waitFor("main table")
	colleague.preparedFor(first, "Claire Louise Dubois")
	colleague.preparedFor(second, "Claire Louise Dubois")
	desk := w.origin("beaumarais")
	claire.open(desk + "/fr/desk/ready?all=1")
	claire.accessible("41-ready")
	claire.click(`button[value=sign]`)
	claire.waitFor("form[data-sign]")
	claire.accessible("42-batch")
	if see, err := see(claire, chromedp.Evaluate[bool](`document.querySelector("[data-stop] button").checkVisibility()`)); err != nil || see {
		t.Errorf("a button to stop what has not begun (%v)", err)
	}
	claire.until("have the signing page's script", `!!document.querySelector("[data-status] [role=status]")`)

	seen := map[target.ID]bool{}
	for _, i := range claire.windows() {
		seen[i.TargetID] = true
	}
	claire.click("[data-begin]")
	agree := claire.confirmation(seen)
	agree.sees("Beaumarais")
	agree.sees(i18n.T(i18n.French, "agent.purpose_certificate", "Count", 2))
	agree.accessible("44-agent-certificate")
	agree.agrees(w.card("claire"))
	sign := claire.confirmation(seen)
	sign.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 1, "Documents", 2))
	sign.sees(desk)
	if shown := sign.text(".b-hash"); shown == "" || shown != claire.text(".b-hash") {
		t.Errorf("the card program shows the hash %q, the page %q", shown, claire.text(".b-hash"))
	}
	sign.accessible("45-agent-sign")
	claire.accessible("46-batch-working")
	sign.choose(w.card("claire"), "0000")
	sign.waitFor("#pin-error")
	sign.accessible("47-agent-wrong-pin")
	sign.choose(w.card("claire"), w.card("claire").PIN)
	stop := claire.confirmation(seen)
	stop.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 2, "Documents", 2))
	stop.click(`button[value=cancel]`)
	claire.sees(i18n.T(i18n.French, "clerk.batch.decided", "Count", 1))
	claire.sees(i18n.T(i18n.French, "clerk.sign.cancelled"))
	claire.accessible("48-report-stopped")

	claire.until("have the signing page's script", `!!document.querySelector("[data-status] [role=status]")`)
	claire.click("[data-begin]")
	claire.confirmation(seen).agrees(w.card("claire"))
	last := claire.confirmation(seen)
	last.sees(i18n.T(i18n.French, "agent.purpose_sign", "Number", 2, "Documents", 2))
	last.choose(w.card("claire"), w.card("claire").PIN)
	claire.sees(i18n.T(i18n.French, "clerk.batch.decided", "Count", 2))
	claire.accessible("49-report")
	w.bothAccepted(luc.waitIssued(first, 30*time.Second), "Claire Dubois")
	w.bothAccepted(amina.waitIssued(second, 30*time.Second), "Claire Dubois")
	w.noNumberLeaks()
}

// webEID plays the Web eID extension: what it is asked for lies in window.asked until
// the test, which has the cards, answers.
const webEID = `window.addEventListener('message', (e) => {
	const say = (action, more) => window.postMessage({action, ...more}, location.origin);
	const word = String(e.data.action).replace('web-eid:', '');
	if (word === 'status') { say('web-eid:status-ack'); say('web-eid:status-success', {extension: '2.2.0'}); }
	if (word !== 'get-signing-certificate' && word !== 'sign') return;
	say(e.data.action + '-ack');
	window.asked = e.data;
	window.answer = (more) => { window.asked = null; say(e.data.action + (more.error ? '-failure' : '-success'), more); };
});`

// asks waits until the page asks the extension for something.
func (b *tab) asks(action string) (asked struct{ Certificate, Hash, HashFunction string }) {
	b.t.Helper()
	b.until("be asked to "+action, `window.asked?.action === "web-eid:`+action+`"`)
	text, err := see(b, chromedp.Evaluate[string](`JSON.stringify(window.asked)`))
	if err == nil {
		err = json.Unmarshal([]byte(text), &asked)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return asked
}

func (b *tab) answers(v any) {
	b.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do("answer as the extension", chromedp.Evaluate[chromedp.Void](`window.answer(`+string(text)+`);0`))
}

// The Web eID extension is asked first, by its own protocol.
func TestBrowserSigningByWebEID(t *testing.T) {
	claire := browse(t)
	w := startWorld(t)
	card := w.card("claire")
	luc, colleague := newPerson(t), w.clerk("beaumarais", "jonas")
	order := luc.order(w, "beaumarais", w.card("luc"))
	claire.open(w.invite("beaumarais", "Claire Dubois"))
	claire.click(`main a[href*="/sign-in"]`)
	claire.at("/login/")
	claire.click(`main a[href$="/card"]`)
	claire.withCard(card, card.PIN)
	claire.at("/desk/join")
	claire.click(`form[action*="/join"] button`)
	claire.waitFor("main table")
	colleague.preparedFor(order, "Claire Louise Dubois")
	if _, err := chromedp.Call(claire.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: webEID}); err != nil {
		t.Fatal(err)
	}
	claire.open(w.origin("beaumarais") + "/fr/desk/ready?all=1")
	claire.click(`button[value=sign]`)
	begin := func() {
		t.Helper()
		claire.until("have the signing page's script", `!!document.querySelector("[data-status] [role=status]")`)
		claire.click("[data-begin]")
		claire.asks("get-signing-certificate")
		claire.answers(map[string]any{"certificate": card.Signature, "supportedSignatureAlgorithms": []any{}})
	}
	begin()
	claire.asks("sign")
	claire.answers(map[string]any{"error": map[string]string{"code": "ERR_WEBEID_USER_CANCELLED"}})
	claire.sees(i18n.T(i18n.French, "clerk.sign.cancelled"))
	begin()
	q := claire.asks("sign")
	hash, err := base64.StdEncoding.DecodeString(q.Hash)
	if err != nil || q.Certificate != base64.StdEncoding.EncodeToString(card.Signature) {
		t.Fatalf("another certificate is asked to sign (%v)", err)
	}
	signature, refusal := w.signs(card, card.Signature, asked{Hash: hash, HashFunction: q.HashFunction}, card.PIN)
	if refusal != "" {
		t.Fatal(refusal)
	}
	claire.answers(map[string]any{"signature": signature, "signatureAlgorithm": map[string]string{"cryptoAlgorithm": "ECC", "hashFunction": q.HashFunction, "paddingScheme": "NONE"}})
	claire.sees(i18n.T(i18n.French, "clerk.batch.decided", "Count", 1))
	w.bothAccepted(luc.waitIssued(order, 30*time.Second), "Claire Dubois")
}
