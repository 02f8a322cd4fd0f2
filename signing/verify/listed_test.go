package verify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/trustlist"
	"github.com/belfry-eid/belfry/signing/trustlist/trustlisttest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// services are those of a signed Belgian list under a signed list of the lists.
func services(t *testing.T, list ...trustlisttest.Service) []trustlist.Service {
	t.Helper()
	w := signingtest.Shared()
	issued, next := signingtest.Now.AddDate(0, -1, 0), signingtest.Now.AddDate(0, 5, 0)
	top := trustlisttest.Make(trustlisttest.List{Top: true, Sequence: 1, Issued: issued, NextUpdate: next, Pointers: []trustlisttest.Pointer{
		{Territory: "BE", Location: "https://lists.example/be.xml", Signers: []*x509.Certificate{w.RSA.Cert}},
	}}, w.RSA)
	country := trustlisttest.Make(trustlisttest.List{Territory: "BE", Sequence: 1, Issued: issued, NextUpdate: next, Services: list}, w.RSA)
	set, err := trustlist.Files(top, []*x509.Certificate{w.RSA.Cert}, [][]byte{country}, signingtest.Now)
	if err != nil {
		t.Fatal(err)
	}
	return set.Services
}

// qualifiedSeal is a seal whose certificate says that it is a qualified one, in a device.
func qualifiedSeal(t *testing.T) signingtest.Identity {
	t.Helper()
	type statement struct {
		ID   asn1.ObjectIdentifier
		Info []asn1.ObjectIdentifier `asn1:"optional,omitempty"`
	}
	der, err := asn1.Marshal([]statement{
		{ID: asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1}}, {ID: asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4}},
		{asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6}, []asn1.ObjectIdentifier{{0, 4, 0, 1862, 1, 6, 2}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := signingtest.Shared()
	return signingtest.Issue("Stadt Eupen", &w.CA, w.P256.Key, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: der}}
	})
}

func TestTrustedListsSayWhoIsQualified(t *testing.T) {
	w := signingtest.Shared()
	ca, tsu := trustlisttest.Granted("CA/QC", w.CA.Cert, "ForeSeals"), trustlisttest.Granted("TSA/QTST", w.TSA.Cert)
	gone := ca
	gone.Periods = append([]trustlisttest.Period{{Status: "withdrawn", From: signingtest.Now.AddDate(0, 0, -1)}}, ca.Periods...)
	goneLater := ca
	goneLater.Periods = append([]trustlisttest.Period{{Status: "withdrawn", From: signingtest.Now.Add(30 * time.Minute)}}, ca.Periods...)
	plain := pdftest.Build(pdftest.Table, pdftest.Fields())
	qualified := sign(t, plain, qualifiedSeal(t), how{certify: true, stamped: true})
	unstamped := sign(t, plain, qualifiedSeal(t), how{certify: true})
	advanced := sign(t, plain, w.P256, how{certify: true, stamped: true})
	for name, c := range map[string]struct {
		file     []byte
		services []trustlist.Service
		roots    []*x509.Certificate
		want     verify.Result
		code     verify.Code
		says     string
		stamp    bool
	}{
		"qualified":              {qualified, services(t, ca, tsu), nil, verify.Valid, "", "A qualified electronic seal in European law", true},
		"advanced":               {advanced, services(t, ca, tsu), nil, verify.Valid, "", "Not a qualified seal or signature", true},
		"withdrawn":              {qualified, services(t, gone, tsu), nil, verify.Unknown, verify.NotGranted, "was not recognised then", true},
		"withdrawn, but pinned":  {qualified, services(t, gone, tsu), w.RootCertificates, verify.Valid, "", "was not recognised then", true},
		"withdrawn after":        {qualified, services(t, goneLater, tsu), nil, verify.Valid, "", "A qualified electronic seal", true},
		"nothing proves before":  {unstamped, services(t, goneLater, tsu), nil, verify.Unknown, verify.NotGranted, "was not recognised then", false},
		"the stamp is not known": {qualified, services(t, goneLater), nil, verify.Unknown, verify.StampUntrusted, "was not recognised then", false},
		"nobody is listed":       {qualified, services(t, tsu), nil, verify.NotValid, verify.Untrusted, "no authority that is recognised", true},
	} {
		o := verify.Options{Roots: c.roots, Services: c.services, Now: signingtest.Now.Add(time.Hour)}
		r := verify.ChildBytes(context.Background(), c.file, o)
		if r.Result != c.want || len(r.Signatures) != 1 || c.code != "" && !r.Signatures[0].Notes(c.code) {
			t.Errorf("%s: %s %+v", name, r.Result, r)
			continue
		}
		if s := r.Signatures[0]; (s.StampListed != nil && s.StampListed.Qualified) != c.stamp {
			t.Errorf("%s: the stamp: %+v", name, s.StampListed)
		}
		var b bytes.Buffer
		if err := verify.WriteText(&b, i18n.English, r); err != nil || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}
