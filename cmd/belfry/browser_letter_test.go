package main

import (
	"bytes"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// J2, without paying online: by the federal service, two copies for a bank by post, at a
// price that is seen before; the fee is received, the paper issued, the letter printed and
// sent, and whoever gets it checks it.
func TestBrowserLetter(t *testing.T) {
	luc, claire := browse(t), browse(t)
	w := startWorld(t)
	order := luc.ordersByPost(w)
	page := claire.takesOrder(w, order)
	claire.receivesFee()
	luc.open(order)
	luc.sees("Redevance reçue")
	claire.click(`form[action*="/approve"] button`)
	claire.until("be approved", `!document.querySelector('form[action*="/approve"]')`)
	paper := luc.download(order)
	accepted(t, paper)
	luc.open(order)
	luc.sees("La commune l’imprime et l’envoie")
	luc.accessible("85-order-letter-waits")
	claire.sendsLetters(w)
	claire.open(page)
	claire.sees("Envoyé par courrier le")
	luc.open(order)
	luc.sees("document envoyé par courrier")
	luc.accessible("88-order-posted")
	if text := w.mailTo(t, "luc@example.org", "parti par courrier"); !strings.Contains(text, order[strings.Index(order, "/fr/"):]) || strings.Contains(text, w.card("luc").NationalNumber) {
		t.Errorf("the mail says %s", text)
	}
	if text := w.mailTo(t, "luc@example.org", "nous avons reçu"); !strings.Contains(text, "2 exemplaires à 2,00 €") || !strings.Contains(text, "5,00 €") {
		t.Errorf("the first mail says %s", text)
	}
	luc.checksCode(w, "fr", "authentique et valable")
	luc.accessible("89-letter-checked")
	w.noNumberLeaks()
}

// ordersByPost signs in by the federal service and orders; it returns the order's page.
func (luc *tab) ordersByPost(w *world) (order string) {
	t := luc.t
	luc.open(w.origin("beaumarais") + "/fr/documents/residence_history")
	luc.sees("Règlement-redevance de la commune")
	luc.accessible("80-product-fees")
	luc.click(`main a[href*="/form"]`)
	luc.waitFor(`main a[href$="/fas"]`)
	luc.click(`main a[href$="/fas"]`)
	luc.waitFor(`main a[href*="csam.localhost"]`)
	luc.click(`main a[href*="csam.localhost"]`)
	luc.at("/sso")
	luc.fill("select[name=person]", "luc")
	luc.click(`button[value=go]`)
	luc.at("/answer")
	luc.click("button")
	luc.at("/form")
	shown := func(css string) bool {
		got, err := see(luc, chromedp.Evaluate[bool](`!!document.querySelector("`+css+`").getClientRects().length`))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	luc.click(`input[name=delivery][value=download]`)
	if shown("#copies") || shown("#purpose") {
		t.Error("a free download is asked for copies or a purpose")
	}
	luc.click(`input[name=delivery][value=post]`)
	if !shown("#copies") || !shown("#purpose") {
		t.Error("a letter is not asked for copies and purpose")
	}
	luc.accessible("81-form-fees")
	luc.fill("#copies", "0")
	luc.fill("#email", "luc@example.org")
	luc.click(`form[action$="/form"] button`)
	luc.waitFor(".govuk-error-summary")
	luc.accessible("81-form-fees-error")
	luc.fill("#copies", "2")
	luc.click(`input[name=purpose][value=bank]`)
	luc.click(`form[action$="/form"] button`)
	luc.at("/check")
	said := luc.text("main")
	for _, want := range []string{"2 exemplaires à 2,00", "4,00", "Envoi par courrier", "1,00", "Envoyer la demande (5,00", "Banque ou crédit", "Adresse d’envoi"} {
		if !strings.Contains(said, want) {
			t.Errorf("the check page does not say %q:\n%s", want, said)
		}
	}
	luc.accessible("82-check-fees")
	luc.click(`form[action$="/send"] button`)
	luc.at("/sent")
	luc.accessible("83-sent-fees")
	if said := luc.text("main"); !strings.Contains(said, "5,00") || len(luc.text("main .b-code")) != 9 || !strings.Contains(said, "20") {
		t.Errorf("the confirmation says %s", said)
	}
	return strings.TrimSuffix(luc.location(), "/sent")
}

// takesOrder finds an order in the team's list, takes it and prepares its paper; it returns
// the order's page at the desk.
func (claire *tab) takesOrder(w *world, order string) string {
	claire.joins(w, "beaumarais", "Claire Louise Dubois", "claire")
	claire.open(w.origin("beaumarais") + "/fr/desk?show=team")
	claire.click(`main table a[href*="/desk/orders/` + order[strings.LastIndex(order, "/")+1:] + `"]`)
	claire.click(`form[action$="/assign"] button`)
	claire.until("be on it", `!!document.querySelector('form[action$="/assign"] input[name=to][value=""]')`)
	claire.click(`form[action*="/prepare"] button`)
	claire.sees("La redevance n’a pas encore été reçue")
	claire.accessible("84-desk-fee-due")
	return claire.location()
}

// receivesFee records the fee of the order that is shown.
func (claire *tab) receivesFee() {
	claire.click(`form[action$="/fee"] button`)
	claire.waitFor(".govuk-error-summary")
	claire.accessible("84-desk-fee-error")
	claire.click(`input[name=how][value=card]`)
	claire.fill("#receipt", "2026/17")
	claire.click(`form[action$="/fee"] button`)
	claire.sees("reçu n° 2026/17")
	claire.waitFor(`form[action*="/approve"]`)
	claire.accessible("84-desk-fee-received")
}

// sendsLetters prints what waits, and marks it as sent.
func (claire *tab) sendsLetters(w *world) {
	t := claire.t
	claire.open(w.origin("beaumarais") + "/fr/desk")
	claire.sees("Lettres à envoyer (1)")
	claire.click(`main a[href$="/desk/letters"]`)
	claire.waitFor(`form[action$="/desk/letters"]`)
	claire.accessible("86-letters")
	file := claire.fetchedBy(`fetch(document.querySelector('form[action$="/desk/letters"]').action, {method: "POST", body:
		new URLSearchParams([...new FormData(document.querySelector('form[action$="/desk/letters"]')), ["do", "print"]])})`, "letters.pdf")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Bytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	// The sheet and each copy begin on the front of a leaf.
	if pages, err := f.Pages(20); err != nil || len(pages) != 6 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
	keepAs(t, file, "letters.pdf")
	claire.click(`button[value=sent]`)
	claire.at("sent=1")
	claire.accessible("87-letters-sent")
}

// mailTo waits for a mail to somebody whose subject holds a text, and returns its words.
func (w *world) mailTo(t *testing.T, to, subject string) string {
	t.Helper()
	var decode mime.WordDecoder
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(w.dir, "mail", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mail.ReadMessage(bytes.NewReader(raw))
			if err != nil || !strings.Contains(m.Header.Get("To"), to) {
				continue
			}
			if said, err := decode.DecodeHeader(m.Header.Get("Subject")); err == nil && strings.Contains(said, subject) {
				text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
		}
	}
	t.Fatalf("no mail to %s about %q", to, subject)
	return ""
}
