package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// TestMain is also the Belfry and the card reading program of these tests: the world
// starts this very binary under their names.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "belfry":
		fakeBelfry(os.Args[1:])
	case "eid-agent":
		select {}
	}
	os.Exit(m.Run())
}

// fakeBelfry answers with what it was asked, at the addresses of its settings.
func fakeBelfry(args []string) {
	if args[0] == "staff" && args[1] == "list" {
		if args[4] == "zandvoorde" {
			fmt.Println("Wim Janssens\tclerk\tsince 2026-01-01")
		}
		os.Exit(0)
	}
	if args[0] == "staff" {
		fmt.Printf("Invited. First sign-in, once: http://%s.example/invite?for=%s\n", args[4], url.QueryEscape(args[5]))
		os.Exit(0)
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		panic(err)
	}
	var s belfrySettings
	if err := toml.Unmarshal(text, &s); err != nil {
		panic(err)
	}
	go http.ListenAndServe(s.Server.Operator, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	panic(http.ListenAndServe(s.Server.Listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" {
			fmt.Fprintln(os.Stderr, "asked to crash")
			os.Exit(3)
		}
		json.NewEncoder(w).Encode(map[string]string{"host": r.Host, "proto": r.Header.Get("X-Forwarded-Proto"), "for": r.Header.Get("X-Forwarded-For"), "forwardedHost": r.Header.Get("X-Forwarded-Host"), "path": r.URL.Path})
	})))
}

// live is a running world.
type live struct {
	t     *testing.T
	dir   string
	said  *safeBuffer
	world description
	stop  func()
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// ports finds free ports; somebody else may take one before we do, hence the retry in start.
func ports(t *testing.T, n int) []string {
	var list []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		list = append(list, port)
	}
	return list
}

// start runs a world in this process until the test ends or stop is called.
func start(t *testing.T, dir string, args ...string) *live {
	t.Helper()
	l := &live{t: t, dir: dir, said: &safeBuffer{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, append([]string{"--dir", dir}, args...), l.said) }()
	var once sync.Once
	l.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("devworld: %v\n%s", err, l.said)
			}
		})
	}
	t.Cleanup(l.stop)
	deadline := time.Now().Add(60 * time.Second)
	for !strings.Contains(l.said.String(), "Ctrl-C ends") {
		select {
		case err := <-done:
			done <- nil
			t.Fatalf("devworld ended: %v\n%s", err, l.said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("devworld does not get ready:\n%s", l.said)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "world.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &l.world); err != nil {
		t.Fatal(err)
	}
	return l
}

func portArgs(t *testing.T) []string {
	p := ports(t, 6)
	return []string{"--http", p[0], "--https", p[1], "--services", p[2], "--belfry", p[3], "--operator", p[4], "--smtp", p[5]}
}

// client dials every name under localhost on loopback, as browsers do, and trusts the local CA.
func (l *live) client() *http.Client {
	text, err := os.ReadFile(l.world.TLS.CA)
	if err != nil {
		l.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}}
}

// call sends JSON and reads JSON.
func (l *live) call(method, address string, body, answer any, header ...string) int {
	l.t.Helper()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			l.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, address, r)
	if err != nil {
		l.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := l.client().Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if answer != nil {
		if s, ok := answer.(*string); ok {
			*s = string(text)
		} else if err := json.Unmarshal(text, answer); err != nil && resp.StatusCode == http.StatusOK {
			l.t.Fatalf("%s: %v: %s", address, err, text)
		}
	}
	return resp.StatusCode
}

func (l *live) card(name string) describedCard {
	for _, c := range l.world.Cards {
		if c.Name == name {
			return c
		}
	}
	l.t.Fatalf("world.json has no card of %s", name)
	return describedCard{}
}

func need(t *testing.T) {
	t.Helper()
	softcard.Test(t) // skips where SoftHSM is missing; the world then points the process elsewhere
}

