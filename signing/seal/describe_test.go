package seal

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingtest"
)

var (
	oidQCStatements = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}
	oidQCCompliance = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1}
	oidQCSSCD       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4}
	oidQCType       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6}
	oidQCTypeSeal   = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 2}
)

func TestDescribe(t *testing.T) {
	type statement struct {
		ID   asn1.ObjectIdentifier
		Info asn1.RawValue `asn1:"optional"`
	}
	of := func(ids ...asn1.ObjectIdentifier) (list []statement) {
		for _, id := range ids {
			list = append(list, statement{ID: id})
		}
		return list
	}
	types := func(ids ...asn1.ObjectIdentifier) statement {
		der, err := asn1.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		return statement{oidQCType, asn1.RawValue{FullBytes: der}}
	}
	forSignatures := asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 1}
	for name, test := range map[string]struct {
		statements []statement
		raw        []byte
		want       signing.SealLevel
	}{
		"none":                  {want: signing.Advanced},
		"all three":             {statements: append(of(oidQCCompliance, oidQCSSCD), types(oidQCTypeSeal)), want: signing.Qualified},
		"in another order":      {statements: append([]statement{types(forSignatures, oidQCTypeSeal)}, of(oidQCSSCD, oidQCCompliance)...), want: signing.Qualified},
		"no device":             {statements: append(of(oidQCCompliance), types(oidQCTypeSeal)), want: signing.Advanced},
		"not qualified":         {statements: append(of(oidQCSSCD), types(oidQCTypeSeal)), want: signing.Advanced},
		"for people":            {statements: append(of(oidQCCompliance, oidQCSSCD), types(forSignatures)), want: signing.Advanced},
		"no type":               {statements: of(oidQCCompliance, oidQCSSCD), want: signing.Advanced},
		"type as a statement":   {statements: of(oidQCCompliance, oidQCSSCD, oidQCTypeSeal), want: signing.Advanced},
		"no statements at all":  {raw: []byte("nonsense"), want: signing.Advanced},
		"something behind them": {raw: []byte{0x30, 0x00, 0x05, 0x00}, want: signing.Advanced},
	} {
		t.Run(name, func(t *testing.T) {
			id := signingtest.Issue("Gemeente "+name, &signingtest.Shared().CA, signingtest.Shared().P256.Key, func(c *x509.Certificate) {
				c.KeyUsage = x509.KeyUsageContentCommitment
				der := test.raw
				if test.statements != nil {
					var err error
					if der, err = asn1.Marshal(test.statements); err != nil {
						t.Fatal(err)
					}
				}
				if der != nil {
					c.ExtraExtensions = []pkix.Extension{{Id: oidQCStatements, Value: der}}
				}
			})
			w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, id)
			w.cfg.Specimen = func(_ commune.ID, c *x509.Certificate) bool { return c == id.Cert }
			w.restart()
			got, err := w.Describe(here)
			want := signing.Seal{Name: "Gemeente " + name, Level: test.want, Specimen: true, NotAfter: id.Cert.NotAfter}
			if err != nil || got != want {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		})
	}
	w := newWorld(t, sqldbtest.SQLite(t), signing.LevelBB, signingtest.Shared().P256)
	if _, err := w.Describe(commune.ID("zandvoorde")); fault.KeyOf(err) != "seal.no_key" {
		t.Error(err)
	}
}
