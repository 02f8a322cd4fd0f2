package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
)

// withCard answers the card step the person stands at, by the card program's own
// window, as somebody with a reader does.
func (b *tab) withCard(c worldCard, pin string) {
	b.t.Helper()
	agent := b.cardWindow()
	agent.choose(c, pin)
}

// cardWindow starts the card step and returns the card program's window.
func (b *tab) cardWindow() *tab {
	b.t.Helper()
	// A click before the script is there sends the form without a card.
	b.until("have the card step's script", `!!document.querySelector("[data-card-status] [role=status]")`)
	agent := b.newWindow("/confirm/", func() { b.click("form[data-card] button") })
	agent.waitFor("#pin")
	return agent
}

// inTheList is the script that chooses a card in the card program's window, where cards of
// one family may be.
func (c worldCard) inTheList() string {
	first, _, _ := strings.Cut(c.GivenNames, " ")
	return `[...document.querySelectorAll('input[name=card]')].map(i => [i, i.labels[0].textContent])
		.find(([i, name]) => name.includes("` + c.Surname + `") && name.includes("` + first + `"))[0].click();0`
}

func (b *tab) choose(c worldCard, pin string) {
	b.t.Helper()
	b.do("choose the card of "+c.Name, chromedp.Evaluate[chromedp.Void](c.inTheList()))
	b.fill("#pin", pin)
	b.click(`button[value=confirm]`)
}

// The main job as people see it: in Chromium, through the card program and SoftHSM, in
// the commune that is another site than the provider. Every page on the way is held to axe
// and to 320 px.
func TestBrowserJourney(t *testing.T) {
	sofie, wim := browse(t), browse(t)
	w := startWorld(t)

	sofie.open(w.origin("zandvoorde"))
	sofie.accessible("01-home")
	sofie.click(`main a[href*="/documents/"]`)
	sofie.at("/documents/")
	sofie.accessible("02-product")
	sofie.click(`main a[href*="/form"]`)
	sofie.waitFor("form[data-card]")
	sofie.accessible("03-card")
	agent := sofie.cardWindow()
	agent.accessible("04-agent")
	agent.choose(w.card("sofie"), "9999")
	agent.waitFor("#pin-error")
	agent.accessible("05-agent-wrong-pin")
	agent.choose(w.card("sofie"), w.card("sofie").PIN)

	sofie.at("/form")
	sofie.sees("Peeters")
	sofie.accessible("06-form")
	sofie.fill("#email", "no address")
	sofie.click("main form button")
	sofie.waitFor(".govuk-error-summary")
	if focus := sofie.text(".govuk-error-summary:focus-within, .govuk-error-summary:focus"); focus == "" {
		t.Error("the error summary has not the focus")
	}
	sofie.accessible("07-form-error")
	sofie.fill("#email", "sofie@example.org")
	sofie.forgetSession()
	sofie.click("main form button")
	sofie.withCard(w.card("sofie"), w.card("sofie").PIN)
	sofie.at("/form")
	if typed, err := see(sofie, chromedp.Value(chromedp.CSS("#email"))); err != nil || typed != "sofie@example.org" {
		t.Errorf("after a session that ended, the form holds %q (%v)", typed, err)
	}
	sofie.click("main form button")
	sofie.at("/check")
	sofie.accessible("08-check")
	sofie.click(`form[action*="/send"] button`)
	sofie.at("/sent")
	sofie.accessible("09-sent")
	order := strings.TrimSuffix(sofie.location(), "/sent")
	sofie.open(order)
	sofie.accessible("10-order-submitted")

	wim.open(w.invite("zandvoorde", "Wim Janssens"))
	wim.accessible("11-join")
	wim.click(`main a[href*="/sign-in"]`)
	wim.withCard(w.card("wim"), w.card("wim").PIN)
	wim.at("/desk/join")
	wim.accessible("12-join-confirm")
	wim.click(`form[action*="/join"] button`)
	wim.waitFor("main table")
	wim.accessible("13-inbox")
	wim.click(`main table a[href*="/desk/orders/"]`)
	wim.waitFor(`form[action*="/prepare"]`)
	wim.accessible("14-desk-order")
	wim.click(`form[action*="/prepare"] button`)
	wim.waitFor(`form[action*="/approve"]`)
	wim.accessible("15-desk-preview")
	wim.click(`form[action*="/approve"] button`)
	wim.until("be approved", `!document.querySelector('form[action*="/approve"]')`)
	wim.accessible("16-desk-approved")

	paper := sofie.download(order)
	sofie.open(order)
	sofie.accessible("17-order-issued")
	accepted(t, paper)
	keep(t, paper)
	bank := browse(t)
	bank.open(w.origin("zandvoorde") + "/nl/verify")
	bank.accessible("18-verify")
	bank.upload("input[type=file]", paper)
	bank.click(`form[enctype="multipart/form-data"] button`)
	bank.sees("Peeters")
	bank.accessible("19-verified-file")
	bank.open(w.origin("zandvoorde") + "/nl/verify")
	bank.upload("input[type=file]", spoiled(t, paper))
	bank.click(`form[enctype="multipart/form-data"] button`)
	bank.at("/verify/file")
	if strings.Contains(bank.text("main"), "Peeters") {
		t.Error("an altered paper is shown as genuine")
	}
	bank.accessible("20-altered-file")
	bank.comparesWithoutSending(w, paper)
	// A revision behind the seal takes the page's content away: what was sealed is shown.
	blank := emptied(t, paper)
	for _, language := range []string{"nl", "en"} {
		bank.open(w.origin("zandvoorde") + "/" + language + "/verify")
		bank.upload("input[type=file]", blank)
		bank.click(`form[enctype="multipart/form-data"] button`)
		bank.at("/verify/file")
		if drawn, err := see(bank, chromedp.Evaluate[int](`document.querySelectorAll("img.b-drawn[alt]").length`)); err != nil || drawn != 1 {
			t.Errorf("%s: %d pages are drawn (%v)", language, drawn, err)
		}
		bank.accessible("21-emptied-file-" + language)
	}
	bank.readsInOtherLanguages(w)
	w.noNumberLeaks()
}

