package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// upstream goes from the choice of ways through an imitated OpenID provider and back.
func (p *person) upstream(source, name, means string) {
	p.t.Helper()
	p.atSource(source)
	p.want(200, "who are you?")
	p.send("/choose", "person", name, "means", means, "do", "go")
	if p.form("/return") != nil { // the answer is a form that the other site posts
		p.send("/return")
	}
}

// atSource goes from the choice of ways, or the source's own step, to the source.
func (p *person) atSource(source string) {
	p.t.Helper()
	there := func(n *html.Node) bool {
		return n.Data == "a" && strings.HasPrefix(attr(n, "href"), "http://"+source+".localhost")
	}
	if find(p.page, there) == nil {
		p.follow("/" + source)
	}
	a := find(p.page, there)
	if a == nil {
		p.t.Fatalf("no way to %s at %s (%d):\n%s", source, p.at, p.status, p.text())
	}
	p.get(attr(a, "href"))
}

const (
	mairie       = "saintaubin"
	itsmeMeans   = "http://itsme.services/v2/claim/acr_advanced"
	eidas1       = "eidas1"
	eidas3       = "eidas3"
	placeOfBirth = "Lille"
)

// agent is a clerk of the mairie who has joined its desk by invitation and directory.
func (w *world) agent(name, fullName string) *person {
	w.t.Helper()
	p := newPerson(w.t)
	p.get(w.invite(mairie, fullName))
	p.want(200, "compte de l’administration")
	p.follow("/sign-in")
	p.upstream("directory", name, "")
	p.want(200)
	p.send("/join")
	p.want(200)
	return p
}

// life orders the certificate of life at the mairie, up to the confirmation.
func (p *person) life(w *world, source, name, means string) string {
	p.t.Helper()
	p.get(w.origin(mairie) + "/")
	p.want(200, "Certificat de vie")
	p.follow("/documents/fr_life")
	p.want(200)
	p.follow("/form")
	p.upstream(source, name, means)
	p.want(200, "Repris du service")
	p.send("/form", "birth_place", placeOfBirth, "home_address", "3 rue du Port, 59999 Saint-Aubin", "email", name+"@example.org")
	p.want(200, placeOfBirth)
	p.send("/send")
	p.want(200)
	return strings.TrimSuffix(p.at.String(), "/sent")
}

