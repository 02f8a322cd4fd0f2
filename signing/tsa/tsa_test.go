package tsa_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

var digest = signing.ImprintOf(crypto.SHA256, []byte("signature"))

func client(t testing.TB, change func(*tsa.Config), urls ...string) *tsa.Client {
	t.Helper()
	cfg := tsa.Config{Clock: clock.At(signingtest.Now), Timeout: 2 * time.Second}
	for _, u := range urls {
		cfg.Authorities = append(cfg.Authorities, tsa.Authority{URL: u, Roots: signingtest.Shared().RootCertificates})
	}
	if change != nil {
		change(&cfg)
	}
	c, err := tsa.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnHonestStamp(t *testing.T) {
	w := signingtest.Shared()
	a := signingtest.NewAuthority(t, w.TSA)
	a.Clock = func() time.Time { return signingtest.Now.Add(4 * time.Minute) }
	c := client(t, func(cfg *tsa.Config) {
		cfg.Authorities[0].Policy = signingtest.Policy
		cfg.Authorities[0].Pinned = []*x509.Certificate{w.TSA.Cert}
	}, a.Server.URL)
	stamp, err := c.Stamp(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if !stamp.Time.Equal(signingtest.Now.Add(4*time.Minute)) || stamp.Authority != "Belfry Test TSU" {
		t.Errorf("%v by %s", stamp.Time, stamp.Authority)
	}
	token, err := tsa.Parse(stamp.Token)
	if err != nil {
		t.Fatal(err)
	}
	if !token.Covers([]byte("signature")) || token.Covers([]byte("another")) || token.Accuracy != time.Second {
		t.Errorf("%+v", token)
	}
	if second, err := timestamp.Parse(stamp.Token); err != nil || !second.Time.Equal(stamp.Time) {
		t.Errorf("digitorus/timestamp: %v", err)
	}
}

// Stamps are upon any hash that proves something, and upon no other.
func TestHashes(t *testing.T) {
	a := signingtest.NewAuthority(t, signingtest.Shared().TSA)
	c := client(t, nil, a.Server.URL)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		a.Hash = hash
		stamp, err := c.Stamp(t.Context(), signing.ImprintOf(hash, []byte("signature")))
		if err != nil {
			t.Fatal(err)
		}
		token, err := tsa.Parse(stamp.Token)
		if err != nil || token.Hash != hash || token.SignatureHash() != hash || !token.Covers([]byte("signature")) {
			t.Errorf("%v: %+v, %v", hash, token, err)
		}
	}
	asked := a.Count()
	for _, bad := range []signing.Imprint{{}, {Hash: crypto.SHA1, Sum: make([]byte, 20)}, {Hash: crypto.SHA512, Sum: digest.Sum}, {Hash: crypto.SHA3_256, Sum: make([]byte, 32)}} {
		if _, err := c.Stamp(t.Context(), bad); err == nil {
			t.Errorf("%+v: stamped", bad)
		}
	}
	if a.Count() != asked {
		t.Error("the authority was asked")
	}
}

// Every lie has its own name, is refused, and the next authority is asked.
func TestLies(t *testing.T) {
	w := signingtest.Shared()
	reply := func(body []byte) func(http.ResponseWriter, *http.Request, []byte) {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Write(body)
		}
	}
	rejection, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.TimeNotAvailable)
	if err != nil {
		t.Fatal(err)
	}
	later := func(d time.Duration) func(*timestamp.Timestamp) {
		return func(s *timestamp.Timestamp) { s.Time = s.Time.Add(d) }
	}
	lies := map[string]struct {
		want   error
		bend   func(*timestamp.Timestamp)
		unit   signingtest.Identity
		answer func(http.ResponseWriter, *http.Request, []byte)
	}{
		"another nonce":        {want: tsa.ErrNonce, bend: func(s *timestamp.Timestamp) { s.Nonce = big.NewInt(7) }},
		"no nonce":             {want: tsa.ErrNonce, bend: func(s *timestamp.Timestamp) { s.Nonce = nil }},
		"another digest":       {want: tsa.ErrImprint, bend: func(s *timestamp.Timestamp) { s.HashedMessage = make([]byte, 32) }},
		"a longer digest":      {want: tsa.ErrImprint, bend: func(s *timestamp.Timestamp) { s.HashAlgorithm, s.HashedMessage = crypto.SHA512, make([]byte, 64) }},
		"another policy":       {want: tsa.ErrPolicy, bend: func(s *timestamp.Timestamp) { s.Policy = asn1.ObjectIdentifier{1, 2, 3} }},
		"old time":             {want: tsa.ErrTime, bend: later(-6 * time.Minute)},
		"time ahead":           {want: tsa.ErrTime, bend: later(6 * time.Minute)},
		"accurate to an hour":  {want: tsa.ErrTime, bend: func(s *timestamp.Timestamp) { s.Accuracy = time.Hour }},
		"expired at its time":  {want: tsa.ErrUntrusted, bend: later(60 * 365 * 24 * time.Hour)},
		"unknown authority":    {want: tsa.ErrUntrusted, unit: w.TSAStranger},
		"no stamping purpose":  {want: tsa.ErrPurpose, unit: w.TSANotTime},
		"purpose not critical": {want: tsa.ErrPurpose, unit: w.TSAUncritical},
		"no certificate":       {want: tsa.ErrSignature, bend: func(s *timestamp.Timestamp) { s.AddTSACertificate = false; s.Certificates = nil }},
		"changed after signing": {want: tsa.ErrSignature, answer: func(w http.ResponseWriter, r *http.Request, token []byte) {
			token[len(token)-1] ^= 1
			reply(token)(w, r, nil)
		}},
		"rejected":      {want: tsa.ErrRejected, answer: reply(rejection)},
		"empty":         {want: tsa.ErrMalformed, answer: reply(nil)},
		"rubbish":       {want: tsa.ErrMalformed, answer: reply([]byte("0\x82rubbish"))},
		"HTML with 200": {want: tsa.ErrContentType, answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.Write([]byte("<html>login</html>")) }},
		"503":           {want: tsa.ErrHTTPStatus, answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(503) }},
		"redirect": {want: tsa.ErrHTTPStatus, answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}},
		"a gigabyte":        {want: tsa.ErrTooLarge, answer: endless},
		"silence":           {want: tsa.ErrNoAnswer, answer: func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }},
		"closed connection": {want: tsa.ErrNoAnswer, answer: func(http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) }},
		"an hour old":       {want: tsa.ErrTime, bend: later(-time.Hour)},
		"of 1970":           {want: tsa.ErrUntrusted, bend: func(s *timestamp.Timestamp) { s.Time = time.Unix(0, 0) }},
		"half an answer": {want: tsa.ErrNoAnswer, answer: func(w http.ResponseWriter, _ *http.Request, token []byte) {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Header().Set("Content-Length", strconv.Itoa(len(token)))
			w.Write(token[:len(token)/2])
		}},
		"byte by byte": {want: tsa.ErrNoAnswer, answer: func(w http.ResponseWriter, r *http.Request, token []byte) {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			for _, c := range token {
				if r.Context().Err() != nil {
					return
				}
				w.Write([]byte{c})
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}},
	}
	t.Logf("%d lies", len(lies))
	for name, c := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unit := c.unit
			if unit.Cert == nil {
				unit = w.TSA
			}
			liar, honest := signingtest.NewAuthority(t, unit), signingtest.NewAuthority(t, w.TSA)
			liar.Bend, liar.Answer = c.bend, c.answer
			insist := func(cfg *tsa.Config) {
				cfg.Timeout = time.Second
				for i := range cfg.Authorities {
					cfg.Authorities[i].Policy = signingtest.Policy
				}
			}
			_, err := client(t, insist, liar.Server.URL).Stamp(t.Context(), digest)
			if !errors.Is(err, c.want) || fault.KindOf(err) != fault.Unreachable || fault.KeyOf(err) != "tsa.unavailable" {
				t.Errorf("want %v, have %v", c.want, err)
			}
			if liar.Count() != 1 {
				t.Errorf("the liar was asked %d times", liar.Count())
			}
			if _, err := client(t, insist, liar.Server.URL, honest.Server.URL).Stamp(t.Context(), digest); err != nil {
				t.Errorf("the honest one was not asked next: %v", err)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request, _ []byte) {
	w.Header().Set("Content-Type", "application/timestamp-reply")
	chunk := make([]byte, 1<<16)
	for range 1 << 14 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// An authority need not say how accurate its clock is (RFC 3161 section 2.4.2): such a stamp is taken.
func TestAStampThatTellsNoAccuracy(t *testing.T) {
	a := signingtest.NewAuthority(t, signingtest.Shared().TSA)
	a.Bend = func(s *timestamp.Timestamp) { s.Accuracy = 0 }
	stamp, err := client(t, nil, a.Server.URL).Stamp(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := tsa.Parse(stamp.Token); err != nil || token.Accuracy != 0 {
		t.Errorf("accuracy %v: %v", token.Accuracy, err)
	}
}

func TestAnotherUnitThanThePinnedOne(t *testing.T) {
	w := signingtest.Shared()
	a := signingtest.NewAuthority(t, w.TSA)
	c := client(t, func(cfg *tsa.Config) { cfg.Authorities[0].Pinned = []*x509.Certificate{w.TSAUncritical.Cert} }, a.Server.URL)
	if _, err := c.Stamp(t.Context(), digest); !errors.Is(err, tsa.ErrNotPinned) {
		t.Errorf("want ErrNotPinned, have %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	_, err := client(t, nil, "http://127.0.0.1:1/").Stamp(t.Context(), digest)
	if !errors.Is(err, tsa.ErrNoAnswer) || fault.KindOf(err) != fault.Unreachable {
		t.Error(err)
	}
}

func TestTheCallerGivesUp(t *testing.T) {
	w := signingtest.Shared()
	slow, next := signingtest.NewAuthority(t, w.TSA), signingtest.NewAuthority(t, w.TSA)
	slow.Answer = func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client(t, nil, slow.Server.URL, next.Server.URL).Stamp(ctx, digest); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if next.Count() != 0 {
		t.Error("the next authority was asked for nobody")
	}
}

func TestSettings(t *testing.T) {
	root := signingtest.Shared().RootCertificates
	for _, a := range []tsa.Authority{{URL: "ftp://x", Roots: root}, {URL: "nowhere", Roots: root}, {URL: "http://tsa.example"}} {
		if _, err := tsa.New(tsa.Config{Authorities: []tsa.Authority{a}}); err == nil {
			t.Errorf("%+v is taken", a)
		}
	}
	if _, err := tsa.New(tsa.Config{}); err == nil {
		t.Error("no authority at all is taken")
	}
}

// A stamp of OpenSSL's, which has a fraction in no form of ours, is read and checked too.
func TestOpenSSLStamps(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	w := signingtest.Shared()
	dir := t.TempDir()
	signingtest.WritePEM(t, dir, "tsu", w.TSA)
	conf := `[tsa]
default_tsa = unit
[unit]
serial = ` + dir + `/serial
signer_cert = ` + dir + `/tsu.crt
certs = ` + dir + `/tsu.chain
signer_key = ` + dir + `/tsu.key
signer_digest = sha512
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
ess_cert_id_alg = sha256
`
	a := signingtest.NewAuthority(t, w.TSA)
	a.Server.Config.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		query := filepath.Join(dir, "query")
		signingtest.WriteBody(t, query, r)
		answer, err := exec.Command("openssl", "ts", "-reply", "-config", filepath.Join(dir, "conf"), "-queryfile", query).Output()
		if err != nil {
			t.Error(err)
		}
		out.Header().Set("Content-Type", "application/timestamp-reply")
		out.Write(answer)
	})
	for name, text := range map[string]string{"conf": conf, "serial": "01"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := client(t, func(cfg *tsa.Config) { cfg.Clock = clock.System }, a.Server.URL)
	stamp, err := c.Stamp(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tsa.Parse(stamp.Token)
	if err != nil || token.Accuracy != 1500100*time.Microsecond {
		t.Errorf("accuracy %v: %v", token.Accuracy, err)
	}
}

func FuzzParse(f *testing.F) {
	w := signingtest.Shared()
	a := signingtest.NewAuthority(f, w.TSA)
	stamp, err := client(f, nil, a.Server.URL).Stamp(f.Context(), digest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stamp.Token)
	trust := tsa.Trust{Roots: w.Roots}
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := tsa.Parse(b)
		if err != nil {
			return
		}
		token.Covers(b)
		_ = token.Check(trust)
	})
}