func TestWorld(t *testing.T) {
	need(t)
	l := start(t, t.TempDir(), append(portArgs(t), "--alone")...)
	t.Run("card service", l.testCards)
	t.Run("register", l.testRegister)
	t.Run("source", l.testSource)
	t.Run("control", l.testControl)
	t.Run("mail", l.testMail)
	t.Run("page", l.testPage)
	t.Run("not up", func(t *testing.T) {
		var page string
		if status := l.call("GET", l.world.Provider.Issuers[0]+"/", nil, &page); status != http.StatusServiceUnavailable || !strings.Contains(page, "Belfry is starting") {
			t.Errorf("%d: %s", status, page)
		}
	})
	t.Run("loopback only", func(t *testing.T) {
		for _, address := range []string{l.world.Mail.SMTP, l.world.Belfry.Listen} {
			if host, _, _ := net.SplitHostPort(address); host != "127.0.0.1" {
				t.Errorf("%s is not loopback", address)
			}
		}
	})
}

func (l *live) testCards(t *testing.T) {
	for _, c := range l.world.Cards {
		var token card.Token
		q := map[string]string{"origin": "http://id.belfry.localhost:8080", "nonce": base64.StdEncoding.EncodeToString(make([]byte, 32)), "pin": c.PIN}
		if c.Authentication == nil {
			var refused failure
			want := map[testcerts.Kind]string{testcerts.Child: "card.no_certificate_child", testcerts.Declined: "card.no_certificate_declined"}[c.Kind]
			if status := l.call("POST", c.Authenticate, q, &refused); status != http.StatusConflict || refused.Error.Code != want {
				t.Errorf("%s: status %d, %s", c.Name, status, refused.Error.Code)
			}
			continue
		}
		if status := l.call("POST", c.Authenticate, q, &token); status != http.StatusOK {
			t.Fatalf("%s: status %d", c.Name, status)
		}
		if !verifies(t, token, q["origin"], q["nonce"]) {
			t.Errorf("%s: the token does not verify", c.Name)
		}
		if verifies(t, token, "http://evil.example", q["nonce"]) {
			t.Errorf("%s: the token verifies for another origin", c.Name)
		}
		if token.UnverifiedCertificate != base64.StdEncoding.EncodeToString(c.Authentication) {
			t.Errorf("%s: the token has another certificate than world.json", c.Name)
		}
	}
	sofie := l.card("sofie")
	var refused failure
	if status := l.call("POST", sofie.Authenticate, map[string]string{"origin": "http://x", "nonce": strings.Repeat("n", 44), "pin": "9999"}, &refused); status != http.StatusForbidden || refused.Error.Code != "card.pin_wrong" {
		t.Errorf("wrong PIN: %d %s", status, refused.Error.Code)
	}
	digest := sha512.Sum384([]byte("document"))
	q := map[string]any{"certificate": sofie.Signature, "hash": digest[:], "hashFunction": "SHA-384", "pin": sofie.PIN}
	var signed struct {
		Signature []byte
		Algorithm signatureFormat `json:"signatureAlgorithm"`
	}
	if status := l.call("POST", sofie.Sign, q, &signed); status != http.StatusOK {
		t.Fatalf("sign: status %d", status)
	}
	cert, err := x509.ParseCertificate(sofie.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if !raw(cert, digest[:], signed.Signature) || signed.Algorithm != (signatureFormat{"ECC", "SHA-384", "NONE"}) {
		t.Errorf("signature of %d bytes, %+v", len(signed.Signature), signed.Algorithm)
	}
	q["certificate"] = l.card("luc").Signature
	if status := l.call("POST", sofie.Sign, q, nil); status != http.StatusConflict {
		t.Errorf("somebody else's certificate: status %d", status)
	}
	if status := l.call("POST", sofie.Authenticate, map[string]string{}, nil, "Origin", "http://evil.example"); status != http.StatusForbidden {
		t.Errorf("asked by a page: status %d", status)
	}
	if status := l.call("GET", strings.Replace(l.world.Card.URL, "127.0.0.1", "evil.localhost", 1), nil, nil); status != http.StatusMisdirectedRequest {
		t.Errorf("asked under another name: status %d", status)
	}
}

func verifies(t *testing.T, token card.Token, origin, nonce string) bool {
	der, _ := base64.StdEncoding.DecodeString(token.UnverifiedCertificate)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sig, _ := base64.StdEncoding.DecodeString(token.Signature)
	if key, old := cert.PublicKey.(*rsa.PublicKey); old {
		o, n := sha256.Sum256([]byte(origin)), sha256.Sum256([]byte(nonce))
		signed := sha256.Sum256(append(o[:], n[:]...))
		return token.Algorithm == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, signed[:], sig) == nil
	}
	o, n := sha512.Sum384([]byte(origin)), sha512.Sum384([]byte(nonce))
	signed := sha512.Sum384(append(o[:], n[:]...))
	return token.Format == "web-eid:1.0" && token.Algorithm == "ES384" && raw(cert, signed[:], sig)
}

