package trustlist_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/trustlist"
	make "github.com/belfry-eid/belfry/signing/trustlist/trustlisttest"
)

var now = signingtest.Now

// world has signers of lists and the authorities that the lists name.
type world struct {
	top, country, stranger signingtest.Identity
	pki                    *signingtest.World
}

var theWorld = sync.OnceValue(func() world {
	w := signingtest.Shared()
	return world{top: w.RSA, country: w.P256, stranger: w.Stranger, pki: w}
})

func (w world) lotl() make.List {
	return make.List{Top: true, Sequence: 300, Issued: now.AddDate(0, -1, 0), NextUpdate: now.AddDate(0, 5, 0), Pointers: []make.Pointer{
		{Territory: "EU", Top: true, Location: "https://lists.example/lotl.xml", Signers: []*x509.Certificate{w.top.Cert}},
		{Territory: "BE", Location: "https://lists.example/be.xml", Signers: []*x509.Certificate{w.country.Cert}},
	}}
}

func (w world) belgium() make.List {
	return make.List{Territory: "BE", Sequence: 70, Issued: now.AddDate(0, -1, 0), NextUpdate: now.AddDate(0, 5, 0), Services: []make.Service{
		make.Granted("CA/QC", w.pki.CA.Cert, "ForeSeals"), make.Granted("TSA/QTST", w.pki.TSA.Cert), make.Granted("CA/PKC", w.pki.StrangerRoot.Cert),
	}}
}

func only(c *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c} }

