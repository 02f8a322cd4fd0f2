package testcerts

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// subject is a name whose attributes stand in the order of Belgian cards, each in a
// relative name of its own: C, O, organizationIdentifier, CN, SN, GN, serialNumber.
type subject struct {
	country, organization, organizationID, common, surname, given, serial string
}

func (s subject) der() []byte {
	type value struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var rdns []asn1.RawValue
	add := func(last int, text, form string) {
		if text == "" {
			return
		}
		encoded := must(asn1.MarshalWithParams(text, form))
		rdns = append(rdns, asn1.RawValue{FullBytes: must(asn1.MarshalWithParams([]value{{asn1.ObjectIdentifier{2, 5, 4, last}, asn1.RawValue{FullBytes: encoded}}}, "set"))})
	}
	add(6, s.country, "printable")
	add(10, s.organization, "utf8")
	add(97, s.organizationID, "utf8")
	add(3, s.common, "utf8")
	add(4, s.surname, "utf8")
	add(42, s.given, "utf8")
	add(5, s.serial, "printable")
	return must(asn1.Marshal(rdns))
}

func must(der []byte, err error) []byte {
	if err != nil {
		panic(err) // our own constant shapes and people
	}
	return der
}

var (
	// noCheck is id-pkix-ocsp-nocheck: nobody asks about the responder itself, RFC 6960 §4.2.2.2.1.
	noCheck = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{0x05, 0x00}}

	criticalTimeStamping = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
		Value: must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))}
)

func extensions(e ...pkix.Extension) []pkix.Extension { return e }

// Certificate policies. Cards of the newest applet carry 2.16.56.12.1.1.{2|7}.{1|2}, older
// ones another arc; …1.1.4 is that of the National Register, which signs what is written
// on a card. The seals' policy is from the arc of the first test cards.
var (
	policyCitizenAuthentication   = oid(2, 16, 56, 12, 1, 1, 2, 2)
	policyCitizenSignature        = oid(2, 16, 56, 12, 1, 1, 2, 1)
	policyForeignerAuthentication = oid(2, 16, 56, 12, 1, 1, 7, 2)
	policyForeignerSignature      = oid(2, 16, 56, 12, 1, 1, 7, 1)
	policyOldAuthentication       = oid(2, 16, 56, 9, 1, 1, 2, 2)
	policyOldSignature            = oid(2, 16, 56, 9, 1, 1, 2, 1)
	policyRegistry                = oid(2, 16, 56, 12, 1, 1, 4)
	policyOldRegistry             = oid(2, 16, 56, 9, 1, 1, 4)
	anyPolicy                     = oid(2, 5, 29, 32, 0)
	policySeal                    = oid(2, 16, 56, 1, 40, 40, 40, 3)
)

func oid(arcs ...uint64) x509.OID {
	o, err := x509.OIDFromInts(arcs)
	if err != nil {
		panic(err) // our own constants
	}
	return o
}

// Statements of EN 319 412-5: qualified, key in a qualified device, and for what.
var (
	qcCompliance = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1}
	qcDevice     = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4}
	qcType       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6}
	qcSignature  = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 1}
	qcSeal       = asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6, 2}
)

// statements is the qcStatements extension. Without qualified it only says the type.
func statements(qualified bool, kind asn1.ObjectIdentifier) pkix.Extension {
	type plain struct{ ID asn1.ObjectIdentifier }
	type typed struct {
		ID   asn1.ObjectIdentifier
		Info []asn1.ObjectIdentifier
	}
	var list []asn1.RawValue
	if qualified {
		list = append(list, asn1.RawValue{FullBytes: must(asn1.Marshal(plain{qcCompliance}))}, asn1.RawValue{FullBytes: must(asn1.Marshal(plain{qcDevice}))})
	}
	list = append(list, asn1.RawValue{FullBytes: must(asn1.Marshal(typed{qcType, []asn1.ObjectIdentifier{kind}}))})
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: must(asn1.Marshal(list))}
}