func raw(cert *x509.Certificate, digest, sig []byte) bool {
	pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && len(sig) == 96 && ecdsa.Verify(pub, digest, new(big.Int).SetBytes(sig[:48]), new(big.Int).SetBytes(sig[48:]))
}

func (l *live) testRegister(t *testing.T) {
	token, err := os.ReadFile(l.world.Register.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + strings.TrimSpace(string(token))
	address := l.world.Register.URL + "/residence"
	ask := func(number, authorization string) (entry, int) {
		var e entry
		status := l.call("POST", address, map[string]string{"number": number}, &e, "Authorization", authorization)
		return e, status
	}
	luc, jonas := l.card("luc"), l.card("jonas")
	e, status := ask(luc.NationalNumber, bearer)
	if status != http.StatusOK || e.Status != "registered" || e.NIS != "99001" || e.Commune["fr"] != "Beaumarais" || e.Street == "" || e.House == "" || e.Since == "" || e.BirthDate == "" {
		t.Errorf("luc: %d, status %q, nis %s", status, e.Status, e.NIS)
	}
	if !strings.HasPrefix(e.Website, "http://beaumarais.belfry.localhost:") {
		t.Errorf("website %s", e.Website)
	}
	if e, _ := ask(jonas.NationalNumber, bearer); e.NIS != "99003" || e.Commune["de"] != "Lindenberg" {
		t.Errorf("jonas lives in %s", e.NIS)
	}
	if e, _ := ask(l.card("paul").NationalNumber, bearer); e.Status != "undisclosed" || e.Street != "" {
		t.Errorf("paul: status %q", e.Status)
	}
	var house struct{ Members []member }
	if status := l.call("POST", l.world.Register.URL+"/household", map[string]string{"number": l.card("thomas").NationalNumber}, &house, "Authorization", bearer); status != http.StatusOK ||
		len(house.Members) != 3 || house.Members[1].Number != l.card("claire").NationalNumber || !house.Members[2].Elsewhere {
		t.Errorf("the household of thomas: %d, %d members", status, len(house.Members))
	}
	var past struct{ Stays []stay }
	if l.call("POST", l.world.Register.URL+"/history", map[string]string{"number": luc.NationalNumber}, &past, "Authorization", bearer); len(past.Stays) != 4 || past.Stays[0].From != e.Since || past.Stays[2].Country != "FR" || past.Stays[1].Commune["de"] != "Lindenberg" {
		t.Errorf("luc has %d stays", len(past.Stays))
	}
	var belongs struct{ Nationalities []nationality }
	if l.call("POST", l.world.Register.URL+"/nationality", map[string]string{"number": l.card("amina").NationalNumber}, &belongs, "Authorization", bearer); len(belongs.Nationalities) != 1 || belongs.Nationalities[0].Code != "MA" {
		t.Errorf("amina is of %d nationalities", len(belongs.Nationalities))
	}
	if status := l.call("POST", l.world.Register.URL+"/shoe-size", map[string]string{"number": luc.NationalNumber}, new(string), "Authorization", bearer); status != http.StatusNotFound {
		t.Errorf("a question that is none: %d", status)
	}
	if _, status := ask("00000000000", bearer); status != http.StatusNotFound {
		t.Errorf("nobody's number: %d", status)
	}
	if _, status := ask(luc.NationalNumber, "Bearer wrong"); status != http.StatusUnauthorized {
		t.Errorf("wrong token: %d", status)
	}
	move := map[string]any{"name": "luc", "fields": map[string]string{"nis": "99002", "street": "Duinenstraat"}}
	if status := l.call("POST", l.world.Control.URL+"/person", move, nil); status != http.StatusOK {
		t.Errorf("move: %d", status)
	}
	if e, _ := ask(luc.NationalNumber, bearer); e.NIS != "99002" || e.Commune["nl"] != "Zandvoorde" || e.Street != "Duinenstraat" || e.House != "12" {
		t.Errorf("after the move: nis %s", e.NIS)
	}
	for behaviour, want := range map[string]int{"gone": 0, "error 500": 500, "html": 200, "good": 200} {
		if status := l.call("POST", l.world.Control.URL, map[string]string{"service": "register", "behaviour": behaviour}, nil); status != http.StatusOK {
			t.Fatalf("control: %d", status)
		}
		resp := l.call("POST", address, map[string]string{"number": luc.NationalNumber}, new(string), "Authorization", bearer)
		if resp != want {
			t.Errorf("register %s answers %d, want %d", behaviour, resp, want)
		}
	}
}

// The part of the register that seals: asked as Belfry asks it, and told to misbehave.
func (l *live) testSource(t *testing.T) {
	token, err := os.ReadFile(l.world.Register.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + strings.TrimSpace(string(token))
	q := map[string]string{"request": "0197-1", "number": l.card("sofie").NationalNumber, "product": "MainResidence", "language": "nl"}
	var a struct {
		Number, Reference string
		Document          []byte
	}
	address := l.world.Register.URL + "/document"
	if status := l.call("POST", address, q, &a, "Authorization", bearer); status != http.StatusOK || a.Number != q["number"] || a.Reference == "" || !bytes.HasPrefix(a.Document, []byte("%PDF-1.7")) {
		t.Errorf("%d, reference %q, %d bytes", status, a.Reference, len(a.Document))
	}
	if status := l.call("POST", address, q, new(string), "Authorization", "Bearer wrong"); status != http.StatusUnauthorized {
		t.Errorf("wrong token: %d", status)
	}
	if status := l.call("POST", l.world.Control.URL, map[string]string{"service": "source", "behaviour": "no document"}, nil); status != http.StatusOK {
		t.Fatalf("control: %d", status)
	}
	if status := l.call("POST", address, q, new(string), "Authorization", bearer); status != http.StatusUnprocessableEntity {
		t.Errorf("no document: %d", status)
	}
	if status := l.call("POST", l.world.Control.URL, map[string]string{"service": "source", "behaviour": "good"}, nil); status != http.StatusOK {
		t.Fatalf("control: %d", status)
	}
}

func TestWaysOfTheCommandLine(t *testing.T) {
	for text, good := range map[string]bool{
		"zandvoorde.residence=source": true, "zandvoorde.residence=attached": true,
		"zandvoorde.residence=flown": false, "zandvoorde=source": false, "zandvoorde.residence": false,
	} {
		if _, err := parseWay(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func (l *live) testControl(t *testing.T) {
	var moods map[string]string
	if status := l.call("POST", l.world.Control.URL, map[string]string{"service": "tsa", "behaviour": "late 2s"}, &moods); status != http.StatusOK || moods["tsa"] != "late 2s" || moods["ocsp"] != "good" {
		t.Errorf("%d %v", status, moods)
	}
	if status := l.call("POST", l.world.Control.URL, map[string]string{"service": "tsa", "behaviour": "stale"}, nil); status != http.StatusBadRequest {
		t.Errorf("a behaviour the service does not have: %d", status)
	}
	if l.call("POST", l.world.Control.URL+"/reset", nil, &moods); moods["tsa"] != "good" {
		t.Errorf("after reset: %v", moods)
	}
	luc := l.card("luc")
	cert, err := x509.ParseCertificate(luc.Authentication)
	if err != nil {
		t.Fatal(err)
	}
	revoked := func() bool {
		var list string
		l.call("GET", cert.CRLDistributionPoints[0], nil, &list)
		crl, err := x509.ParseRevocationList([]byte(list))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range crl.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				return true
			}
		}
		return false
	}
	for _, want := range []bool{true, false} {
		l.call("POST", l.world.Control.URL+"/card", map[string]any{"name": "luc", "revoked": want}, nil)
		if revoked() != want {
			t.Errorf("revoked: %v, want %v", !want, want)
		}
	}
	for _, want := range []bool{false, true} {
		l.call("POST", l.world.Control.URL+"/reader", map[string]any{"name": "luc", "inserted": want}, nil)
		if got := softcard.Has(filepath.Join(l.dir, "reader-softhsm"), luc.Serial); got != want {
			t.Errorf("in the reader: %v, want %v", got, want)
		}
	}
}

func (l *live) testMail(t *testing.T) {
	body := "From: belfry@belfry.example\r\nTo: luc@example.org\r\nSubject: =?utf-8?q?D=C3=A9livr=C3=A9?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nVotre certificat est pr=C3=AAt.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n"
	if err := smtp.SendMail(l.world.Mail.SMTP, nil, "belfry@belfry.example", []string{"luc@example.org"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	var mails []message
	l.call("GET", l.world.Mail.URL, nil, &mails)
	if len(mails) != 1 || mails[0].Subject != "Délivré" || !strings.Contains(mails[0].Text, "Votre certificat est prêt.") || mails[0].To[0] != "luc@example.org" {
		t.Fatalf("mails %+v", mails)
	}
	var page string
	if l.call("GET", l.world.Mail.Page+"/"+mails[0].ID, nil, &page); !strings.Contains(page, "Votre certificat est prêt.") {
		t.Errorf("page: %s", page)
	}
}

func (l *live) testPage(t *testing.T) {
	var page string
	if status := l.call("GET", l.world.Page+"/", nil, &page); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, page)
	}
	for _, c := range l.world.Cards {
		if !strings.Contains(page, "<kbd>"+c.PIN+"</kbd>") || !strings.Contains(page, c.Surname) {
			t.Errorf("the page does not list the card of %s", c.Name)
		}
	}
	for _, c := range l.world.Communes {
		if c.Installed && !strings.Contains(page, c.Origins[0]) {
			t.Errorf("the page does not list %s", c.ID)
		}
	}
	if len(l.world.Sources) != 4 {
		t.Errorf("%d sign-in sources", len(l.world.Sources))
	}
	for _, s := range l.world.Sources {
		var found struct {
			Issuer string `json:"issuer"`
		}
		if status := l.call("GET", s.Issuer+"/.well-known/openid-configuration", nil, &found); status != http.StatusOK || found.Issuer != s.Issuer || !strings.Contains(page, s.Issuer) {
			t.Errorf("%s answers %d as %q, or is not on the page", s.Name, status, found.Issuer)
		}
	}
	https := strings.Replace(strings.Replace(l.world.Provider.Issuers[1], "id.belfry.localhost", "localhost", 1), "http://", "https://", 1)
	if status := l.call("GET", https+"/", nil, &page); status != http.StatusOK || !strings.Contains(page, "local world") {
		t.Errorf("over https: %d", status)
	}
	form := func(header ...string) int {
		req, _ := http.NewRequest("POST", l.world.Page+"/behave", strings.NewReader("service=ocsp&behaviour=stale"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := l.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := form("Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("another page's form: %d", status)
	}
	if status := form("Origin", l.world.Page, "Sec-Fetch-Site", "same-origin"); status != http.StatusOK {
		t.Errorf("the page's own form: %d", status)
	}
	var moods map[string]string
	if l.call("GET", l.world.Control.URL, nil, &moods); moods["ocsp"] != "stale" {
		t.Errorf("after the form: %v", moods)
	}
	l.call("POST", l.world.Control.URL+"/reset", nil, nil)
}

// bin is a folder where this binary has the names of our programs.
func bin(t *testing.T) string {
	dir := t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"belfry", "eid-agent"} {
		if err := os.Symlink(own, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestChildrenAndResume(t *testing.T) {
	need(t)
	dir, args := t.TempDir(), append(portArgs(t), "--bin", bin(t))
	l := start(t, dir, args...)
	if clerks := l.world.Clerks; len(clerks) != 7 || clerks[1].Name != "claire" || clerks[1].Invitation != "http://beaumarais.example/invite?for=Claire+Louise+Dubois" || clerks[5].Name != "wim" || !clerks[5].Joined || clerks[5].Invitation != "" ||
		clerks[0].Name != "bruno" || clerks[0].Commune != mairie {
		t.Errorf("clerks %+v", clerks)
	}
	if said := l.said.String(); !strings.Contains(said, l.card("luc").PIN) || !strings.Contains(said, l.world.Page) || strings.Contains(said, "!!") {
		t.Errorf("it says:\n%s", said)
	}
	for i, issuer := range l.world.Provider.Issuers {
		var seen map[string]string
		l.call("GET", issuer+"/authorize", nil, &seen, "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "gopher")
		u, _ := url.Parse(issuer)
		if seen["host"] != u.Host || seen["proto"] != []string{"http", "https"}[i] || seen["for"] != "127.0.0.1" || seen["forwardedHost"] != "" || seen["path"] != "/authorize" {
			t.Errorf("belfry behind %s saw %v", issuer, seen)
		}
	}
	l.call("GET", l.world.Provider.Issuers[0]+"/crash", nil, nil)
	var page string
	for range 100 {
		if l.call("GET", l.world.Provider.Issuers[0]+"/", nil, &page); strings.Contains(page, "has stopped") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(page, "asked to crash") {
		t.Errorf("after the crash: %s", page)
	}
	before := l.card("sofie")
	l.stop()

	l = start(t, dir, args...)
	if after := l.card("sofie"); after.Serial != before.Serial || !bytes.Equal(after.Authentication, before.Authentication) {
		t.Error("the resumed world has other cards")
	}
	if status := l.call("POST", before.Authenticate, map[string]string{"origin": "http://x", "nonce": strings.Repeat("n", 44), "pin": before.PIN}, nil); status != http.StatusOK {
		t.Errorf("the resumed card: %d", status)
	}
	if err := run(t.Context(), append([]string{"--dir", dir}, args...), io.Discard); err == nil || !strings.Contains(err.Error(), "another devworld") {
		t.Errorf("a second world in one directory: %v", err)
	}
}

func TestLocalCAIsForLocalhostOnly(t *testing.T) {
	ca, err := newCA()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for name, want := range map[string]bool{"localhost": true, "id.belfry.localhost": true, "bank.example": false} {
		c, err := ca.issue(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ca.certificate(&tls.ClientHelloInfo{ServerName: name}); (err == nil) != want {
			t.Errorf("%s over TLS: %v", name, err)
		}
	}
}

func TestSecretsAreTheirOwners(t *testing.T) {
	need(t)
	dir := t.TempDir()
	start(t, dir, append(portArgs(t), "--alone")...).stop()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		secret := strings.Contains(path, "secrets") || bytes.Contains(text, []byte("PRIVATE KEY")) || (block == nil && strings.HasSuffix(path, ".object"))
		if secret && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", strings.TrimPrefix(path, dir), info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