func TestListsAreRead(t *testing.T) {
	w := theWorld()
	for name, bend := range map[string]func(*make.List){
		"RSA": nil, "PSS": func(l *make.List) { l.PSS = true }, "inclusive": func(l *make.List) { l.Inclusive = true },
	} {
		top := w.lotl()
		if bend != nil {
			bend(&top)
		}
		set, err := trustlist.Files(make.Make(top, w.top), only(w.top.Cert), [][]byte{make.Make(w.belgium(), w.country)}, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if set.LOTL.Sequence != 300 || set.LOTL.Operator != "Operator of EU" || len(set.LOTL.Pointers) != 2 || len(set.Lists) != 1 || set.Lists[0].Territory != "BE" || len(set.Services) != 2 {
			t.Errorf("%s: %+v", name, set)
		}
		if got := trustlist.Anchors(set.Services, trustlist.CA); len(got) != 1 || !got[0].Equal(w.pki.CA.Cert) {
			t.Errorf("%s: anchors of seals: %v", name, got)
		}
		if got := trustlist.Anchors(set.Services, trustlist.TSA); len(got) != 1 || !got[0].Equal(w.pki.TSA.Cert) {
			t.Errorf("%s: anchors of stamps: %v", name, got)
		}
	}
}

// Our reader and the signatures of these tests stand on one library; xmlsec stands on none of it.
func TestXMLSecAgrees(t *testing.T) {
	xmlsec, err := exec.LookPath("xmlsec1")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("xmlsec1 is missing")
		}
		t.Skip("xmlsec1 is missing")
	}
	w := theWorld()
	for name, l := range map[string]struct {
		list   make.List
		signer signingtest.Identity
	}{
		"RSA": {w.lotl(), w.top}, "ECDSA": {w.belgium(), w.country},
		"inclusive": {func() make.List { l := w.lotl(); l.Inclusive = true; return l }(), w.top},
	} {
		dir := t.TempDir()
		file, cert := filepath.Join(dir, "list.xml"), filepath.Join(dir, "signer.pem")
		for path, b := range map[string][]byte{file: make.Make(l.list, l.signer), cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.signer.Cert.Raw})} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(xmlsec, "--verify", "--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", "--pubkey-cert-pem", cert, "--enabled-key-data", "x509,rsa,ecdsa", file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestHostileListsAreRefused(t *testing.T) {
	w := theWorld()
	good := string(make.Make(w.lotl(), w.top))
	signature := good[strings.Index(good, "<ds:Signature "):strings.Index(good, "</TrustServiceStatusList>")]
	bent := func(change func(*make.List)) string {
		l := w.lotl()
		change(&l)
		return string(make.Make(l, w.top))
	}
	evil := strings.Replace(good, "<TSLSequenceNumber>300", "<TSLSequenceNumber>999", 1)
	for name, xml := range map[string]string{
		"changed":          evil,
		"wrong signer":     string(make.Make(w.lotl(), w.stranger)),
		"unsigned":         strings.Replace(good, signature, "", 1),
		"expired":          bent(func(l *make.List) { l.NextUpdate = now.Add(-time.Second) }),
		"from the future":  bent(func(l *make.List) { l.Issued = now.AddDate(0, 1, 0) }),
		"two signatures":   strings.Replace(good, signature, signature+strings.NewReplacer(`Id="sig"`, `Id="sig2"`, `Id="props"`, `Id="props2"`).Replace(signature), 1),
		"wrapped":          `<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" Id="evil"><SchemeInformation/>` + good[strings.Index(good, "?>")+2:] + `</TrustServiceStatusList>`,
		"signature deeper": strings.Replace(strings.Replace(evil, signature, "", 1), "</SchemeInformation>", signature+"</SchemeInformation>", 1),
		"an object added":  strings.Replace(good, "</ds:Signature>", `<ds:Object><ds:Signature Id="x"/></ds:Object></ds:Signature>`, 1),
		"an Id twice":      strings.Replace(good, "<SchemeInformation>", `<SchemeInformation Id="props">`, 1),
		"entities":         strings.Replace(good, "?>", `?><!DOCTYPE x [<!ENTITY a "b">]>`, 1),
		"a stylesheet":     strings.Replace(good, "?>", `?><?xml-stylesheet href="x"?>`, 1),
		"another signer named": bent(func(l *make.List) {
			l.Properties = func(s string) string {
				return s[:strings.Index(s, "<ds:DigestValue>")] + "<ds:DigestValue>" + strings.Repeat("A", 43) + "=" + s[strings.Index(s, "</ds:DigestValue>"):]
			}
		}),
		"no signer named": bent(func(l *make.List) {
			l.Properties = func(s string) string {
				return s[:strings.Index(s, "<xades:SigningCertificateV2>")] + s[strings.Index(s, "</xades:SignedSignatureProperties>"):]
			}
		}),
		"SHA-1":    strings.ReplaceAll(good, "xmldsig-more#rsa-sha256", "xmldsig#rsa-sha1"),
		"an XPath": strings.Replace(good, `<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">`, 1),
		"no list":  `<x Id="list"/>`,
		"old version": bent(func(l *make.List) {
			l.Change = func(s string) string { return strings.Replace(s, "Identifier>5<", "Identifier>3<", 1) }
		}),
		"no next update": bent(func(l *make.List) {
			l.Change = func(s string) string {
				return s[:strings.Index(s, "<dateTime>")] + s[strings.Index(s, "</NextUpdate>"):]
			}
		}),
		"a country's list": string(make.Make(w.belgium(), w.top)),
		"deep":             strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100),
		"junk":             "\x00\x01", "nothing": "", "text": "hello",
		"many attributes twice": `<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" Id="a" Id="b"/>`,
	} {
		if _, err := trustlist.Files([]byte(xml), only(w.top.Cert), nil, now); err == nil {
			t.Errorf("%s: accepted", name)
		} else if name == "wrong signer" && !errors.Is(err, trustlist.ErrSigner) || name == "expired" && !errors.Is(err, trustlist.ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A country's signers come from the list of the lists; nobody else's count, not even its own.
func TestCountriesListsNeedTheirOwnSigners(t *testing.T) {
	w := theWorld()
	top := make.Make(w.lotl(), w.top)
	france := w.belgium()
	france.Territory = "FR"
	for name, xml := range map[string][]byte{
		"signed by the Union's signer": make.Make(w.belgium(), w.top),
		"signed by a stranger":         make.Make(w.belgium(), w.stranger),
		"of a country without pointer": make.Make(france, w.country),
		"the list of the lists itself": top,
	} {
		if _, err := trustlist.Files(top, only(w.top.Cert), [][]byte{xml}, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// qualified makes a certificate that says it is qualified, with these types.
func qualified(w world, issuer signingtest.Identity, device bool, types ...int) *x509.Certificate {
	type statement struct {
		ID   asn1.ObjectIdentifier
		Info []asn1.ObjectIdentifier `asn1:"optional,omitempty"`
	}
	list := []statement{{ID: asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 1}}}
	if device {
		list = append(list, statement{ID: asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 4}})
	}
	for _, n := range types {
		list = append(list, statement{asn1.ObjectIdentifier{0, 4, 0, 1862, 1, 6}, []asn1.ObjectIdentifier{{0, 4, 0, 1862, 1, 6, n}}})
	}
	der, err := asn1.Marshal(list)
	if err != nil {
		panic(err)
	}
	return signingtest.Issue("Commune", &issuer, w.pki.P256.Key, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageContentCommitment
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: der}}
	}).Cert
}

func TestWhatAServiceMakesOfACertificate(t *testing.T) {
	w := theWorld()
	ca := w.pki.CA
	seal, signature, plain := qualified(w, ca, true, 2), qualified(w, ca, true, 1), w.pki.P256.Cert
	long := now.AddDate(-5, 0, 0)
	for name, c := range map[string]struct {
		periods             []make.Period
		cert                *x509.Certificate
		granted, qual, qscd bool
		use                 string
	}{
		"a seal":                         {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}}}, seal, true, true, true, "seal"},
		"a seal, by a signature service": {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSignatures"}}}, seal, true, false, false, "seal"},
		"a signature":                    {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSignatures", "ForeSeals"}}}, signature, true, true, true, "signature"},
		"no use named":                   {[]make.Period{{Status: "granted", From: long}}, signature, true, true, true, "signature"},
		"no qualified certificate":       {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}}}, plain, true, false, false, "unknown"},
		"withdrawn":                      {[]make.Period{{Status: "withdrawn", From: now.AddDate(0, 0, -1)}, {Status: "granted", From: long, Uses: []string{"ForeSeals"}}}, seal, false, false, false, "seal"},
		"withdrawn later":                {[]make.Period{{Status: "withdrawn", From: now.AddDate(0, 0, 1)}, {Status: "granted", From: long, Uses: []string{"ForeSeals"}}}, seal, true, true, true, "seal"},
		"granted after it was issued":    {[]make.Period{{Status: "granted", From: now.AddDate(0, 0, -1), Uses: []string{"ForeSeals"}}}, seal, true, false, false, "seal"},
		"an old word today":              {[]make.Period{{Status: "undersupervision", From: long, Uses: []string{"ForeSeals"}}}, seal, false, false, false, "seal"},
		"the entry denies the device":    {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: make.Qualifies("QCNoQSCD", "all", "nonRepudiation")}}, seal, true, true, false, "seal"},
		"the entry denies":               {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: make.Qualifies("NotQualified", "all", "nonRepudiation") + make.Qualifies("QCStatement", "all", "nonRepudiation")}}, seal, true, false, false, "seal"},
		"the entry speaks of others":     {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: make.Qualifies("NotQualified", "all", "keyAgreement")}}, seal, true, true, true, "seal"},
		"the entry makes it qualified":   {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: make.Qualifies("QCStatement", "all", "nonRepudiation") + make.Qualifies("QCForESeal", "all", "nonRepudiation")}}, plain, true, true, false, "seal"},
		"unknown criteria give nothing":  {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: strings.Replace(make.Qualifies("QCStatement", "all", "nonRepudiation"), "ecc:KeyUsage>", "ecc:otherCriteriaList>", 2)}}, plain, true, false, false, "unknown"},
		"unknown criteria take away":     {[]make.Period{{Status: "granted", From: long, Uses: []string{"ForeSeals"}, Extra: strings.Replace(make.Qualifies("NotQualified", "all", "nonRepudiation"), "ecc:KeyUsage>", "ecc:otherCriteriaList>", 2)}}, seal, true, false, false, "seal"},
	} {
		list := w.belgium()
		list.Services = []make.Service{{Kind: "CA/QC", Name: "Seals", Cert: ca.Cert, Periods: c.periods}}
		set, err := trustlist.Files(make.Make(w.lotl(), w.top), only(w.top.Cert), [][]byte{make.Make(list, w.country)}, now)
		if err != nil {
			t.Fatal(name, err)
		}
		got := trustlist.Judge(set.Services, trustlist.CA, []*x509.Certificate{c.cert, ca.Cert, w.pki.Root.Cert}, now)
		if got == nil || got.Granted != c.granted || got.Qualified != c.qual || got.Device != c.qscd || got.Use != c.use {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := trustlist.Judge(nil, trustlist.CA, []*x509.Certificate{seal, ca.Cert}, now); got != nil {
		t.Errorf("no list: %+v", got)
	}
}

// served is a place that serves lists, over http of this machine.
type served struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
}

