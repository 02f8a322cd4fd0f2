package testcerts_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/p11"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

func pool(list ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p
}

func TestCards(t *testing.T) {
	w := testcerts.New(t)
	for _, c := range []struct {
		name   string
		issuer *testcerts.Authority
		policy string
		valid  bool
	}{
		{"sofie", w.CitizenCA, "2.16.56.12.1.1.2.2", true},
		{"amina", w.ForeignerCA, "2.16.56.12.1.1.7.2", true},
		{"marc", w.CitizenCA, "2.16.56.12.1.1.2.2", true}, // revoked is not in the certificate
		{"greta", w.CitizenCA, "2.16.56.12.1.1.2.2", false},
		{"nina", w.UnknownCA, "2.16.56.12.1.1.2.2", false},
	} {
		card := w.Citizen(c.name)
		if card != w.Citizen(c.name) {
			t.Errorf("%s has two cards", c.name)
		}
		for label, cert := range map[string]*x509.Certificate{"Authentication": card.Authentication, "Signature": card.Signature} {
			if err := cert.CheckSignatureFrom(c.issuer.Certificate); err != nil {
				t.Errorf("%s %s: %v", c.name, label, err)
			}
			_, err := cert.Verify(x509.VerifyOptions{Roots: pool(w.Roots()...), Intermediates: pool(w.Intermediates()...), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if (err == nil) != c.valid {
				t.Errorf("%s %s: verified with %v", c.name, label, err)
			}
			if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || pub.Curve.Params().BitSize != 384 {
				t.Errorf("%s %s: key of type %T, want P-384", c.name, label, cert.PublicKey)
			}
			first, _, _ := strings.Cut(card.GivenNames, " ")
			want := []any{"BE", first + " " + card.Surname + " (" + label + ")", card.Surname, card.GivenNames, card.Number}
			var order string
			for i, n := range cert.Subject.Names {
				order += n.Type.String() + " "
				if i < len(want) && n.Value != want[i] {
					t.Errorf("%s %s: attribute %d of the subject differs", c.name, label, i)
				}
			}
			if order != "2.5.4.6 2.5.4.3 2.5.4.4 2.5.4.42 2.5.4.5 " {
				t.Errorf("%s %s: subject has attributes %s", c.name, label, order)
			}
		}
		if got := card.Authentication.PolicyIdentifiers; len(got) != 1 || got[0].String() != c.policy {
			t.Errorf("%s: policies %v", c.name, got)
		}
		if card.Authentication.KeyUsage != x509.KeyUsageDigitalSignature || card.Signature.KeyUsage != x509.KeyUsageContentCommitment {
			t.Errorf("%s: key usages %v, %v", c.name, card.Authentication.KeyUsage, card.Signature.KeyUsage)
		}
	}
}

func TestPeopleCannotExist(t *testing.T) {
	w := testcerts.New(t)
	seen := map[string]bool{}
	for _, p := range w.People() {
		n, err := strconv.ParseInt(p.Number[:9], 10, 64)
		if err != nil || len(p.Number) != 11 || seen[p.Number] {
			t.Errorf("%s: number is not one, or somebody else's", p.Name)
		}
		seen[p.Number] = true
		check := p.Number[9:]
		if check != fmt.Sprintf("%02d", 97-n%97) && check != fmt.Sprintf("%02d", 97-(n+2_000_000_000)%97) {
			t.Errorf("%s: checksum", p.Name)
		}
		// 1 to 12 are months; 21 to 52 those of bis numbers.
		month, _ := strconv.Atoi(p.Number[2:4])
		if day, _ := strconv.Atoi(p.Number[4:6]); month < 60 && day < 32 {
			t.Errorf("%s: month %d and day %d could be somebody's", p.Name, month, day)
		}
	}
}

func TestCardSigns(t *testing.T) {
	w := testcerts.New(t)
	card := w.Citizen("luc")
	token, err := card.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	digest := sha512.Sum384([]byte("x"))
	for label, cert := range map[string]*x509.Certificate{"Authentication": card.Authentication, "Signature": card.Signature} {
		key, err := token.Signer(label)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := key.Sign(nil, digest[:], crypto.SHA384)
		if err != nil || !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), digest[:], sig) {
			t.Errorf("%s: %v", label, err)
		}
	}
	objects, err := token.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]byte{}
	for _, o := range objects {
		labels[o.Label] = o.DER
	}
	for label, want := range map[string]*x509.Certificate{"Authentication": card.Authentication, "Signature": card.Signature, "CA": w.CitizenCA.Certificate, "Root": w.RootCA.Certificate} {
		if !bytes.Equal(labels[label], want.Raw) {
			t.Errorf("certificate %q on the card is another", label)
		}
	}
}

