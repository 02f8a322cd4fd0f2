package main

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// totp is a means of the federal service that beaumarais takes for less than its paper asks.
const totp = "urn:be:fedict:iam:fas:Level400"

// join is somebody who has joined a desk by an invitation of the operator's.
func (w *world) join(name, invitation string) *person {
	w.t.Helper()
	p := newPerson(w.t)
	p.get(invitation)
	p.follow("/sign-in")
	p.signIn(w, w.card(name))
	p.want(200)
	p.send("/join")
	p.want(200)
	return p
}

func (w *world) administrator(commune, name string) *person {
	w.t.Helper()
	return w.join(name, strings.TrimSpace(w.command(0, "staff", "invite", "--config", w.Belfry.Config, "--role", "administrator", "--delegate", "mayor", "--decision", "essai", commune, name)))
}

// A means that is not enough for a paper lets people in, and to the form; before sending
// they show more, and find what they filled in.
func TestStepUpKeepsTheForm(t *testing.T) {
	w := startWorld(t)
	luc := newPerson(t)
	luc.get(w.origin("beaumarais") + "/")
	luc.follow("/documents/")
	luc.follow("/form")
	luc.federal("luc", totp)
	luc.want(200, "Lambert")
	luc.send("/form", "email", "kept@example.org", "document_language", "fr")
	luc.want(200, "plus sûr de votre identité")
	if !strings.Contains(luc.at.Path, "/login/") {
		t.Fatalf("at %s", luc.at)
	}

	// Giving up costs nothing: the portal says why, and offers the step again.
	luc.send("/cancel")
	luc.want(403)
	luc.get(w.origin("beaumarais") + "/fr/documents/residence/check")
	luc.signIn(w, w.card("luc"))
	luc.want(200, "kept@example.org", "Lambert")
	luc.send("/send")
	luc.want(200)
	if !strings.HasSuffix(luc.at.Path, "/sent") {
		t.Fatalf("at %s:\n%s", luc.at, luc.text())
	}

	// Somebody else's card at that step does not get the form.
	amina := newPerson(t)
	amina.get(w.origin("beaumarais") + "/fr/documents/residence/form")
	amina.federal("luc", totp)
	amina.send("/form", "email", "kept@example.org", "document_language", "fr")
	amina.signIn(w, w.card("amina"))
	amina.want(200, "El Idrissi")
	if strings.Contains(string(amina.body), "kept@example.org") {
		t.Error("somebody else finds what was filled in")
	}
	w.command(0, "journal", "--config", w.Belfry.Config, "beaumarais")
	w.noNumberLeaks()
}

// Two administrators join two records; the person reads of it and sees the papers of
// both; it is undone.
func TestMergeJourney(t *testing.T) {
	w := startWorld(t)
	luc := newPerson(t)
	order := luc.order(w, "beaumarais", w.card("luc"))
	orders := w.origin("beaumarais") + "/fr/orders"
	second := func() *person {
		p := newPerson(t)
		p.get(orders)
		p.signIn(w, w.card("amina"))
		return p
	}
	if p := second(); p.tryGet(order) != nil || p.status == 200 {
		t.Fatal("another person's order is seen")
	}
	own := newPerson(t).order(w, "beaumarais", w.card("amina"))

	claire, wim := w.administrator("beaumarais", "claire"), w.administrator("beaumarais", "wim")
	clerk := w.clerk("beaumarais", "sofie")
	clerk.get(w.Provider.Issuers[0] + "/persons/beaumarais")
	clerk.says("fr", "person.not_staff")
	claire.get(w.origin("beaumarais") + "/fr/desk/staff")
	claire.follow("/persons/beaumarais")
	claire.says("fr", "person.none")
	claire.send("/propose", "one", w.card("luc").NationalNumber, "other", w.card("amina").NationalNumber, "reason", "seen at the counter")
	claire.says("fr", "person.colleague")
	wim.get(w.Provider.Issuers[0] + "/persons/beaumarais")
	wim.want(200, "seen at the counter", "Lambert", "El Idrissi")
	wim.send("/confirm")
	wim.says("fr", "person.done_title")

	p := second()
	p.says("fr", "person.notice_title")
	p.send("/read")
	p.want(200)
	for _, address := range []string{order, own} {
		if find(p.page, func(n *html.Node) bool { return strings.HasSuffix(address, attr(n, "href")) && attr(n, "href") != "" }) == nil {
			t.Errorf("%s is not listed:\n%s", address, p.text())
		}
	}
	for _, address := range []string{order, own} {
		p.get(address)
		p.want(200)
	}

	claire.get(w.Provider.Issuers[0] + "/persons/beaumarais")
	claire.send("/undo")
	claire.says("fr", "person.none")
	p = second()
	p.says("fr", "person.notice_title")
	p.send("/read")
	if p.tryGet(order) != nil || p.status == 200 {
		t.Error("after it was undone the order is still seen")
	}
	w.command(0, "journal", "--config", w.Belfry.Config, "beaumarais")
	w.noNumberLeaks()
}
