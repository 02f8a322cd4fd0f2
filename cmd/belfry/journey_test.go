package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// signIn answers the card step the person stands at with a card.
func (p *person) signIn(w *world, c worldCard) {
	p.t.Helper()
	if err := p.trySignIn(w, c); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) trySignIn(w *world, c worldCard) error {
	if a := find(p.page, func(n *html.Node) bool { return n.Data == "a" && strings.HasSuffix(attr(n, "href"), "/card") }); a != nil {
		if err := p.tryGet(attr(a, "href")); err != nil { // the commune offers several ways
			return err
		}
	}
	step := find(p.page, func(n *html.Node) bool { return n.Data == "form" && has(n, "data-card") })
	if step == nil {
		p.t.Fatalf("no card step at %s (%d):\n%s", p.at, p.status, p.text())
	}
	token := w.token(c, p.at.Scheme+"://"+p.at.Host, attr(step, "data-nonce"))
	return p.trySend(attr(step, "action"), "token", token)
}

// order asks a commune for the paper of main residence, from its home page to the
// confirmation, and returns the address of the order.
func (p *person) order(w *world, commune string, c worldCard) string {
	p.t.Helper()
	p.get(w.origin(commune) + "/")
	p.want(200)
	p.follow("/documents/")
	p.want(200)
	p.follow("/form")
	p.signIn(w, c)
	p.want(200, c.Surname)
	p.send("/form", "email", c.Name+"@example.org", "document_language", official[commune])
	p.want(200)
	p.send("/send")
	p.want(200)
	if !strings.HasSuffix(p.at.Path, "/sent") {
		p.t.Fatalf("sent, and now at %s:\n%s", p.at, p.text())
	}
	return strings.TrimSuffix(p.at.String(), "/sent")
}

// official is the language in which a demo commune's papers are asked for here.
var official = map[string]string{"beaumarais": "fr", "zandvoorde": "nl"}

// clerk is somebody who has joined a commune's desk by invitation.
func (w *world) clerk(commune, name string) *person {
	w.t.Helper()
	p := newPerson(w.t)
	p.get(w.invite(commune, name))
	p.want(200)
	p.follow("/sign-in")
	p.signIn(w, w.card(name))
	p.want(200)
	p.send("/join")
	p.want(200)
	return p
}

// approve takes an order at the desk from the inbox to approval.
func (p *person) approve(order string) {
	p.t.Helper()
	p.get(strings.Replace(order, "/orders/", "/desk/orders/", 1))
	p.want(200)
	p.send("/prepare")
	p.want(200)
	p.send("/approve")
	p.want(200)
}

// waitIssued reloads an order until its paper can be downloaded, and returns the paper.
func (p *person) waitIssued(order string, patience time.Duration) []byte {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(150 * time.Millisecond) {
		if p.tryGet(order+"/document") == nil && p.status == 200 && bytes.HasPrefix(p.body, []byte("%PDF-")) {
			return p.body
		}
		if time.Now().After(end) {
			p.get(order)
			p.t.Fatalf("not issued after %v:\n%s", patience, p.text())
		}
	}
}

// The main job: sign in with a card, order, a clerk approves, download, verify. By HTTP
// alone, on both demo communes, one of which is another site than the provider, and over
// https with the local CA.
func TestJourney(t *testing.T) {
	w := startWorld(t)
	desks := map[string]*person{"beaumarais": w.clerk("beaumarais", "claire"), "zandvoorde": w.clerk("zandvoorde", "wim")}
	for name, j := range map[string]struct {
		w                *world
		commune, citizen string
	}{
		"same site":    {w, "beaumarais", "luc"},
		"another site": {w, "zandvoorde", "sofie"},
		"over https":   {w.secure(), "beaumarais", "amina"},
	} {
		t.Run(name, func(t *testing.T) {
			citizen := newPerson(t).trusting(w.TLS.CA)
			order := citizen.order(j.w, j.commune, w.card(j.citizen))
			desks[j.commune].approve(w.plain(order))
			pdf := citizen.waitIssued(order, 30*time.Second)
			file := filepath.Join(t.TempDir(), "paper.pdf")
			if err := os.WriteFile(file, pdf, 0o600); err != nil {
				t.Fatal(err)
			}
			accepted(t, file)
			w.command(0, "verify", file, "--trust", filepath.Dir(w.PKI.Roots))
			validated(t, j.w, j.commune, pdf)
		})
	}
	for _, c := range []string{"beaumarais", "zandvoorde"} {
		w.command(0, "journal", "--config", w.Belfry.Config, c)
	}
	w.command(0, "check", "--config", w.Belfry.Config)
	w.sealByHand()
	w.sealOtherwise()
	w.noNumberLeaks()
}

