package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
)

// attach sends a file at the order's page of the desk, as its form does.
func (p *person) attach(order string, file []byte) {
	p.t.Helper()
	p.get(strings.Replace(order, "/orders/", "/desk/orders/", 1) + "/attach")
	p.want(200)
	form := find(p.page, func(n *html.Node) bool { return n.Data == "form" && attr(n, "enctype") == "multipart/form-data" })
	if form == nil {
		p.t.Fatalf("no form at %s:\n%s", p.at, p.text())
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	parts.WriteField("corner", "bottom-right")
	part, err := parts.CreateFormFile("file", "household.pdf")
	if err != nil {
		p.t.Fatal(err)
	}
	part.Write(file)
	parts.Close()
	r, err := http.NewRequest("POST", p.resolve(attr(form, "action")), &body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", parts.FormDataContentType())
	if err := p.try(r); err != nil {
		p.t.Fatal(err)
	}
}

// The second and the third way to a paper, through every part: a register that is silent,
// sealed by a stranger, and good; files that are refused, and one that is sealed.
func TestPapersFromElsewhere(t *testing.T) {
	w := startWorld(t, "--way", "zandvoorde.residence=source", "--way", "beaumarais.residence=attached")
	wim, claire := w.clerk("zandvoorde", "wim"), w.clerk("beaumarais", "claire")
	trust := filepath.Dir(w.PKI.Roots)

	sofie := newPerson(t)
	w.tell("source", "stranger")
	refused := sofie.order(w, "zandvoorde", w.card("sofie"))
	desk := strings.Replace(refused, "/orders/", "/desk/orders/", 1)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		wim.get(desk)
		if strings.Contains(string(wim.body), desk[strings.Index(desk, "/desk"):]+"/source") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no clerk hears that the seal is a stranger's:\n%s", wim.text())
		}
	}
	wim.want(200, "niet dat van het register")
	w.tell("source", "good")
	wim.send("/source")
	wim.want(200)
	paper := sofie.waitIssued(refused, 20*time.Second)
	file := filepath.Join(t.TempDir(), "relayed.pdf")
	if err := os.WriteFile(file, paper, 0o600); err != nil {
		t.Fatal(err)
	}
	unchanged(t, file)
	w.command(0, "verify", file, "--trust", trust)
	stranger := newPerson(t)
	stranger.uploadFile(w.origin("zandvoorde")+"/nl/verify", paper)
	stranger.want(200, "ongewijzigd bezorgd via Zandvoorde")

	luc := newPerson(t)
	order := luc.order(w, "beaumarais", w.card("luc"))
	claire.attach(order, []byte("<!doctype html><title>no paper</title>"))
	claire.want(422, "n’est pas un PDF")
	claire.attach(order, pdftest.Build(pdftest.Table, pdftest.Fields()))
	claire.want(422, "formulaire")
	made := pdftest.Build(pdftest.Stream, pdftest.Plain())
	claire.attach(order, made)
	claire.want(200)
	claire.send("/approve")
	claire.want(200)
	sealed := luc.waitIssued(order, 30*time.Second)
	if !bytes.HasPrefix(sealed, made) {
		t.Error("the sealed paper does not begin with what the clerk attached")
	}
	file = filepath.Join(t.TempDir(), "attached.pdf")
	if err := os.WriteFile(file, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	accepted(t, file)
	keep(t, file)
	w.command(0, "verify", file, "--trust", trust)
	validated(t, w, "beaumarais", sealed)
	if said := w.command(0, "check", "--config", w.Belfry.Config); !strings.Contains(said, "residence sealed by rn") || !strings.Contains(said, "residence attached by a clerk") || !strings.Contains(said, "ok      source rn") {
		t.Errorf("belfry check says\n%s", said)
	}
	w.noNumberLeaks()
}

// unchanged says that a paper has one signature, whose is not ours, and nothing behind it.
func unchanged(t *testing.T, file string) {
	t.Helper()
	if _, err := exec.LookPath("pdfsig"); err != nil {
		missing(t, "pdfsig")
	}
	out, err := exec.Command("pdfsig", "-nocert", file).CombinedOutput()
	said := string(out)
	if err != nil || strings.Count(said, "Signature #") != 1 || !strings.Contains(said, "Signature is Valid") || !strings.Contains(said, "Total document signed") || !strings.Contains(said, "Rijksregister") {
		t.Errorf("%v\n%s", err, said)
	}
}
