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

// operator is an administrator with the settings file they write: in a folder, or in the
// root of another system, whose service is another user.
type operator struct {
	*world  // the new install, for the steps that tests share
	dir     string
	root    string // of the other system; nothing for this one
	library string // PKCS#11, in that system
	ca      *authority
	config  string // nothing for belfry.toml of the folder
}

// path is where a file of the install's folder is for its programs.
func (o *operator) path(name string) string { return filepath.Join(o.dir, name) }

// file is where a path of the install's programs is for this one.
func (o *operator) file(path string) string { return filepath.Join(o.root, path) }

func (o *operator) write(name, text string, mode os.FileMode) {
	o.t.Helper()
	file := o.file(o.path(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		o.t.Fatal(err)
	}
}

// settings is the text of the settings file.
func (o *operator) settings() string { return readFile(o.t, o.file(o.path("belfry.toml"))) }

// does runs a command on the new install: as root what writes settings or keys, and in the
// service's name what opens its data.
func (o *operator) does(code int, args ...string) string {
	o.t.Helper()
	config := o.config
	if config == "" {
		config = o.path("belfry.toml")
	}
	program := append([]string{o.belfry}, append(args, "--config", config)...)
	if args[0] == "commune" && args[1] != "reset" { // by an administrator who shows others little
		return ended(o.t, code, o.asRoot(append([]string{"sh", "-c", `umask 077; exec "$@"`, "sh"}, program...)...))
	}
	return ended(o.t, code, o.asService(program...))
}

// asRoot is a command in the install's system, asService one of the user there whose the
// service is. Without another system both are commands of this program's own user.
func (o *operator) asRoot(args ...string) *exec.Cmd {
	if o.root != "" {
		args = append([]string{"chroot", o.root}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

func (o *operator) asService(args ...string) *exec.Cmd {
	if o.root != "" {
		args = append([]string{"/sbin/runuser", "-u", "belfry", "--"}, args...)
	}
	return o.asRoot(args...)
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

// newOperator has what an install needs from others: addresses, a server certificate, and
// the register, timestamps and cards of a world outside.
func newOperator(t *testing.T, w *world, o *operator) *operator {
	t.Helper()
	o.ca = newAuthority(t, "Town CA")
	o.world = &world{t: t, dir: o.dir, belfry: w.belfry, Cards: w.Cards, PKI: w.PKI}
	port := freePorts(t, 2)
	host := func(name string) string { return fmt.Sprintf("https://%s.localhost:%d", name, port[0]) }
	o.Provider.Issuers = []string{host("id.nieuwdorp")}
	o.Communes = []worldCommune{{"nieuwdorp", []string{host("nieuwdorp")}}, {practice, []string{host(practice)}}}
	o.Belfry.Operator = fmt.Sprintf("http://127.0.0.1:%d", port[1])

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := o.ca.issue(&x509.Certificate{DNSNames: []string{"id.nieuwdorp.localhost", "nieuwdorp.localhost", practice + ".localhost"}}, key.Public())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	o.write("secrets/tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o400)
	o.write("tls.pem", pemOf(server), 0o644)
	o.write("ca.pem", pemOf(o.ca.cert), 0o644)
	o.write("secrets/pin", rand.Text()[:12]+"\n", 0o400)
	o.write("trust/outside.pem", readFile(t, w.PKI.Roots), 0o644) // of the timestamps
	return o
}

// listen are the addresses of an install, without the scheme.
func (o *operator) listen() (public, operator string) {
	_, port, _ := strings.Cut(strings.TrimPrefix(o.Provider.Issuers[0], "https://"), ":")
	return "127.0.0.1:" + port, strings.TrimPrefix(o.Belfry.Operator, "http://")
}

// makeToken initialises the token that the seal's key will be in.
func (o *operator) makeToken(conf string) {
	o.t.Helper()
	pin := strings.TrimSpace(readFile(o.t, o.file(o.path("secrets/pin"))))
	ended(o.t, 0, o.asRoot("env", "SOFTHSM2_CONF="+conf, "softhsm2-util", "--init-token", "--free", "--label", "Nieuwdorp", "--so-pin", rand.Text()[:12], "--pin", pin))
}

// newInstall is a folder with what docs/operate.md says comes before the first commune:
// settings, a secret, a server certificate, a token.
func newInstall(t *testing.T, w *world) *operator {
	t.Helper()
	library, err := softcard.Module()
	if err != nil {
		t.Fatal(err)
	}
	o := newOperator(t, w, &operator{dir: t.TempDir(), library: library})
	o.write("install.key", hex.EncodeToString([]byte(rand.Text() + rand.Text())[:32])+"\n", 0o400)
	tokens, err := softcard.Write(o.dir)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := loadSettings(w.Belfry.Config)
	if err != nil {
		t.Fatal(err)
	}
	public, operator := o.listen()
	o.write("belfry.toml", fmt.Sprintf(`# Written by hand, and this comment stays.
test = true
[environment]
SOFTHSM2_CONF = %q
[server]
listen = %q
operator = %q
data = "data"
key_file = "install.key"
[server.tls]
certificate = "tls.pem"
key = "secrets/tls.key"
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
`, tokens, public, operator, o.Provider.Issuers[0], outside.Cards.Roots, outside.Cards.Intermediates, strings.Join(outside.Cards.Hosts, `", "`),
		outside.Register.URL, outside.Register.TokenFile, nodeModules(t), outside.Stamps[0].URL, outside.Stamps[0].Roots), 0o600)
	o.makeToken(tokens)
	return o
}

// From an empty folder to a sealed paper with the operator's commands alone, over TLS of
// our own: a commune, its key made in the token, a certificate for it, a clerk.
func TestAFirstInstallation(t *testing.T) {
	w := startWorld(t)
	o := newInstall(t, w)

	// What cannot be is refused, and the file stays as it was.
	before := o.settings()
	for want, args := range map[string][]string{
		"one of fr, nl":      {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "en", "--name", "nl=Nieuwdorp", "--origin", "https://a.example"},
		"five digits":        {"commune", "add", "nieuwdorp", "--nis", "1", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", "https://a.example"},
		"is no origin":       {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", "a.example"},
		"name.nl is missing": {"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "fr=Villeneuve", "--origin", "https://a.example"},
		"commune add":        append([]string{"commune", "key", "make", "nieuwdorp"}, o.token()...),
	} {
		if out := o.does(1, args...); !strings.Contains(out, want) {
			t.Errorf("%v: want %q, got %s", args, want, out)
		}
	}
	if o.settings() != before {
		t.Error("a refused command changed the settings")
	}
	o.addCommune()
	if out := o.does(1, "check"); !strings.Contains(out, "NOT OK  seal of nieuwdorp") {
		t.Errorf("check does not miss the seal:\n%s", out)
	}
	o.makeKey()
	o.addPractice()
	o.run(exec.Command(o.belfry, "serve", "--config", o.path("belfry.toml")))
	o.answering()
	o.checks()
	_, _, paper := o.paper(o.firstClerk())
	if !strings.Contains(o.does(0, "commune", "list"), `seal "seal" of token "Nieuwdorp", level B-T`) {
		t.Error("the list does not name the seal")
	}
	if !strings.HasPrefix(o.settings(), before) {
		t.Error("what the operator had written was changed")
	}
	o.practises(paper)
}

// addCommune adds the commune, once.
func (o *operator) addCommune() {
	o.t.Helper()
	add := []string{"commune", "add", "nieuwdorp", "--nis", "99001", "--regime", "nl", "--name", "nl=Nieuwdorp", "--origin", o.origin("nieuwdorp"), "--brand", "#123456", "--city", "8888 Nieuwdorp"}
	o.does(0, add...)
	if out := o.does(1, add...); !strings.Contains(out, "is there twice") {
		o.t.Errorf("added twice: %s", out)
	}
}

// token are the flags that name the token.
func (o *operator) token() []string {
	return []string{"--module", o.library, "--token", "Nieuwdorp", "--pin-file", o.path("secrets/pin")}
}

// checks asks the whole install, whose service is there.
func (o *operator) checks() {
	o.t.Helper()
	if out := o.does(0, "check"); !strings.Contains(out, "ok      server.tls: until") || !strings.Contains(out, "regime nl") {
		o.t.Errorf("check says\n%s", out)
	}
}

// person has a browser that believes the town's CA.
func (o *operator) person() *person {
	o.t.Helper()
	return newPerson(o.t).trusting(o.file(o.path("ca.pem")))
}

// firstClerk is invited, may sign papers in the mayor's place, and has joined the desk.
func (o *operator) firstClerk() *person {
	o.t.Helper()
	official["nieuwdorp"] = "nl"
	clerk := o.person()
	clerk.get(strings.TrimSpace(o.does(0, "staff", "invite", "nieuwdorp", "Claire", "--delegate", "mayor", "--decision", "besluit 1")))
	clerk.follow("/sign-in")
	clerk.signIn(o.world, o.card("claire"))
	clerk.send("/join")
	return clerk
}

// paper is ordered, approved, sealed and found genuine: who has it, its order's address, its bytes.
func (o *operator) paper(clerk *person) (citizen *person, order string, paper []byte) {
	o.t.Helper()
	citizen = o.person()
	order = citizen.order(o.world, "nieuwdorp", o.card("luc"))
	clerk.approve(order)
	paper = citizen.waitIssued(order, 30*time.Second)
	o.genuine(paper)
	return citizen, order, paper
}

// genuine has the program say that a paper is.
func (o *operator) genuine(paper []byte) {
	o.t.Helper()
	o.write("paper.pdf", string(paper), 0o644)
	out := ended(o.t, 0, o.asService(o.belfry, "verify", o.path("paper.pdf"), "--trust", o.path("trust")))
	if !strings.Contains(out, "Gemeente Nieuwdorp") {
		o.t.Errorf("verify says\n%s", out)
	}
}

// makeKey has a key made, asks the authority, and takes what it answers; a certificate of
// another key and a chain without its root are refused before.
func (o *operator) makeKey() {
	o.t.Helper()
	token := o.token()
	csr := o.path("nieuwdorp.csr")
	o.does(0, append([]string{"commune", "key", "make", "nieuwdorp", "--organisation", "Gemeente Nieuwdorp", "--number", "NTRBE-0207000000", "--out", csr}, token...)...)
	if out := o.does(1, append([]string{"commune", "key", "make", "nieuwdorp", "--out", csr + "2"}, token...)...); !strings.Contains(out, "object of this label") {
		o.t.Errorf("a second key under one label: %s", out)
	}
	text, err := os.ReadFile(o.file(csr))
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
