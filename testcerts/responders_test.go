package testcerts_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/ocsp"

	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/responder"
)

func post(t *testing.T, address, contentType string, body []byte) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.Post(address, contentType, bytes.NewReader(body))
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 2<<20))
	if err != nil {
		return nil, nil
	}
	return resp, answer
}

// ask asks about a card's authentication certificate and reads the answer with x/crypto.
func ask(t *testing.T, w *testcerts.World, cert *x509.Certificate, ca *x509.Certificate) (*ocsp.Response, error) {
	t.Helper()
	q, err := ocsp.CreateRequest(cert, ca, &ocsp.RequestOptions{Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	_, body := post(t, cert.OCSPServer[0], "application/ocsp-request", q)
	return ocsp.ParseResponseForCert(body, cert, ca)
}

func TestOCSP(t *testing.T) {
	w := testcerts.New(t)
	ca := w.CitizenCA.Certificate
	sofie, marc := w.Citizen("sofie"), w.Citizen("marc")

	a, err := ask(t, w, sofie.Authentication, ca)
	if err != nil || a.Status != ocsp.Good || a.NextUpdate.Before(time.Now()) || a.ThisUpdate.After(time.Now()) {
		t.Fatalf("a good card: %+v, %v", a, err)
	}
	if a, err = ask(t, w, marc.Authentication, ca); err != nil || a.Status != ocsp.Revoked || a.RevocationReason != ocsp.KeyCompromise {
		t.Errorf("a revoked card: %+v, %v", a, err)
	}
	if a, err = ask(t, w, w.CitizenCA.Certificate, w.RootCA.Certificate); err != nil || a.Status != ocsp.Good {
		t.Errorf("the CA: %+v, %v", a, err)
	}
	sofie.Revoke()
	if a, err = ask(t, w, sofie.Authentication, ca); err != nil || a.Status != ocsp.Revoked {
		t.Errorf("after it was revoked: %+v, %v", a, err)
	}
	w.Reset()
	if a, err = ask(t, w, sofie.Authentication, ca); err != nil || a.Status != ocsp.Good {
		t.Errorf("after the world was reset: %+v, %v", a, err)
	}

	q, err := ocsp.CreateRequest(sofie.Authentication, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(sofie.Authentication.OCSPServer[0] + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(q)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if a, err = ocsp.ParseResponseForCert(body, sofie.Authentication, ca); err != nil || a.Status != ocsp.Good {
		t.Errorf("asked by GET: %+v, %v", a, err)
	}
	if _, body = post(t, sofie.Authentication.OCSPServer[0], "application/ocsp-request", []byte("?")); !bytes.Equal(body, ocsp.MalformedRequestErrorResponse) {
		t.Errorf("a malformed request: %x", body)
	}
}

func TestOCSPMisbehaves(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	card, ca := w.Citizen("sofie"), w.CitizenCA.Certificate
	for b, wrong := range map[responder.Behaviour]func(*ocsp.Response, error) bool{
		responder.Gone:      func(a *ocsp.Response, err error) bool { return err != nil },
		responder.HTML:      func(a *ocsp.Response, err error) bool { return err != nil },
		responder.Huge:      func(a *ocsp.Response, err error) bool { return err != nil },
		responder.Malformed: func(a *ocsp.Response, err error) bool { return err != nil },
		responder.Error500:  func(a *ocsp.Response, err error) bool { return err != nil },
		responder.WrongKey:  func(a *ocsp.Response, err error) bool { return err != nil },
		responder.OtherCert: func(a *ocsp.Response, err error) bool { return err != nil },
		responder.TryLater: func(a *ocsp.Response, err error) bool {
			return err != nil && strings.Contains(err.Error(), "try later")
		},
		responder.Stale:   func(a *ocsp.Response, err error) bool { return err == nil && a.NextUpdate.Before(time.Now()) },
		responder.Future:  func(a *ocsp.Response, err error) bool { return err == nil && a.ThisUpdate.After(time.Now()) },
		responder.Unknown: func(a *ocsp.Response, err error) bool { return err == nil && a.Status == ocsp.Unknown },
		responder.Revoked: func(a *ocsp.Response, err error) bool { return err == nil && a.Status == ocsp.Revoked },
		responder.NotDelegate: func(a *ocsp.Response, err error) bool {
			return err == nil && a.Certificate.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning
		},
		// x/crypto takes the first certificate for the signer: the answer itself is good.
		responder.Bundled:                     func(a *ocsp.Response, err error) bool { return err != nil },
		responder.Late(30 * time.Millisecond): func(a *ocsp.Response, err error) bool { return err == nil && a.Status == ocsp.Good },
	} {
		if err := w.Responder.Set(responder.OCSP, b); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		a, err := ask(t, w, card.Authentication, ca)
		if !wrong(a, err) {
			t.Errorf("%s: %+v, %v", b, a, err)
		}
		if strings.HasPrefix(string(b), "late") && time.Since(start) < 30*time.Millisecond {
			t.Errorf("%s came at once", b)
		}
	}
	if w.Responder.Asked(responder.OCSP) != 15 {
		t.Errorf("%d questions counted, want 15", w.Responder.Asked(responder.OCSP))
	}
	if err := w.Responder.Set(responder.OCSP, "sulky"); err == nil {
		t.Error("a behaviour that does not exist was taken")
	}
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<20))
	return body
}

func TestCRLAndCertificates(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	marc, ca := w.Citizen("marc"), w.CitizenCA.Certificate
	crl, err := x509.ParseRevocationList(get(t, marc.Authentication.CRLDistributionPoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignatureFrom(ca); err != nil {
		t.Error(err)
	}
	var serials []*big.Int
	for _, e := range crl.RevokedCertificateEntries {
		serials = append(serials, e.SerialNumber)
	}
	if len(serials) != 2 || crl.NextUpdate.Before(time.Now()) {
		t.Errorf("%d revoked, want the two of one card; next update %v", len(serials), crl.NextUpdate)
	}
	if !bytes.Equal(get(t, marc.Authentication.IssuingCertificateURL[0]), ca.Raw) {
		t.Error("the CA's certificate is another one")
	}
	for b, wrong := range map[responder.Behaviour]func(*x509.RevocationList, error) bool{
		responder.Stale: func(l *x509.RevocationList, err error) bool { return err == nil && l.NextUpdate.Before(time.Now()) },
		responder.WrongKey: func(l *x509.RevocationList, err error) bool {
			return err == nil && l.CheckSignatureFrom(ca) != nil && bytes.Equal(l.RawIssuer, ca.RawSubject)
		},
		responder.Gone: func(l *x509.RevocationList, err error) bool { return err != nil },
		responder.HTML: func(l *x509.RevocationList, err error) bool { return err != nil },
	} {
		if err := w.Responder.Set(responder.CRL, b); err != nil {
			t.Fatal(err)
		}
		if l, err := x509.ParseRevocationList(get(t, marc.Authentication.CRLDistributionPoints[0])); !wrong(l, err) {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func TestStamps(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	digest := sha256.Sum256([]byte("document"))
	nonce := big.NewInt(4711)
	request := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Nonce: nonce, Certificates: true}
	q, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	stamp := func() (*timestamp.Timestamp, error) {
		_, body := post(t, w.StampURL(), "application/timestamp-query", q)
		return timestamp.ParseResponse(body)
	}
	is := func(f func(*timestamp.Timestamp) bool) func(*timestamp.Timestamp, error) bool {
		return func(s *timestamp.Timestamp, err error) bool { return err == nil && f(s) }
	}
	fails := func(s *timestamp.Timestamp, err error) bool { return err != nil }
	for b, want := range map[responder.Behaviour]func(*timestamp.Timestamp, error) bool{
		responder.Good: is(func(s *timestamp.Timestamp) bool {
			return s.Nonce.Cmp(nonce) == 0 && bytes.Equal(s.HashedMessage, digest[:]) && time.Since(s.Time).Abs() < time.Minute && len(s.Certificates) == 2 && s.Accuracy == time.Second
		}),
		responder.WrongNonce:   is(func(s *timestamp.Timestamp) bool { return s.Nonce.Cmp(nonce) != 0 }),
		responder.NoNonce:      is(func(s *timestamp.Timestamp) bool { return s.Nonce == nil }),
		responder.WrongImprint: is(func(s *timestamp.Timestamp) bool { return !bytes.Equal(s.HashedMessage, digest[:]) }),
		responder.OldTime:      is(func(s *timestamp.Timestamp) bool { return time.Since(s.Time) > 47*time.Hour }),
		responder.FutureTime:   is(func(s *timestamp.Timestamp) bool { return time.Until(s.Time) > 47*time.Hour }),
		responder.ExpiredCert:  is(func(s *timestamp.Timestamp) bool { return s.Certificates[0].NotAfter.Before(time.Now()) }),
		responder.NoAccuracy:   is(func(s *timestamp.Timestamp) bool { return s.Accuracy == 0 }),
		responder.WrongKey:     fails,
		responder.Rejected:     fails,
		responder.Gone:         fails,
		responder.HTML:         fails,
		responder.Huge:         fails,
		responder.Malformed:    fails,
	} {
		if err := w.TSA.Set(b); err != nil {
			t.Fatal(err)
		}
		if s, err := stamp(); !want(s, err) {
			t.Errorf("%s: %+v, %v", b, s, err)
		}
	}
	w.TSA.Reset()
	request.HashAlgorithm, request.HashedMessage = crypto.SHA1, digest[:20]
	if q, err = request.Marshal(); err != nil {
		t.Fatal(err)
	}
	if _, err := stamp(); err == nil {
		t.Error("a SHA-1 hash was stamped")
	}
}

func TestLateEndsWithTheCaller(t *testing.T) {
	w := testcerts.New(t, testcerts.Own())
	if err := w.TSA.Set(responder.Late(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, w.StampURL(), strings.NewReader("x"))
	req.Header.Set("Content-Type", "application/timestamp-query")
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("an answer after an hour, at once")
	}
}
