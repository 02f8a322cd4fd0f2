package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// authority is a small CA that is in no other test: of a server's name, or of a seal.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, key.Public())
	return a
}

func (a *authority) issue(template *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// operator is an administrator in a folder, with the settings file they write.
type operator struct {
	*world // the new install, for the steps that tests share
	dir    string
	ca     *authority
}

func (o *operator) path(name string) string { return filepath.Join(o.dir, name) }

func (o *operator) write(name, text string, mode os.FileMode) {
	o.t.Helper()
	if err := os.MkdirAll(filepath.Dir(o.path(name)), 0o755); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(o.path(name), []byte(text), mode); err != nil {
		o.t.Fatal(err)
	}
}

// does runs a command on the new install.
func (o *operator) does(code int, args ...string) string {
	o.t.Helper()
	return o.command(code, append(args, "--config", o.path("belfry.toml"))...)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pemOf(list ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range list {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.String()
}

// newInstall is a folder with what docs/operate.md says comes before the first commune:
// settings, a secret, a server certificate, a token. Register, timestamps and cards are
// those of a world outside.
func newInstall(t *testing.T, w *world) *operator {
	t.Helper()
	o := &operator{dir: t.TempDir(), ca: newAuthority(t, "Town CA")}
	o.world = &world{t: t, dir: o.dir, belfry: w.belfry, Cards: w.Cards, PKI: w.PKI}
	port := freePorts(t, 2)
	host := func(name string) string { return fmt.Sprintf("https://%s.localhost:%d", name, port[0]) }
	o.Provider.Issuers = []string{host("id.nieuwdorp")}
	o.Communes = []worldCommune{{"nieuwdorp", []string{host("nieuwdorp")}}}
	o.Belfry.Config, o.Belfry.Operator = o.path("belfry.toml"), fmt.Sprintf("http://127.0.0.1:%d", port[1])

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := o.ca.issue(&x509.Certificate{DNSNames: []string{"id.nieuwdorp.localhost", "nieuwdorp.localhost"}}, key.Public())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	o.write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o400)
	o.write("tls.pem", pemOf(server), 0o644)
	o.write("ca.pem", pemOf(o.ca.cert), 0o644)
	o.write("install.key", hex.EncodeToString([]byte(rand.Text() + rand.Text())[:32])+"\n", 0o400)
	o.write("pin", rand.Text()[:12]+"\n", 0o400)
	tokens, err := softcard.Write(o.dir)
	if err != nil {
		t.Fatal(err)
	}

	o.write("trust/outside.pem", readFile(t, w.PKI.Roots), 0o644) // of the timestamps
	outside, err := loadSettings(w.Belfry.Config)
	if err != nil {
		t.Fatal(err)
	}
	o.write("belfry.toml", fmt.Sprintf(`# Written by hand, and this comment stays.
test = true
[environment]
SOFTHSM2_CONF = %q
[server]
listen = "127.0.0.1:%d"
operator = "127.0.0.1:%d"
data = "data"
key_file = "install.key"
[server.tls]
certificate = "tls.pem"
key = "tls.key"
[database]
url = "sqlite:belfry.db"
[provider]
issuers = [%q]
roots = "ca.pem"
[cards]
roots = %q
intermediates = %q
hosts = ["%s"]
[register]
url = %q
token_file = %q
[renderer]
modules = %q
[[stamp]]
url = %q
roots = %q
`, tokens, port[0], port[1], o.Provider.Issuers[0], outside.Cards.Roots, outside.Cards.Intermediates, strings.Join(outside.Cards.Hosts, `", "`),
		outside.Register.URL, outside.Register.TokenFile, nodeModules(t), outside.Stamps[0].URL, outside.Stamps[0].Roots), 0o600)
	pin, _ := readSecret(o.path("pin"))
	init := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "Nieuwdorp", "--so-pin", rand.Text()[:12], "--pin", pin)
	init.Env = append(os.Environ(), "SOFTHSM2_CONF="+tokens)
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return o
}

// From an empty folder to a sealed paper with the operator's commands alone, over TLS of
// our own: a commune, its key made in the token, a certificate for it, a clerk.
func TestAFirstInstallation(t *testing.T) {
	w := startWorld(t)
	o := newInstall(t, w)
	library, err := softcard.Module()
	if err != nil {
		t.Fatal(err)
	}
	add := []string{"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", o.origin("nieuwdorp"), "--brand", "#123456", "--city", "8888 Nieuwdorp"}
	token := []string{"--module", library, "--token", "Nieuwdorp", "--pin-file", o.path("pin")}

	// What cannot be is refused, and the file stays as it was.
	before := readFile(t, o.path("belfry.toml"))
	for want, args := range map[string][]string{
		"one of fr, nl":      {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "en", "--name", "nl=Nieuwdorp", "--origin", "https://a.example"},
		"five digits":        {"commune", "add", "nieuwdorp", "--nis", "1", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", "https://a.example"},
		"is no origin":       {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", "a.example"},
		"name.nl is missing": {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "fr=Villeneuve", "--origin", "https://a.example"},
		"commune add":        append([]string{"commune", "key", "make", "nieuwdorp"}, token...),
	} {
		if out := o.does(1, args...); !strings.Contains(out, want) {
			t.Errorf("%v: want %q, got %s", args, want, out)
		}
	}
	if readFile(t, o.path("belfry.toml")) != before {
		t.Error("a refused command changed the settings")
	}
	o.does(0, add...)
	if out := o.does(1, add...); !strings.Contains(out, "is there twice") {
		t.Errorf("added twice: %s", out)
	}
	if out := o.does(1, "check"); !strings.Contains(out, "NOT OK  seal of nieuwdorp") {
		t.Errorf("check does not miss the seal:\n%s", out)
	}
	o.makeKey(token)

	o.run(exec.Command(o.belfry, "serve", "--config", o.path("belfry.toml")))
	o.answering()
	if out := o.does(0, "check"); !strings.Contains(out, "ok      server.tls: until") || !strings.Contains(out, "regime nl") {
		t.Errorf("check says\n%s", out)
	}
	official["nieuwdorp"] = "nl"
	clerk := newPerson(t).trusting(o.path("ca.pem"))
	clerk.get(strings.TrimSpace(o.does(0, "staff", "invite", "nieuwdorp", "Claire", "--delegate", "mayor", "--decision", "besluit 1")))
	clerk.follow("/sign-in")
	clerk.signIn(o.world, o.card("claire"))
	clerk.send("/join")
	citizen := newPerson(t).trusting(o.path("ca.pem"))
	order := citizen.order(o.world, "nieuwdorp", o.card("luc"))
	clerk.approve(order)
	paper := citizen.waitIssued(order, 30*time.Second)
	o.write("paper.pdf", string(paper), 0o600)
	if out := o.command(0, "verify", o.path("paper.pdf"), "--trust", o.path("trust")); !strings.Contains(out, "Gemeente Nieuwdorp") {
		t.Errorf("verify says\n%s", out)
	}
	if !strings.Contains(o.does(0, "commune", "list"), `seal "seal" of token "Nieuwdorp", level B-T`) {
		t.Error("the list does not name the seal")
	}
	if !strings.HasPrefix(readFile(t, o.path("belfry.toml")), before) {
		t.Error("what the operator had written was changed")
	}
}

// makeKey has a key made, asks the authority, and takes what it answers; a certificate of
// another key and a chain without its root are refused before.
func (o *operator) makeKey(token []string) {
	o.t.Helper()
	csr := o.path("nieuwdorp.csr")
	o.does(0, append([]string{"commune", "key", "make", "nieuwdorp", "--organisation", "Gemeente Nieuwdorp", "--number", "NTRBE-0207000000", "--out", csr}, token...)...)
	if out := o.does(1, append([]string{"commune", "key", "make", "nieuwdorp", "--out", csr + "2"}, token...)...); !strings.Contains(out, "object of this label") {
		o.t.Errorf("a second key under one label: %s", out)
	}
	text, err := os.ReadFile(csr)
	if err != nil {
		o.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil || request.Subject.CommonName != "Gemeente Nieuwdorp" || !strings.Contains(request.Subject.String(), "2.5.4.97") {
		o.t.Fatalf("the request: %v, %s", err, request.Subject)
	}
	issuer := newAuthority(o.t, "Seal CA")
	seal := x509.Certificate{RawSubject: request.RawSubject, KeyUsage: x509.KeyUsageContentCommitment}
	good, other := issuer.issue(&seal, request.PublicKey), issuer.issue(&seal, issuer.key.Public())
	use := append([]string{"commune", "key", "use", "nieuwdorp", o.path("chain.pem")}, token...)
	for want, chain := range map[string]string{
		"another key's":     pemOf(other, issuer.cert),
		"root is missing":   pemOf(good),
		"own comes first":   pemOf(issuer.cert, good),
		"no certificate":    "nothing",
		"unknown authority": pemOf(good, o.ca.cert),
	} {
		o.write("chain.pem", chain, 0o644)
		if out := o.does(1, use...); !strings.Contains(out, want) {
			o.t.Errorf("want %q: %s", want, out)
		}
	}
	o.write("chain.pem", pemOf(good, issuer.cert), 0o644)
	o.write("trust/seal.pem", pemOf(issuer.cert), 0o644)
	o.does(0, use...)
	if out := o.does(0, use...); !strings.Contains(out, "Change it by hand") {
		o.t.Errorf("used again: %s", out)
	}
}

// answering waits until the service is ready.
func (o *operator) answering() {
	o.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(o.Belfry.Operator + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			o.t.Fatalf("not ready: %v", err)
		}
	}
}
