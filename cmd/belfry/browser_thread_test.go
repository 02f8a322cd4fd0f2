package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// asksSofie: a clerk takes an order, asks the person for a paper, the person answers with
// a file, and the clerk goes on and refuses, saying how to appeal.
func (wim *tab) asksSofie(w *world, mine *tab) {
	t := wim.t
	sofie := newPerson(t)
	order := sofie.order(w, "zandvoorde", w.card("sofie"))
	id := order[strings.LastIndex(order, "/")+1:]

	wim.joins(w, "zandvoorde", "Wim Janssens", "wim")
	wim.waitFor("main table")
	wim.accessible("60-inbox")
	wim.click(`main table a[href*="/desk/orders/` + id + `"]`)
	wim.click(`form[action$="/assign"] button`)
	wim.until("be on it", `!!document.querySelector('form[action$="/assign"] input[name=to][value=""]')`)
	wim.fill("#note", "Kaart verloopt binnenkort.")
	wim.click(`form[action$="/note"] button`)
	wim.sees("Kaart verloopt binnenkort.")
	wim.accessible("61-desk-order-taken")
	wim.click(`main a[href$="/ask"]`)
	wim.waitFor("#template")
	wim.do("choose a text", chromedp.Evaluate[chromedp.Void](`document.querySelector("#template").value = "proof";0`))
	wim.click(`form[method=get] button`)
	wim.at("template=proof")
	wim.accessible("62-ask")
	wim.fill("#text", "")
	wim.click(`form[method=post][action$="/ask"] button`)
	wim.waitFor(".govuk-error-summary")
	wim.accessible("63-ask-error")
	wim.fill("#text", "Kunt u ons uw huurcontract sturen?")
	wim.click(`form[method=post][action$="/ask"] button`)
	wim.waitFor(`form[action$="/resume"]`)

	// The person reads it in their own browser.
	mine.open(order)
	mine.reachesCard()
	mine.withCard(w.card("sofie"), w.card("sofie").PIN)
	mine.sees("Kunt u ons uw huurcontract sturen?")
	if said := mine.text("main"); strings.Contains(said, "verloopt") || strings.Contains(said, "Wim") {
		t.Errorf("the person reads %s", said)
	}
	mine.accessible("65-order-asked")
	mine.click(`form[action$="/message"] button`)
	mine.waitFor(".govuk-error-summary")
	mine.until("have the page as a whole", `document.readyState === "complete"`) // on a busy machine it is still on its way
	mine.fill("#message", "Hier is het.")
	mine.upload("#files", namedFile(t, "huurcontract.html", []byte("<html>")))
	mine.click(`form[action$="/message"] button`)
	mine.waitFor("#files-error")
	mine.accessible("67-order-wrong-file")
	mine.upload("#files", namedFile(t, "huurcontract.png", drawing(t)))
	mine.click(`form[action$="/message"] button`)
	mine.until("have answered", `!document.querySelector("#files-error") && !!document.querySelector('a[download][href*="/files/"]')`)
	mine.accessible("68-order-answered")

	wim.open(w.origin("zandvoorde") + "/nl/desk?show=answered")
	wim.sees("De persoon heeft geschreven")
	wim.click(`main table a[href*="/desk/orders/` + id + `"]`)
	wim.sees("Hier is het.")
	wim.accessible("70-desk-order-answered")
	if got := wim.fetches(`main a[download]`); !strings.HasPrefix(got, "attachment; filename=huurcontract.png") {
		t.Errorf("the file comes as %q", got)
	}
	wim.click(`main a[href$="/refuse"]`)
	wim.waitFor(`form[action$="/refuse"]`)
	wim.do("choose a ground", chromedp.Evaluate[chromedp.Void](`document.querySelector("input[name=ground][value=other]").click();0`))
	wim.fill("#text", "Het contract is niet getekend.")
	wim.click(`form[action$="/refuse"] button`)
	wim.until("have refused", `!document.querySelector('form[action$="/refuse"]')`)
	mine.open(order)
	mine.sees("Raad van State")
	mine.accessible("71-order-refused")

	for name, path := range map[string]string{"72-figures": "/nl/desk/figures", "73-absence": "/nl/desk/absence", "74-inbox-closed": "/nl/desk?show=closed"} {
		wim.open(w.origin("zandvoorde") + path)
		wim.accessible(name)
	}
}

// reachesCard goes to the card step, past the page that offers several ways where there is one.
func (b *tab) reachesCard() {
	b.t.Helper()
	b.until("be at the sign-in", `location.href.includes("/login/")`)
	if card, err := see(b, chromedp.Evaluate[bool](`!document.querySelector("form[data-card]") && !!document.querySelector('main a[href$="/card"]')`)); err == nil && card {
		b.click(`main a[href$="/card"]`)
	}
	b.waitFor("form[data-card]")
}

// joins takes a clerk by their invitation and card to the desk.
func (b *tab) joins(w *world, commune, name, card string) {
	b.t.Helper()
	b.open(w.invite(commune, name))
	b.click(`main a[href*="/sign-in"]`)
	b.reachesCard()
	b.withCard(w.card(card), w.card(card).PIN)
	b.at("/desk/join")
	b.click(`form[action*="/join"] button`)
	b.waitFor(".b-tabs")
}

// fetches is how a link's file is to be handled by a browser.
func (b *tab) fetches(css string) string {
	b.t.Helper()
	how, err := see(b, chromedp.Evaluate[string](`fetch(document.querySelector('`+css+`').href).then(r => r.headers.get("content-disposition"))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return how
}

// namedFile is a file of this name.
func namedFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func drawing(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 60, 40))
	for x := range 60 {
		img.Set(x, x*2/3, color.RGBA{R: 200, A: 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