// validated has a paper checked as another program would, and as a stranger would in a
// browser: both say the same, and the stranger sees what was sealed.
func validated(t *testing.T, w *world, commune string, pdf []byte) {
	t.Helper()
	client := newPerson(t).trusting(w.TLS.CA)
	r, err := http.NewRequest("POST", w.origin(commune)+"/api/v1/validate", bytes.NewReader(pdf))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/pdf")
	answer, err := client.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var report verify.Report
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil || answer.StatusCode != http.StatusOK || report.Result != verify.Valid || len(answer.Cookies()) > 0 {
		t.Errorf("the program is told %s %v %+v", answer.Status, err, report)
	}
	stranger := newPerson(t).trusting(w.TLS.CA)
	stranger.uploadFile(w.origin(commune)+"/"+official[commune]+"/verify", pdf)
	drawn := find(stranger.page, func(n *html.Node) bool { return strings.HasPrefix(attr(n, "src"), "data:image/png;base64,") })
	if drawn == nil || attr(drawn, "alt") == "" {
		t.Errorf("the page shows no picture of what was sealed:\n%s", stranger.text())
	}
}

// sealByHand seals a file as an operator does: under a key of its own, never over a file.
func (w *world) sealByHand() {
	w.t.Helper()
	in, out := filepath.Join(w.t.TempDir(), "in.pdf"), filepath.Join(w.t.TempDir(), "out.pdf")
	if err := os.WriteFile(in, plainPDF, 0o600); err != nil {
		w.t.Fatal(err)
	}
	seal := []string{"seal", in, out, "--config", w.Belfry.Config, "--commune", "beaumarais", "--reason", "a test"}
	w.command(0, seal...)
	w.command(1, seal...)
	trust := filepath.Dir(w.PKI.Roots)
	w.command(0, "verify", out, "--trust", trust)
	w.command(2, "verify", out)                  // nobody said whom to believe
	w.command(1, "verify", in, "--trust", trust) // no signature
	w.command(0, "verify", out, "--trust", trust, "--json", "--lang", "nl")
	w.command(2, "verify", out, "--lotl", out) // nobody said who signs lists
	w.command(2, "verify", out, "--trust", trust, "--lotl", out, "--lotl-signers", w.PKI.Roots)
	if got, want := seenOf(w.t, out), i18n.T(i18n.French, "mark.title"); !strings.HasPrefix(got, want) {
		w.t.Errorf("the page shows %q, not %q", got, want)
	}
}