// The main job at a French mairie: no card, no national number, no register. A citizen
// signs in with FranceConnect, an agent by the directory, and the paper is sealed.
func TestMairie(t *testing.T) {
	w := startWorld(t)
	desk := w.agent("bruno", "Bruno Caron")
	helene := newPerson(t)
	order := helene.life(w, "franceconnect", "helene", eidas1)
	desk.approve(order)
	pdf := helene.waitIssued(order, 30*time.Second)
	file := filepath.Join(t.TempDir(), "vie.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	accepted(t, file)
	w.command(0, "verify", file, "--trust", filepath.Dir(w.PKI.Roots))
	if text := textOf(t, file); !strings.Contains(text, "Moreau") || !strings.Contains(text, "12 avril 1951") || !strings.Contains(text, placeOfBirth) || !strings.Contains(text, "Mairie") {
		t.Errorf("the paper says:\n%s", text)
	}

	again := newPerson(t) // another computer: the same person by the same service
	again.get(order)
	again.upstream("franceconnect", "helene", eidas1)
	again.want(200, "Moreau")
	other := newPerson(t) // somebody else sees nothing of it
	other.get(order)
	other.upstream("franceconnect", "karim", eidas1)
	other.want(404)

	// Yvonne works here. Her own order is her colleague's to decide, though FranceConnect
	// and the directory know her under different subjects.
	yvonne := newPerson(t)
	own := yvonne.life(w, "franceconnect-plus", "yvonne", eidas3)
	hers := w.agent("yvonne", "Yvonne Lefèvre")
	hers.get(strings.Replace(own, "/orders/", "/desk/orders/", 1))
	if hers.form("/prepare") != nil {
		hers.send("/prepare")
	}
	if hers.form("/approve") != nil || !strings.Contains(hers.text(), "propre demande") {
		t.Errorf("an agent may decide her own order: %s", hers.text())
	}
	desk.approve(own)
	if !bytes.HasPrefix(yvonne.waitIssued(own, 30*time.Second), []byte("%PDF-")) {
		t.Error("Yvonne's paper is not issued")
	}

	// The directory knows Luce too, but she is not of the right group.
	luce := newPerson(t)
	luce.get(w.origin(mairie) + "/fr/desk")
	luce.upstream("directory", "luce", "")
	luce.says("fr", "upstream.not_allowed")
	// A colleague who signs in by the directory orders nothing for himself: it tells no date of birth.
	desk.get(w.origin(mairie) + "/fr/documents/fr_life/form")
	desk.says("fr", "orders.no_birth_date")

	w.command(0, "journal", "--config", w.Belfry.Config, mairie)
	w.command(0, "check", "--config", w.Belfry.Config)
	w.noNumberLeaks()
}

// itsme tells the national number: who came by it is the same person as with the card, and
// a lower means than the commune's map holds signs nobody in.
func TestItsme(t *testing.T) {
	w := startWorld(t)
	luc := newPerson(t)
	luc.get(w.origin("beaumarais") + "/")
	luc.follow("/documents/")
	luc.follow("/form")
	luc.upstream("itsme", "luc", itsmeMeans)
	luc.want(200, "Lambert")
	luc.send("/form", "email", "luc@example.org", "document_language", "fr")
	luc.want(200)
	luc.send("/send")
	luc.want(200)
	order := strings.TrimSuffix(luc.at.String(), "/sent")
	w.clerk("beaumarais", "claire").approve(order)
	luc.waitIssued(order, 30*time.Second)
	again := newPerson(t)
	again.get(order)
	again.signIn(w, w.card("luc"))
	again.want(200, "Lambert")
	w.noNumberLeaks()
}

// Who gives up there, answers that nobody asked for, another commune's, and a replay.
func TestUpstreamRefusals(t *testing.T) {
	w := startWorld(t)
	base := w.Provider.Issuers[0] + "/upstream/" + mairie + "/franceconnect"
	p := newPerson(t)
	p.get(base + "/return?" + url.Values{"state": {"made up"}, "code": {"x"}}.Encode())
	p.want(403)
	answer, err := p.client.PostForm(base+"/return", url.Values{"state": {"made up"}, "code": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 403 {
		t.Errorf("a posted answer that nobody asked for: %s", answer.Status)
	}
	p.get(base + "/jwks") // a client secret proves us there, and nothing is encrypted
	p.want(404)
	p.get(w.Provider.Issuers[0] + "/upstream/beaumarais/franceconnect/return?state=x&code=y")
	p.want(403)
	p.get(w.Provider.Issuers[0] + "/upstream/beaumarais/itsme/jwks")
	if p.status != 200 || bytes.Contains(p.body, []byte(`"d"`)) || strings.Count(string(p.body), `"kid"`) != 2 {
		t.Errorf("the keys for itsme: %d %s", p.status, p.body)
	}

	p = newPerson(t)
	p.get(w.origin(mairie) + "/fr/orders")
	p.want(200, "FranceConnect")
	chosen := p.at
	p.atSource("franceconnect")
	p.send("/choose", "do", "stop")
	p.says("fr", "upstream.gave_up")
	thief := newPerson(t)
	p.atSource("franceconnect")
	p.client.CheckRedirect = stopAtReturn
	p.send("/choose", "person", "helene", "means", eidas1, "do", "go")
	stolen := p.resolve(p.header.Get("Location"))
	p.client.CheckRedirect = nil
	thief.get(stolen)
	thief.want(403)
	p.get(strings.Replace(stolen, "/franceconnect/", "/franceconnect-plus/", 1)) // mixed up
	p.want(403)
	p.get(stolen)
	p.want(200)
	if !strings.HasPrefix(p.at.String(), w.origin(mairie)) {
		t.Errorf("the one who asked is at %s", p.at)
	}
	p.get(stolen)
	p.want(403)
	p.get(chosen.String())
	p.want(404)
}

// stopAtReturn keeps the browser from following the answer back to us.
func stopAtReturn(r *http.Request, _ []*http.Request) error {
	if strings.HasSuffix(r.URL.Path, "/return") {
		return http.ErrUseLastResponse
	}
	return nil
}

// textOf is the text of a PDF.
func textOf(t *testing.T, file string) string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		missing(t, "poppler-utils")
	}
	out, err := exec.Command("pdftotext", "-layout", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Signing out here signs out at the directory too, and comes back to the commune.
func TestSignOutIsPassedOn(t *testing.T) {
	w := startWorld(t)
	bruno := w.agent("bruno", "Bruno Caron")
	bruno.get(w.origin(mairie) + "/fr/desk")
	bruno.want(200, "Caron")
	bruno.send("/sign-out")
	if bruno.want(200); !strings.HasPrefix(bruno.at.String(), w.origin(mairie)+"/") || !strings.HasSuffix(bruno.at.Path, "/signed-out") {
		t.Errorf("signed out, and at %s:\n%s", bruno.at, bruno.text())
	}
	bruno.get(w.origin(mairie) + "/fr/desk")
	bruno.atSource("directory")
	bruno.want(200, "who are you?")
}
