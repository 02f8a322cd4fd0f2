package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

func cardStep(n *html.Node) bool { return n.Data == "form" && has(n, "data-card") }

// federal goes from the choice of ways, or the federal step, through the imitated
// federal service and back.
func (p *person) federal(name, means string) {
	p.t.Helper()
	if p.form("/cancel") == nil {
		p.t.Fatalf("no sign-in at %s (%d):\n%s", p.at, p.status, p.text())
	}
	if find(p.page, func(n *html.Node) bool { return strings.Contains(attr(n, "href"), "csam.localhost") }) == nil {
		p.follow("/fas")
		p.want(200, "CSAM")
	}
	p.follow("csam.localhost")
	p.want(200, "Who are you?")
	p.send("/answer", "person", name, "means", means, "do", "go")
	p.want(200, "Back to the service")
	p.send("/acs")
}

const itsme = "urn:be:fedict:iam:fas:Level450"

// A citizen without a reader signs in through the federal service, and is the same
// person as with the card; a commune without an agreement does not show it.
func TestFederalSignIn(t *testing.T) {
	w := startWorld(t)
	desk := w.clerk("beaumarais", "claire")
	luc := newPerson(t)
	luc.get(w.origin("beaumarais") + "/")
	luc.follow("/documents/")
	luc.follow("/form")
	luc.want(200, "itsme")
	luc.federal("luc", itsme)
	luc.want(200, "Lambert")
	luc.send("/form", "email", "luc@example.org", "document_language", "fr")
	luc.want(200)
	luc.send("/send")
	luc.want(200)
	order := strings.TrimSuffix(luc.at.String(), "/sent")
	desk.approve(order)

	again := newPerson(t) // another computer, and the card: the same orders
	again.get(order)
	again.signIn(w, w.card("luc"))
	again.want(200, "Lambert")
	if !strings.HasPrefix(again.at.String(), order) {
		t.Errorf("with the card the order is not seen; at %s:\n%s", again.at, again.text())
	}

	other := newPerson(t)
	other.get(w.origin("zandvoorde") + "/")
	other.follow("/documents/")
	other.follow("/form")
	if find(other.page, cardStep) == nil || strings.Contains(other.text(), "itsme") {
		t.Errorf("zandvoorde has no agreement, and shows:\n%s", other.text())
	}
	w.command(0, "journal", "--config", w.Belfry.Config, "beaumarais")
	w.noNumberLeaks()
}

// What nobody asked for, and who gives up there: one plain page, nobody signed in, and
// the way is still open.
func TestFederalRefusals(t *testing.T) {
	w := startWorld(t)
	p := newPerson(t)
	consumer := w.Provider.Issuers[0] + "/saml/beaumarais/acs"
	answer, err := p.client.PostForm(consumer, url.Values{"SAMLResponse": {"PHgvPg=="}, "RelayState": {"https://evil.example/"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 403 || answer.Request.URL.String() != consumer {
		t.Errorf("an answer that nobody asked for: %s at %s", answer.Status, answer.Request.URL)
	}
	p = atCard(w, "beaumarais")
	p.follow("/login/")
	p.follow("/fas")
	p.follow("csam.localhost")
	p.send("/answer", "do", "stop")
	p.send("/acs")
	p.says("fr", "fas.gave_up")
	p.federal("luc", itsme)
	p.want(200, "Lambert")
	p.get(w.Provider.Issuers[0] + "/saml/zandvoorde/metadata")
	p.want(404)
	p.get(w.Provider.Issuers[0] + "/saml/beaumarais/metadata")
	p.want(200)
}

// Who came through the federal service and signs out is signed out there too; who signs
// out there is no longer signed in here.
func TestFederalSignOut(t *testing.T) {
	w := startWorld(t)
	enter := func() *person {
		p := newPerson(t)
		p.get(w.origin("beaumarais") + "/")
		p.follow("/documents/")
		p.follow("/form")
		p.federal("luc", itsme)
		p.want(200, "Lambert")
		return p
	}
	there := strings.Replace(w.Provider.Issuers[0], "id.belfry.localhost", "csam.localhost", 1)

	p := enter()
	p.get(there + "/leave")
	p.want(200, "You are signed in")
	p.get(w.origin("beaumarais") + "/")
	p.send("/sign-out")
	p.want(200)
	p.says("fr", "portal.signed_out.title")
	p.get(there + "/leave")
	p.want(200, "Nobody is signed in")

	p = enter()
	p.get(there + "/leave")
	p.send("/leave")
	p.want(200, "You are signed out everywhere")
	p.get(w.Provider.Issuers[0] + "/logout")
	p.says("fr", "idp.signed_out_title")
	// Nor at the commune, whose page the service's did not lead through.
	orders := w.origin("beaumarais") + "/fr/orders"
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if p.get(orders); p.at.String() != orders {
			break // asked who they are
		}
		if time.Now().After(end) {
			t.Fatal("signed out at the service, and still signed in at the commune")
		}
	}

	// Nobody can sign somebody else out: one plain page, and the session goes on.
	p = enter()
	p.get(w.Provider.Issuers[0] + "/saml/beaumarais/slo?SAMLRequest=PHgvPg%3D%3D")
	p.want(403)
	p.says("fr", "fas.logout_refused")
	p.says("fr", "idp.logout_failed_title")
	p.get(w.origin("beaumarais") + "/fr/orders")
	p.want(200)
	w.command(0, "journal", "--config", w.Belfry.Config, "beaumarais")
}