func serve(t *testing.T) *served {
	s := &served{files: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		b, ok := s.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *served) put(path string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b == nil {
		delete(s.files, path)
		return
	}
	s.files[path] = b
}

func TestSourceKeepsListsUpToDate(t *testing.T) {
	w, s := theWorld(), serve(t)
	top := w.lotl()
	top.Pointers[1].Location = s.URL + "/be.xml"
	country := w.belgium()
	s.put("/lotl.xml", make.Make(top, w.top))
	s.put("/be.xml", make.Make(country, w.country))
	at := now
	cfg := trustlist.Config{LOTL: s.URL + "/lotl.xml", Signers: only(w.top.Cert), Cache: t.TempDir(), Clock: func() time.Time { return at }}
	source, err := trustlist.New(cfg)
	if err != nil || source.Current() != nil {
		t.Fatal("an empty cache", err, source.Current())
	}
	refresh := func() error { t.Helper(); return source.Refresh(t.Context()) }
	services := func() int {
		if set := source.Current(); set != nil {
			return len(set.Services)
		}
		return -1
	}
	if err := refresh(); err != nil || services() != 2 {
		t.Fatal("first:", err, services())
	}
	if again, err := trustlist.New(cfg); err != nil || again.Current() == nil || len(again.Current().Services) != 2 {
		t.Error("the cache is not read at start", err)
	}

	older := country
	older.Sequence, older.Services = 69, nil
	s.put("/be.xml", make.Make(older, w.country))
	if err := refresh(); err != nil || services() != 2 || len(source.Current().Problems) != 1 {
		t.Errorf("an older list: %v, %d services, %+v", err, services(), source.Current().Problems)
	}
	s.put("/be.xml", nil)
	if err := refresh(); err != nil || services() != 2 || len(source.Current().Problems) != 1 {
		t.Errorf("a list that cannot be had: %v, %d services", err, services())
	}
	newer := country
	newer.Sequence, newer.Services, newer.NextUpdate = 71, country.Services[:1], now.AddDate(0, 0, 10)
	s.put("/be.xml", make.Make(newer, w.country))
	if err := refresh(); err != nil || services() != 1 || len(source.Current().Problems) != 0 {
		t.Errorf("a newer list: %v, %d services, %+v", err, services(), source.Current().Problems)
	}
	back := top
	back.Sequence = 299
	s.put("/lotl.xml", make.Make(back, w.top))
	if err := refresh(); err == nil || source.Err() == nil || services() != 1 {
		t.Errorf("an older list of the lists: %v", err)
	}
	pivot := top
	pivot.Sequence = 301
	s.put("/lotl.xml", make.Make(pivot, w.stranger))
	if err := refresh(); !errors.Is(err, trustlist.ErrSigner) || services() != 1 {
		t.Errorf("a pivot: %v", err)
	}
	at = now.AddDate(0, 0, 11)
	if services() != 0 || len(source.Current().Problems) != 1 {
		t.Errorf("a list that ran out serves on: %d", services())
	}
	at = now.AddDate(0, 6, 0)
	if source.Current() != nil {
		t.Error("a list of the lists that ran out serves on")
	}
}

func TestSourceRefusesPlainAddresses(t *testing.T) {
	for _, address := range []string{"", "http://lists.example/lotl.xml", "lotl.xml", "file:///etc/passwd"} {
		if _, err := trustlist.New(trustlist.Config{LOTL: address, Signers: only(theWorld().top.Cert), Cache: t.TempDir(), Clock: clock.At(now)}); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
}

func FuzzRead(f *testing.F) {
	w := theWorld()
	f.Add(make.Make(w.lotl(), w.top))
	f.Add(make.Make(w.belgium(), w.country))
	f.Add([]byte(`<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/><SignatureValue/><KeyInfo/></Signature></TrustServiceStatusList>`))
	f.Fuzz(func(t *testing.T, xml []byte) {
		l, err := trustlist.Read(xml, []*x509.Certificate{w.top.Cert, w.country.Cert}, now)
		if err == nil && l.Territory != "EU" && l.Territory != "BE" {
			t.Errorf("a list of %q that nobody signed", l.Territory)
		}
	})
}
