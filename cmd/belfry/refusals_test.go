package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// atCard brings a person to the card step of a commune's form.
func atCard(w *world, commune string) *person {
	w.t.Helper()
	p := newPerson(w.t)
	p.get(w.origin(commune) + "/")
	p.follow("/documents/")
	p.follow("/form")
	if find(p.page, cardStep) == nil { // the commune offers several ways
		p.follow("/card")
	}
	return p
}

// says fails the test unless the page holds the text of a message key in a language.
func (p *person) says(l i18n.Language, key string, args ...any) {
	p.t.Helper()
	want := strings.Join(strings.Fields(i18n.T(l, key, args...)), " ")
	if !strings.Contains(p.text(), want) {
		p.t.Errorf("%s does not say %s, %q:\n%s", p.at, key, want, p.text())
	}
}

// Each card that may not sign in is told its own reason, and the same sign-in goes
// on with a good card: nothing is lost.
func TestCardsThatAreRefused(t *testing.T) {
	w := startWorld(t)
	for card, key := range map[string]string{"marc": "card.revoked", "greta": "card.expired", "nina": "card.unknown_ca"} {
		t.Run(card, func(t *testing.T) {
			p := atCard(w, "beaumarais")
			p.signIn(w, w.card(card))
			p.says(i18n.French, key)
			p.signIn(w, w.card("luc"))
			p.want(200, "Lambert")
		})
	}
	t.Run("responder down", func(t *testing.T) {
		w.tell("ocsp", "gone")
		w.tell("crl", "gone")
		t.Cleanup(func() { w.post(w.Control.URL+"/reset", nil) })
		p := atCard(w, "beaumarais")
		p.signIn(w, w.card("amina"))
		p.says(i18n.French, "card.responder_down")
		w.post(w.Control.URL+"/reset", nil)
		p.signIn(w, w.card("amina"))
		p.want(200, "El Idrissi")
	})
	t.Run("used twice", func(t *testing.T) {
		p := atCard(w, "beaumarais")
		step := find(p.page, func(n *html.Node) bool { return n.Data == "form" && has(n, "data-card") })
		token := w.token(w.card("luc"), p.at.Scheme+"://"+p.at.Host, attr(step, "data-nonce"))
		action, page := attr(step, "action"), p.at.String()
		p.send(action, "token", token)
		p.want(200, "Lambert")
		if err := p.tryGet(page); err != nil {
			t.Fatal(err)
		}
		if form := p.form(action); form != nil {
			p.send(action, "token", token, "nonce", attr(step, "data-nonce"))
		}
		if strings.Contains(p.text(), "Lambert") && p.status == http.StatusOK && strings.Contains(p.at.Path, "/documents/") {
			t.Error("a token signed in twice")
		}
	})
	t.Run("another browser", func(t *testing.T) {
		victim, thief := atCard(w, "beaumarais"), newPerson(t)
		thief.get(victim.at.String())
		if find(thief.page, func(n *html.Node) bool { return n.Data == "form" && has(n, "data-card") }) != nil {
			t.Errorf("another browser can finish this sign-in:\n%s", thief.text())
		}
		if thief.status < 400 {
			t.Errorf("status %d", thief.status)
		}
	})
	w.noNumberLeaks()
}

// Somebody who lives in another commune hears which, with a link, and gets nothing.
func TestSomebodyOfAnotherCommune(t *testing.T) {
	w := startWorld(t)
	p := atCard(w, "beaumarais")
	p.signIn(w, w.card("jonas"))
	if !strings.Contains(p.text(), "Mont-Tilleul") && !strings.Contains(p.text(), "Lindenberg") {
		t.Errorf("the commune is not named:\n%s", p.text())
	}
	if p.form("/send") != nil || p.form("/form") != nil {
		t.Error("the form is offered all the same")
	}
	p.get(w.origin("beaumarais") + "/fr/orders")
	p.want(200)
	if strings.Contains(p.text(), "Certificat de résidence principale") {
		t.Errorf("an order was made:\n%s", p.text())
	}
}

