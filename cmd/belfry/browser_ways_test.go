package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// orders has somebody order a product in a commune, from the form to where sending leads.
// The card is asked for where the session has none.
func (b *tab) orders(w *world, commune, product string) {
	b.t.Helper()
	b.open(w.origin(commune) + "/nl/documents/" + product)
	b.click(`main a[href*="/form"]`)
	b.until("be at the form or the card", `(location.href.includes("/form") && !!document.querySelector("main form")) || !!document.querySelector("form[data-card]")`)
	if !strings.Contains(b.location(), "/documents/") {
		b.withCard(w.card("sofie"), w.card("sofie").PIN)
	}
	b.at("/documents/" + product + "/form")
	b.click("label[for=contact-none]")
	b.click("main form button")
	b.at("/check")
	b.click(`form[action*="/send"] button`)
}

// Two papers that Belfry does not make, in Chromium: one that the register seals, there at
// once; one that a clerk attaches. Each page on the way is held to axe and to 320 px.
func TestBrowserPapersFromElsewhere(t *testing.T) {
	sofie, wim := browse(t), browse(t)
	w := startWorld(t, "--way", "zandvoorde.residence=source", "--way", "zandvoorde.household=attached")

	sofie.orders(w, "zandvoorde", "residence")
	sofie.until("have the paper at once", `/\/orders\/[0-9a-f-]{36}$/.test(location.pathname) && !!document.querySelector('main a[download]')`)
	sofie.accessible("ways-01-relayed")
	relayed := sofie.download(sofie.location())
	unchanged(t, relayed)
	bank := browse(t)
	bank.open(w.origin("zandvoorde") + "/nl/verify")
	bank.upload("input[type=file]", relayed)
	bank.click(`form[enctype="multipart/form-data"] button`)
	bank.sees("ongewijzigd bezorgd via Zandvoorde")
	bank.accessible("ways-02-verified")

	sofie.orders(w, "zandvoorde", "household")
	sofie.at("/sent")
	order := strings.TrimSuffix(sofie.location(), "/sent")
	wim.open(w.invite("zandvoorde", "Wim Janssens"))
	wim.click(`main a[href*="/sign-in"]`)
	wim.withCard(w.card("wim"), w.card("wim").PIN)
	wim.at("/desk/join")
	wim.click(`form[action*="/join"] button`)
	wim.waitFor("main table")
	wim.click(`main table a[href*="/desk/orders/"]`)
	wim.waitFor(`main a[href*="/attach"]`)
	wim.accessible("ways-03-desk-order")
	wim.click(`main a[href*="/attach"]`)
	wim.waitFor("#file")
	wim.accessible("ways-04-attach")
	wim.upload("#file", written(t, "page.pdf", []byte("<!doctype html><title>no paper</title>")))
	wim.click(`form[action*="/attach"] button`)
	wim.waitFor("#file-error")
	if focus := wim.text(".govuk-error-summary:focus-within, .govuk-error-summary:focus"); focus == "" {
		t.Error("the error summary has not the focus")
	}
	wim.accessible("ways-05-attach-refused")
	made := pdftest.Build(pdftest.Table, pdftest.Plain())
	wim.upload("#file", written(t, "household.pdf", made))
	wim.click(`form[action*="/attach"] button`)
	wim.waitFor(`form[action*="/approve"]`)
	wim.accessible("ways-06-attached")
	wim.click(`form[action*="/approve"] button`)
	wim.until("be approved", `!document.querySelector('form[action*="/approve"]')`)

	paper := sofie.download(order)
	sofie.open(order)
	sofie.accessible("ways-07-issued")
	accepted(t, paper)
	keep(t, paper)
	sealed, err := os.ReadFile(paper)
	if err != nil || !bytes.HasPrefix(sealed, made) {
		t.Errorf("the sealed paper does not begin with what the clerk attached (%v)", err)
	}
	bank.open(w.origin("zandvoorde") + "/nl/verify")
	bank.upload("input[type=file]", paper)
	bank.click(`form[enctype="multipart/form-data"] button`)
	bank.sees("Peeters")
	if drawn, err := see(bank, chromedp.Evaluate[int](`document.querySelectorAll("img.b-drawn[alt]").length`)); err != nil || drawn != 1 {
		t.Errorf("%d pages are drawn (%v)", drawn, err)
	}
	if said := w.command(0, "check", "--config", w.Belfry.Config); !strings.Contains(said, "residence sealed by rn") || !strings.Contains(said, "household attached by a clerk") || !strings.Contains(said, "ok      source rn") {
		t.Errorf("belfry check says\n%s", said)
	}
	w.noNumberLeaks()
}

func written(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