func TestSpecialCards(t *testing.T) {
	w := testcerts.New(t)
	p := testcerts.Person{Name: "special", GivenNames: "", Surname: "Ada", Number: w.People()[0].Number}
	for _, kind := range []testcerts.Kind{testcerts.Child, testcerts.Declined} {
		card, err := w.MakeCard(testcerts.CardSpec{Person: p, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if card.Authentication != nil || card.Signature != nil || card.IsRevoked() {
			t.Errorf("%s: a card without certificates has one", kind)
		}
	}
	old, err := w.MakeCard(testcerts.CardSpec{Person: p, Kind: testcerts.Old})
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range []*x509.Certificate{old.Authentication, old.Signature} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: pool(w.OldRootCA.Certificate), Intermediates: pool(w.OldCitizenCA.Certificate), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil || cert.PublicKeyAlgorithm != x509.RSA || cert.SignatureAlgorithm != x509.SHA256WithRSA || len(cert.ExtKeyUsage) > 0 {
			t.Errorf("a card of before 2021: %v, %v", cert.PublicKeyAlgorithm, err)
		}
	}
	card, err := w.MakeCard(testcerts.CardSpec{Person: p, Edit: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }})
	if err != nil || card.Authentication.KeyUsage != x509.KeyUsageKeyEncipherment {
		t.Errorf("edited card: %v", err)
	}
}

func TestSeals(t *testing.T) {
	w := testcerts.New(t)
	qc := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}
	compliance := []byte{0x06, 0x06, 0x04, 0x00, 0x8e, 0x46, 0x01, 0x01}
	for _, s := range []*testcerts.Seal{w.SealKey("beaumarais", p11.P256), w.SealKey("zandvoorde", p11.RSA2048), w.QualifiedSealKey("beaumarais", p11.P256)} {
		_, err := s.Certificate.Verify(x509.VerifyOptions{Roots: pool(w.Roots()...), Intermediates: pool(w.Intermediates()...), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			t.Errorf("%s: %v", s.Label, err)
		}
		token, key, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(s.Certificate.PublicKey) {
			t.Errorf("%s: the certificate is of another key", s.Label)
		}
		token.Close()
		for _, e := range s.Certificate.Extensions {
			if e.Id.Equal(qc) && bytes.Contains(e.Value, compliance) != strings.HasSuffix(s.Label, " Q") {
				t.Errorf("%s: statements %x", s.Label, e.Value)
			}
		}
	}
	if w.SealKey("beaumarais", p11.P256).Serial == w.QualifiedSealKey("beaumarais", p11.P256).Serial {
		t.Error("two keys in one token")
	}
}