// sealOtherwise seals into a field of the file, and in the form that came before PAdES.
func (w *world) sealOtherwise() {
	w.t.Helper()
	dir := w.t.TempDir()
	in, form, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "form.pdf"), filepath.Join(dir, "out.pdf")
	for path, content := range map[string][]byte{in: pdftest.Build(pdftest.Table, pdftest.Plain()), form: pdftest.Build(pdftest.Table, pdftest.Fields())} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	trust := filepath.Dir(w.PKI.Roots)
	seal := func(exit int, in, out string, more ...string) {
		w.t.Helper()
		w.command(exit, append([]string{"seal", in, out, "--config", w.Belfry.Config, "--commune", "beaumarais"}, more...)...)
	}
	seal(0, in, out, "--plain")
	w.command(0, "verify", out, "--trust", trust)
	if b, err := os.ReadFile(out); err != nil || !bytes.Contains(b, []byte("/adbe.pkcs7.detached")) {
		w.t.Errorf("no plain signature (%v)", err)
	}
	seal(1, form, out+"1", "--plain") // it has a form
	seal(0, form, out+"2", "--field", ".")
	seal(1, form, out+"3", "--field", "other")
	w.command(0, "verify", out+"2", "--trust", trust)
	if _, err := os.Stat(out + "3"); err == nil {
		w.t.Error("a file came out of a seal that was refused")
	}
	w.sealEncrypted(form, filepath.Join(dir, "locked.pdf"), filepath.Join(dir, "locked-sealed.pdf"))
}

// sealEncrypted seals a file that needs a password, which is told by a file.
func (w *world) sealEncrypted(plain, locked, out string) {
	w.t.Helper()
	if _, err := exec.LookPath("qpdf"); err != nil {
		missing(w.t, "qpdf")
	}
	if said, err := exec.Command("qpdf", "--encrypt", "open sesame", "owner", "256", "--", plain, locked).CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, said)
	}
	password := filepath.Join(filepath.Dir(locked), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o400); err != nil {
		w.t.Fatal(err)
	}
	seal := []string{"seal", locked, out, "--config", w.Belfry.Config, "--commune", "beaumarais", "--level", "B-LTA"}
	w.command(1, seal...)
	w.command(0, append(seal, "--password-file", password)...)
	trust := filepath.Dir(w.PKI.Roots)
	w.command(2, "verify", out, "--trust", trust)
	w.command(0, "verify", out, "--trust", trust, "--password-file", password)
	if said, err := exec.Command("qpdf", "--check", "--password=open sesame", out).CombinedOutput(); err != nil {
		w.t.Errorf("%v\n%s", err, said)
	}
}

// seenOf is what the box of a seal says.
func seenOf(t testing.TB, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdf.Bytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := f.Fields()
	if err != nil || len(fields) == 0 || fields[0].Dict["AP"] == nil {
		t.Fatalf("%v: no box in %v", err, fields)
	}
	said, _ := fields[0].Dict["Contents"].(pdf.String)
	return said.Text()
}

// plainPDF is the smallest file that is one.
var plainPDF = func() []byte {
	var b bytes.Buffer
	var at []int
	b.WriteString("%PDF-1.7\n")
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>"} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%s endobj\n", i+1, o)
	}
	xref := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, offset := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref)
	return b.Bytes()
}()

// accepted runs the file through programs that others wrote.
func accepted(t *testing.T, file string) {
	t.Helper()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"qpdf", "--check", file}, "No syntax or stream encoding errors"},
		{[]string{"pdfsig", "-nocert", file}, "Signature is Valid"},
		{[]string{"pdfsig", "-nocert", file}, "Total document signed"},
		{[]string{"mutool", "info", file}, "Pages: 1"},
	} {
		if _, err := exec.LookPath(c.args[0]); err != nil {
			missing(t, c.args[0])
		}
		out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, no %q in:\n%s", strings.Join(c.args, " "), err, c.want, out)
		}
	}
}

// noNumberLeaks looks for a national number of the test people wherever it must not be:
// logs, and addresses in them.
func (w *world) noNumberLeaks() {
	w.t.Helper()
	log, err := os.ReadFile(w.Belfry.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.Cards {
		for _, form := range []string{c.NationalNumber, url.QueryEscape(c.NationalNumber)} {
			if strings.Contains(string(log), form) {
				w.t.Errorf("the national number of %s is in belfry's log", c.Name)
			}
		}
		if strings.Contains(string(log), `"`+c.PIN+`"`) {
			w.t.Errorf("the PIN of %s is in belfry's log", c.Name)
		}
	}
}
