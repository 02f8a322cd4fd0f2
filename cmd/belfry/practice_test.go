package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// practice is a commune to practise in, beside the one that an install is for.
const practice = "oefendorp"

// addPractice adds it, with a seal of its own from the kind of authority that seals good
// papers: only the word training in the settings makes its papers specimens.
func (o *operator) addPractice() {
	o.t.Helper()
	o.does(0, "commune", "add", practice, "--training", "--nis", "99001", "--regime", "nl", "--name", "nl=Oefendorp", "--origin", o.origin(practice), "--brand", "#563412")
	token := append(o.token(), "--key", "practice")
	csr := o.path(practice + ".csr")
	o.does(0, append([]string{"commune", "key", "make", practice, "--organisation", "Gemeente Oefendorp", "--out", csr}, token...)...)
	block, _ := pem.Decode([]byte(readFile(o.t, o.file(csr))))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	issuer := newAuthority(o.t, "Seal CA")
	seal := issuer.issue(&x509.Certificate{RawSubject: request.RawSubject, KeyUsage: x509.KeyUsageContentCommitment}, request.PublicKey)
	if isTest(seal) || isTest(issuer.cert) {
		o.t.Fatal("the seal is of a test's kind")
	}
	o.write("practice.pem", pemOf(seal, issuer.cert), 0o644)
	o.write("trust/practice.pem", pemOf(issuer.cert), 0o644)
	o.does(0, append([]string{"commune", "key", "use", practice, o.path("practice.pem")}, token...)...)
}

// practises is a day there: a paper that says what it is, as does the page that checks it,
// while a good paper of the neighbour's says nothing of the kind; then all of it is taken away.
func (o *operator) practises(good []byte) {
	t := o.t
	t.Helper()
	official[practice] = "nl"
	clerk, citizen := o.person(), o.person()
	clerk.get(strings.TrimSpace(o.does(0, "staff", "invite", practice, "Claire", "--delegate", "mayor", "--decision", "besluit 1")))
	clerk.follow("/sign-in")
	clerk.signIn(o.world, o.card("claire"))
	clerk.send("/join")
	order := citizen.order(o.world, practice, o.card("luc"))
	clerk.approve(order)
	paper := citizen.waitIssued(order, 30*time.Second)

	for commune, c := range map[string]struct {
		paper    []byte
		signer   string
		specimen bool
	}{"nieuwdorp": {good, "Gemeente Nieuwdorp", false}, practice: {paper, "Gemeente Oefendorp", true}} {
		if got := strings.Contains(printedText(t, o, c.paper), "SPECIMEN"); got != c.specimen {
			t.Errorf("%s: that it is a specimen is said by the paper: %v", commune, got)
		}
		bank := o.person()
		bank.uploadFile(o.origin(commune)+"/nl/verify", c.paper)
		if got := strings.Contains(bank.text(), i18n.T(i18n.Dutch, "check.specimen")); got != c.specimen || bank.status != http.StatusOK {
			t.Errorf("%s: %d, and that it is a specimen is said by the page: %v", commune, bank.status, got)
		}
		o.write("look.pdf", string(c.paper), 0o644)
		if out := ended(t, 0, o.asService(o.belfry, "verify", o.path("look.pdf"), "--trust", o.path("trust"))); !strings.Contains(out, c.signer) {
			t.Errorf("%s: verify says\n%s", commune, out)
		}
	}
	if out := o.does(1, "commune", "reset", "nieuwdorp"); !strings.Contains(out, "no training commune") {
		t.Errorf("a commune that is none is emptied: %s", out)
	}
	if out := o.does(0, "commune", "reset", practice); !strings.Contains(out, "1 orders, 1 papers") {
		t.Errorf("emptied: %s", out)
	}
	citizen.get(order)
	citizen.want(http.StatusNotFound)
	bank := o.person()
	bank.uploadFile(o.origin("nieuwdorp")+"/nl/verify", good)
	bank.want(http.StatusOK, "Nieuwdorp")
	o.does(0, "journal", practice)
}

// printedText is what stands on a paper.
func printedText(t testing.TB, o *operator, paper []byte) string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		missing(t, "pdftotext")
	}
	o.write("look.pdf", string(paper), 0o644)
	out, err := exec.Command("pdftotext", "-raw", o.file(o.path("look.pdf")), "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