// TestMakeResumes makes a lasting world twice in child processes, since SoftHSM reads its
// settings once for a process.
func TestMakeResumes(t *testing.T) {
	softcard.Test(t)
	dir := os.Getenv("TESTCERTS_MAKE")
	if dir == "" {
		dir := t.TempDir()
		var first []byte
		for i := range 2 {
			cmd := exec.Command(os.Args[0], "-test.run=^TestMakeResumes$")
			cmd.Env = append(os.Environ(), "TESTCERTS_MAKE="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("run %d: %v\n%s", i, err, out)
			}
			seen, err := os.ReadFile(filepath.Join(dir, "seen"))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = seen
			} else if !bytes.Equal(seen, first) {
				t.Error("the resumed world is another one")
			}
		}
		return
	}
	w, err := testcerts.Make(dir, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// A world that has run for an hour answers of now, not of its beginning (lists are an hour old).
	list := httptest.NewRecorder()
	w.Handler().ServeHTTP(list, httptest.NewRequest("GET", w.Cards()[0].Authentication.CRLDistributionPoints[0], nil))
	if crl, err := x509.ParseRevocationList(list.Body.Bytes()); err != nil || time.Since(crl.ThisUpdate) > 90*time.Minute {
		t.Errorf("the list of an hour-old world: %v, of %v", err, crl.ThisUpdate)
	}
	var seen bytes.Buffer
	seen.Write(w.RootCA.Certificate.Raw)
	for _, c := range w.Cards() {
		fmt.Fprintf(&seen, "%s %s %x\n", c.Name, c.Serial, testcerts.DER(c.Authentication))
		if token, err := c.Open(); err != nil {
			t.Errorf("card of %s: %v", c.Name, err)
		} else {
			token.Close()
		}
	}
	if len(w.Cards()) != len(w.People()) {
		t.Errorf("%d cards for %d people", len(w.Cards()), len(w.People()))
	}
	if token, _, err := w.DefaultSeal("beaumarais").Open(); err != nil {
		t.Error(err)
	} else {
		token.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, "seen"), seen.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := testcerts.Make(dir, time.Now(), testcerts.Address("http://127.0.0.1:1")); err == nil {
		t.Error("a world was resumed at an address its certificates do not name")
	}
}

// openssl runs the program the world trusts, as a second opinion.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Errorf("openssl %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

func pemFile(t *testing.T, dir, name string, certs ...*x509.Certificate) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenSSLAgrees(t *testing.T) {
	w := testcerts.New(t)
	dir := t.TempDir()
	roots, ca := pemFile(t, dir, "roots.pem", w.Roots()...), pemFile(t, dir, "ca.pem", w.CitizenCA.Certificate)
	sofie, marc := w.Citizen("sofie"), w.Citizen("marc")
	good, bad := pemFile(t, dir, "sofie.pem", sofie.Authentication), pemFile(t, dir, "marc.pem", marc.Authentication)

	out := openssl(t, "verify", "-CAfile", roots, "-untrusted", ca, "-x509_strict", "-purpose", "sslclient", good)
	if !strings.Contains(out, "OK") {
		t.Errorf("chain: %s", out)
	}
	for cert, want := range map[string]string{good: ": good", bad: ": revoked"} {
		out := openssl(t, "ocsp", "-issuer", ca, "-cert", cert, "-url", sofie.Authentication.OCSPServer[0], "-CAfile", roots, "-verify_other", ca)
		if !strings.Contains(out, "Response verify OK") || !strings.Contains(out, want) {
			t.Errorf("OCSP: want %q, got %s", want, out)
		}
	}
	data, request, reply := filepath.Join(dir, "data"), filepath.Join(dir, "q"), filepath.Join(dir, "r")
	if err := os.WriteFile(data, []byte("to be stamped"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, "ts", "-query", "-data", data, "-sha256", "-cert", "-out", request)
	q, err := os.ReadFile(request)
	if err != nil {
		t.Fatal(err)
	}
	_, body := post(t, w.StampURL(), "application/timestamp-query", q)
	if err := os.WriteFile(reply, body, 0o600); err != nil {
		t.Fatal(err)
	}
	out = openssl(t, "ts", "-verify", "-in", reply, "-queryfile", request, "-CAfile", roots, "-untrusted", pemFile(t, dir, "stamp.pem", w.StampCA.Certificate))
	if !strings.Contains(out, "Verification: OK") {
		t.Errorf("stamp: %s", out)
	}
}