// comparesWithoutSending has the browser reckon the hash of a paper, and of one that was
// altered, of which nothing more can be said without sending it (J14).
func (b *tab) comparesWithoutSending(w *world, paper string) {
	b.t.Helper()
	b.open(w.origin("zandvoorde") + "/nl/verify")
	b.upload("input[type=file]", spoiled(b.t, paper))
	b.click("[data-compare]")
	b.sees(i18n.T(i18n.Dutch, "check.sum_unknown"))
	b.accessible("22-compared-unknown")
	b.upload("input[type=file]", paper)
	b.click("[data-compare]")
	b.at("/verify/sum")
	b.sees("Peeters")
	b.sees(i18n.T(i18n.Dutch, "check.looked.unsent"))
	b.accessible("23-compared")
}

// emptied is the paper with a revision behind it whose pages show nothing.
func emptied(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Bytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := f.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := f.Dict(catalog["Pages"])
	if err != nil {
		t.Fatal(err)
	}
	kids, err := f.Array(tree["Kids"])
	if err != nil {
		t.Fatal(err)
	}
	first, ok := kids[0].(pdf.Ref)
	page, err := f.Dict(first)
	if err != nil || !ok {
		t.Fatal(err)
	}
	delete(page, "Contents")
	u := f.Update()
	u.Set(first, page)
	tail, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "emptied.pdf")
	if err := os.WriteFile(out, append(raw, tail...), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// forgetSession takes all cookies away, as time does: the card is asked for again.
func (b *tab) forgetSession() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		b.t.Fatal(err)
	}
}

// download waits until the order's paper can be had, with the browser's own cookies.
func (b *tab) download(order string) string {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "paper.pdf")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		pdf, err := see(b, chromedp.Evaluate[[]int](
			`fetch("`+order+`/document").then(r => r.ok ? r.arrayBuffer() : new ArrayBuffer(0)).then(a => Array.from(new Uint8Array(a)))`, chromedp.EvalAwaitPromise))
		if err != nil {
			b.t.Fatal(err)
		}
		if len(pdf) > 0 {
			content := make([]byte, len(pdf))
			for i, v := range pdf {
				content[i] = byte(v)
			}
			if err := os.WriteFile(file, content, 0o600); err != nil {
				b.t.Fatal(err)
			}
			return file
		}
	}
	b.t.Fatalf("the paper is not issued\n%s", b.state())
	return ""
}

// keep puts a paper beside the pictures, where BELFRY_SHOTS names a folder.
func keep(t *testing.T, paper string) { keepAs(t, paper, "paper.pdf") }

func keepAs(t *testing.T, paper, name string) {
	t.Helper()
	dir := os.Getenv("BELFRY_SHOTS")
	if dir == "" {
		return
	}
	content, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, name), content, 0o644)
}

// spoiled is a copy of a paper with one byte of its content changed.
func spoiled(t *testing.T, paper string) string {
	t.Helper()
	content, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/3] ^= 1
	file := filepath.Join(t.TempDir(), "altered.pdf")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
