package verify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/revocation"
)

// ask is a question that a report leaves open: does this certificate stand?
type ask struct{ Cert, Issuer []byte } // DER

const (
	maxAsks   = 12 // certificates asked about for one file
	maxRounds = 2  // answers may come from responders who are to be asked about themselves
)

// Online checks a file, asks the issuers about certificates whose standing nothing
// in the file proves, and checks again with their answers. Certificates name the
// addresses; only the hosts that f lists are asked. Where nobody answers the report
// says so (RevocationUnreachable) beside what it says otherwise.
func Online(ctx context.Context, f *fetch.Fetcher, o Options, check func(Options) *Report) *Report {
	r := check(o)
	asked := map[[32]byte]bool{}
	var failed error
	for range maxRounds {
		more := false
		for _, a := range r.asks[:min(len(r.asks), maxAsks)] {
			key := sha256.Sum256(a.Cert)
			if asked[key] {
				continue
			}
			asked[key] = true
			answer, list, err := fetchStatement(ctx, f, a)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			more = true
			if answer != nil {
				o.OCSPs = append(o.OCSPs, answer)
			} else {
				o.CRLs = append(o.CRLs, list)
			}
		}
		if !more {
			break
		}
		r = check(o)
	}
	if failed != nil {
		r.unreachable(failed)
	}
	return r
}

// unreachable tells people that somebody was asked, where the report says that nobody was.
func (r *Report) unreachable(cause error) {
	for i := range r.Signatures {
		s := &r.Signatures[i]
		for j := range s.Findings {
			if s.Findings[j].Code == RevocationNotChecked {
				s.Findings[j] = Finding{Code: RevocationUnreachable, Detail: fmt.Sprintf("%s: %.300s", s.Findings[j].Detail, clean(cause.Error()))}
			}
		}
	}
}

// fetchStatement asks the responder and then for the list. What it returns is about
// this certificate; whether it is to be believed the next check says.
func fetchStatement(ctx context.Context, f *fetch.Fetcher, a ask) (answer, list []byte, err error) {
	cert, err := x509.ParseCertificate(a.Cert)
	if err != nil {
		return nil, nil, err
	}
	issuer, err := x509.ParseCertificate(a.Issuer)
	if err != nil {
		return nil, nil, err
	}
	causes := []error{fmt.Errorf("%q names nobody who may be asked", cert.Subject.CommonName)}
	for _, address := range f.Listed(cert.OCSPServer) {
		answer, err := askResponder(ctx, f, address, cert, issuer)
		if err == nil {
			return answer, nil, nil
		}
		causes = append(causes, err)
	}
	for _, address := range f.Listed(cert.CRLDistributionPoints) {
		list, err := f.Get(ctx, address)
		if err == nil {
			_, err = revocation.ParseCRL(list, issuer)
		}
		if err == nil {
			return nil, list, nil
		}
		causes = append(causes, err)
	}
	if len(causes) > 1 {
		causes = causes[1:]
	}
	return nil, nil, errors.Join(causes...)
}

func askResponder(ctx context.Context, f *fetch.Fetcher, address string, cert, issuer *x509.Certificate) ([]byte, error) {
	request, nonce, err := revocation.Request(cert, issuer)
	if err != nil {
		return nil, err
	}
	raw, err := f.Post(ctx, address, "application/ocsp-request", request)
	if err != nil {
		return nil, err
	}
	answer, err := revocation.ParseOCSP(raw)
	if err != nil {
		return nil, err
	}
	if answer.OtherNonce(nonce) {
		return nil, errors.New("the answer is to another request")
	}
	said, err := answer.About(cert, issuer)
	if err != nil {
		return nil, err
	}
	if said.Status == revocation.Unknown {
		return nil, fmt.Errorf("the issuer of %q does not know it", cert.Subject.CommonName)
	}
	return raw, nil
}