// Double clicks, stale previews and two clerks: one order, one number, one winner.
func TestNothingHappensTwice(t *testing.T) {
	w := startWorld(t)
	citizen := atCard(w, "beaumarais")
	citizen.signIn(w, w.card("luc"))
	citizen.send("/form", "document_language", "fr", "contact", "none")
	t.Run("double click on send", func(t *testing.T) {
		form := citizen.form("/send")
		values, action := fieldsOf(form), citizen.resolve(attr(form, "action"))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r, _ := http.NewRequest("POST", action, strings.NewReader(values.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer, err := citizen.client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("status %d", answer.StatusCode)
				}
			})
		}
		wg.Wait()
		citizen.get(w.origin("beaumarais") + "/fr/orders")
		citizen.want(200)
		orders := map[string]bool{}
		find(citizen.page, func(n *html.Node) bool {
			if href := attr(n, "href"); n.Data == "a" && strings.Contains(href, "/orders/") {
				orders[href] = true
			}
			return false
		})
		if len(orders) != 1 {
			t.Errorf("%d orders: %v", len(orders), orders)
		}
		t.Logf("20 times sent at once: %d order", len(orders))
	})
	citizen.follow("/orders/0")
	order := citizen.at.String()
	claire := w.clerk("beaumarais", "claire")
	desk := strings.Replace(order, "/orders/", "/desk/orders/", 1)
	t.Run("stale preview", func(t *testing.T) {
		claire.get(desk)
		claire.send("/prepare")
		claire.want(200)
		form := claire.form("/approve")
		old := attr(find(form, func(n *html.Node) bool { return attr(n, "name") == "content" }), "value")
		time.Sleep(1100 * time.Millisecond) // the second on the paper is another
		claire.send("/prepare")
		claire.want(200)
		claire.send("/approve", "content", old)
		if claire.status != http.StatusConflict {
			t.Errorf("approving what is no longer there: %d\n%s", claire.status, claire.text())
		}
	})
	t.Run("double click on approve", func(t *testing.T) {
		claire.get(desk)
		claire.want(200)
		claire.send("/approve")
		claire.want(200)
		citizen.waitIssued(order, 30*time.Second)
		if err := claire.trySend("/approve"); err == nil {
			t.Error("the button is still there")
		}
	})
	w.command(0, "journal", "--config", w.Belfry.Config, "beaumarais")
}

// A clerk's own order is for a colleague.
func TestAClerkDoesNotDecideForThemselves(t *testing.T) {
	w := startWorld(t)
	claire := w.clerk("beaumarais", "claire")
	claire.get(w.origin("beaumarais") + "/")
	claire.follow("/documents/")
	claire.follow("/form")
	claire.want(200, "Dubois")
	claire.send("/form", "document_language", "fr", "contact", "none")
	claire.send("/send")
	claire.want(200)
	order := strings.TrimSuffix(claire.at.String(), "/sent")
	claire.get(strings.Replace(order, "/orders/", "/desk/orders/", 1))
	claire.says(i18n.French, "clerk.order.own")
	if claire.form("/prepare") != nil || claire.form("/approve") != nil {
		t.Error("the clerk may decide on the own order")
	}
}

// Files that are no papers of ours are answered in words, and the server goes on.
func TestHostileFilesAtTheVerificationPage(t *testing.T) {
	w := startWorld(t)
	for name, content := range map[string][]byte{
		"empty":     {},
		"text":      []byte("not a PDF"),
		"header":    []byte("%PDF-1.7\n"),
		"huge size": []byte("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\nxref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer<</Size 999999999/Root 1 0 R>>\nstartxref\n45\n%%EOF"),
		"loop":      []byte("%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer<</Size 1/Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF"),
		"nested":    append([]byte("%PDF-1.7\n1 0 obj"), bytes.Repeat([]byte("["), 200_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			p.uploadFile(w.origin("beaumarais")+"/fr/verify", content)
			if p.status >= 500 || p.status < 200 {
				t.Errorf("status %d:\n%s", p.status, p.text())
			}
		})
	}
	newPerson(t).get(w.origin("beaumarais") + "/")
}

// uploadFile hands a file to the verification page.
func (p *person) uploadFile(page string, content []byte) {
	p.t.Helper()
	p.get(page)
	form := find(p.page, func(n *html.Node) bool { return attr(n, "enctype") == "multipart/form-data" })
	if form == nil {
		p.t.Fatalf("no upload form at %s:\n%s", p.at, p.text())
	}
	field := find(form, func(n *html.Node) bool { return attr(n, "type") == "file" })
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile(attr(field, "name"), "paper.pdf")
	part.Write(content)
	m.Close()
	r, err := http.NewRequest("POST", p.resolve(attr(form, "action")), &body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	if err := p.try(r); err != nil {
		p.t.Fatal(err)
	}
}
