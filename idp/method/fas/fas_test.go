package fas_test

import (
	"context"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/benchtest"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

const origin = "https://id.example"

var (
	eidMeans = fakefas.Belgian[0].Value
	itsme    = fakefas.Belgian[1].Value
	luc      = fakefas.Person{Name: "luc", Number: "71715100070", GivenNames: "Luc & Léa", Surname: "Lambert"}
)

// world is a service provider for two communes, and one identity provider.
type world struct {
	t      testing.TB
	idp    *fakefas.Provider
	fas    *fas.FAS
	hand   *clock.Hand
	agreed []fas.Agreement
	config fas.Config
}

var keys = sync.OnceValues(func() (fas.Key, *fakefas.Provider) {
	key, cert, err := fakefas.NewKey("a commune")
	if err != nil {
		panic(err)
	}
	idp, err := fakefas.New("https://csam.example", []fakefas.Person{luc})
	if err != nil {
		panic(err)
	}
	return fas.Key{Signer: key, Certificate: cert}, idp
})

func newWorld(t testing.TB, change ...func(*fas.Agreement)) *world {
	t.Helper()
	key, idp := keys()
	w := &world{t: t, idp: idp, hand: clock.NewHand(time.Now().UTC().Truncate(time.Second))}
	file := filepath.Join(t.TempDir(), "idp.xml")
	w.must(os.WriteFile(file, idp.Metadata(), 0o600))
	provider := &fas.Provider{Name: "fas", Metadata: file}
	for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
		a := fas.Agreement{
			Commune: c, Provider: provider, Signing: []fas.Key{key}, Encryption: []fas.Key{key},
			Levels: []fas.Level{{Value: eidMeans, Level: method.High, AMR: []string{"eid"}}, {Value: itsme, Level: method.High, AMR: []string{"mfa"}}},
		}
		if c == "zandvoorde" { // one's generosity is not the other's
			a.Levels = []fas.Level{{Value: eidMeans, Level: method.Substantial}}
		}
		for _, f := range change {
			f(&a)
		}
		w.agreed = append(w.agreed, a)
	}
	db := sqldbtest.SQLite(t)
	store, err := idpsql.New(context.Background(), db, w.hand.Now)
	w.must(err)
	values, err := kv.NewSQL(db, w.hand.Now)
	w.must(err)
	master, err := secret.New(make([]byte, 32))
	w.must(err)
	w.config = fas.Config{Store: store, KV: values, Secret: master, Clock: w.hand.Now, Issuers: []string{origin}, Agreements: w.agreed}
	w.fas, err = fas.New(w.config)
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func step(c commune.ID) method.Step {
	return method.Step{Login: "login", Browser: "browser", Origin: origin, Commune: &commune.Commune{ID: c, LanguageRegime: "fr"}, Language: "fr"}
}

// under is a request on its way.
type under struct {
	id, relay string
	doc       *etree.Document
}

// ask makes a request and reads what the browser would take along.
func (w *world) ask(s method.Step) under {
	w.t.Helper()
	view, err := w.fas.Show(context.Background(), s)
	w.must(err)
	text := regexp.MustCompile(`https://csam\.example/sso\?[^ }\]]+`).FindString(strings.ReplaceAll(sprint(view.Content), "&amp;", "&"))
	link, err := url.Parse(text)
	w.must(err)
	doc := inflate(w.t, link.Query().Get("SAMLRequest"))
	return under{doc.Root().SelectAttrValue("ID", ""), link.Query().Get("RelayState"), doc}
}

func (w *world) honest(u under) fakefas.Answer {
	a := w.idp.Honest(u.id, origin+"/saml/beaumarais/acs", origin+"/saml/beaumarais/metadata", luc, eidMeans, w.hand.Now())
	key, _ := keys()
	a.EncryptTo = key.Certificate
	return a
}

func (w *world) respond(a fakefas.Answer) string {
	w.t.Helper()
	text, err := w.idp.Respond(a)
	w.must(err)
	return base64.StdEncoding.EncodeToString(text)
}

func (w *world) answer(s method.Step, u under, response string) (method.Proof, error) {
	return w.fas.Answer(context.Background(), s, url.Values{"SAMLResponse": {response}, "RelayState": {u.relay}})
}

// accepted are the shapes that honest providers send.
func TestHonestResponsesSignIn(t *testing.T) {
	key, _ := keys()
	for name, change := range map[string]func(*fakefas.Answer){
		"both signed, encrypted":      func(*fakefas.Answer) {},
		"OAEP with SHA-256":           func(a *fakefas.Answer) { a.Encryption = "oaep256" },
		"both signed, plain":          func(a *fakefas.Answer) { a.EncryptTo = nil },
		"assertion signed, plain":     func(a *fakefas.Answer) { a.EncryptTo, a.SignResponse = nil, false },
		"assertion signed, encrypted": func(a *fakefas.Answer) { a.SignResponse = false },
		"response signed, plain":      func(a *fakefas.Answer) { a.EncryptTo, a.SignAssertion = nil, false },
		"response signed, encrypted":  func(a *fakefas.Answer) { a.SignAssertion = false },
		"SHA-512":                     func(a *fakefas.Answer) { a.Algorithm = dsig.RSASHA512SignatureMethod },
		"a name in two scripts": func(a *fakefas.Answer) {
			a.Bend = replace(`<saml:Attribute Name="surname">`, `<saml:Attribute Name="surname"><saml:AttributeValue xmlns:eidas="http://eidas.europa.eu/attributes/naturalperson" eidas:LatinScript="false">Λάμπερτ</saml:AttributeValue>`)
		},
		"without an end of the session": func(a *fakefas.Answer) { a.Bend = replace(` SessionNotOnOrAfter="`, ` Was="`) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.ask(step("beaumarais"))
			a := w.honest(u)
			a.EncryptTo = key.Certificate
			change(&a)
			proof, err := w.answer(step("beaumarais"), u, w.respond(a))
			w.must(err)
			if proof.Citizen.Number.Reveal() != luc.Number || proof.Citizen.GivenNames != luc.GivenNames || proof.Citizen.Surname != luc.Surname || proof.Upstream != "fas "+eidMeans || !proof.At.Equal(w.hand.Now()) {
				t.Errorf("another person, level or time: %+v", proof)
			}
			if l, ok := w.fas.Level("beaumarais", proof.Upstream); !ok || l != method.High {
				t.Error("the level of beaumarais is", l)
			}
			if l, ok := w.fas.Level("zandvoorde", proof.Upstream); !ok || l != method.Substantial {
				t.Error("the level of zandvoorde is", l)
			}
			if _, ok := w.fas.Level("zandvoorde", "fas "+itsme); ok {
				t.Error("zandvoorde accepts what only beaumarais does")
			}
		})
	}
}

func replace(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// Everything that is not quite right, by the word that the record must hold. The
// attacker has an honest answer for themselves, and may bend what is not signed; bent
// before signing, it is the provider that is careless.
func TestHostileResponsesSignNobodyIn(t *testing.T) {
	at := func(w *world, d time.Duration) string {
		return w.hand.Now().Add(d).Format("2006-01-02T15:04:05Z")
	}
	type bend = func(*world, *fakefas.Answer)
	for name, c := range map[string]struct {
		cause string
		bend  bend
	}{
		"nothing signed":        {"unsigned", func(_ *world, a *fakefas.Answer) { a.SignResponse, a.SignAssertion = false, false }},
		"nothing signed, plain": {"unsigned", func(_ *world, a *fakefas.Answer) { a.SignResponse, a.SignAssertion, a.EncryptTo = false, false, nil }},
		"SHA-1":                 {"shape", func(_ *world, a *fakefas.Answer) { a.Algorithm = dsig.RSASHA1SignatureMethod }},
		"CBC":                   {"decryption", func(_ *world, a *fakefas.Answer) { a.Encryption = "cbc" }},
		"RSA 1.5":               {"decryption", func(_ *world, a *fakefas.Answer) { a.Encryption = "rsa15" }},
		"another destination":   {"response", func(_ *world, a *fakefas.Answer) { a.Destination = origin + "/saml/zandvoorde/acs" }},
		"no destination":        {"response", func(_ *world, a *fakefas.Answer) { a.BendResponse = replace(" Destination=", " Was=") }},
		"empty destination":     {"response", func(_ *world, a *fakefas.Answer) { a.Destination = "" }},
		"another recipient":     {"subject", func(_ *world, a *fakefas.Answer) { a.Recipient = origin + "/saml/zandvoorde/acs" }},
		"another audience":      {"conditions", func(_ *world, a *fakefas.Answer) { a.Audience = origin + "/saml/zandvoorde/metadata" }},
		"no audience": {"conditions", func(_ *world, a *fakefas.Answer) {
			a.Bend = cut("<saml:AudienceRestriction>", "</saml:AudienceRestriction>")
		}},
		"no conditions": {"conditions", func(_ *world, a *fakefas.Answer) { a.Bend = cut("<saml:Conditions", "</saml:Conditions>") }},
		"an unknown condition": {"conditions", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace("</saml:Conditions>", "<saml:Condition/></saml:Conditions>")
		}},
		"answers another request":         {"response", func(_ *world, a *fakefas.Answer) { a.InResponseTo = "_other" }},
		"answers no request":              {"response", func(_ *world, a *fakefas.Answer) { a.BendResponse = replace(" InResponseTo=", " Was=") }},
		"confirms another request":        {"subject", func(_ *world, a *fakefas.Answer) { a.Confirms = "_other" }},
		"confirms no request":             {"subject", func(_ *world, a *fakefas.Answer) { a.Bend = replace(" InResponseTo=", " Was=") }},
		"another issuer":                  {"response", func(_ *world, a *fakefas.Answer) { a.Issuer = "https://evil.example" }},
		"another issuer of the assertion": {"assertion", func(_ *world, a *fakefas.Answer) { a.Bend = replace("<saml:Issuer>", "<saml:Issuer>x") }},
		"version 1.1":                     {"response", func(_ *world, a *fakefas.Answer) { a.Version = "1.1" }},
		"assertion's version 1.1":         {"assertion", func(_ *world, a *fakefas.Answer) { a.Bend = replace(`Version="2.0"`, `Version="1.1"`) }},
		"late":                            {"subject", func(w *world, a *fakefas.Answer) { a.Until = at(w, -3*time.Minute) }},
		"too early":                       {"conditions", func(w *world, a *fakefas.Answer) { a.From = at(w, 3*time.Minute) }},
		"no end":                          {"subject", func(_ *world, a *fakefas.Answer) { a.Bend = replace(" NotOnOrAfter=", " Was=") }},
		"an end that is no time":          {"subject", func(_ *world, a *fakefas.Answer) { a.Until = "tomorrow" }},
		"a beginning of the confirmation": {"subject", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace("<saml:SubjectConfirmationData ", `<saml:SubjectConfirmationData NotBefore="2020-01-01T00:00:00Z" `)
		}},
		"issued long ago":           {"response", func(w *world, a *fakefas.Answer) { a.Issued = at(w, -time.Hour) }},
		"issued tomorrow":           {"response", func(w *world, a *fakefas.Answer) { a.Issued = at(w, 24*time.Hour) }},
		"asked long ago":            {"level", func(w *world, a *fakefas.Answer) { a.Asked = at(w, -5*time.Hour) }},
		"session over":              {"level", func(w *world, a *fakefas.Answer) { a.SessionUntil = at(w, -time.Hour) }},
		"unknown level":             {"level", func(_ *world, a *fakefas.Answer) { a.Level = "urn:be:fedict:iam:fas:Level100" }},
		"level with a space inside": {"level", func(_ *world, a *fakefas.Answer) { a.Level = eidMeans + " x" }},
		"no level": {"level", func(_ *world, a *fakefas.Answer) {
			a.Bend = cut("<saml:AuthnContextClassRef>", "</saml:AuthnContextClassRef>")
		}},
		"two levels": {"level", func(_ *world, a *fakefas.Answer) {
			a.Bend = twice("<saml:AuthnContextClassRef>", "</saml:AuthnContextClassRef>")
		}},
		"two statements": {"level", func(_ *world, a *fakefas.Answer) { a.Bend = twice("<saml:AuthnStatement", "</saml:AuthnStatement>") }},
		"two confirmations": {"subject", func(_ *world, a *fakefas.Answer) {
			a.Bend = twice("<saml:SubjectConfirmation ", "</saml:SubjectConfirmation>")
		}},
		"two subjects":  {"subject", func(_ *world, a *fakefas.Answer) { a.Bend = twice("<saml:Subject>", "</saml:Subject>") }},
		"holder of key": {"subject", func(_ *world, a *fakefas.Answer) { a.Bend = replace("cm:bearer", "cm:holder-of-key") }},
		"two attribute statements": {"attributes", func(_ *world, a *fakefas.Answer) {
			a.Bend = twice("<saml:AttributeStatement>", "</saml:AttributeStatement>")
		}},
		"two numbers": {"attributes", func(_ *world, a *fakefas.Answer) {
			a.Bend = twice(`<saml:Attribute Name="egovNRN">`, "</saml:Attribute>")
		}},
		"a number of two values": {"attributes", func(_ *world, a *fakefas.Answer) { a.Bend = twice("<saml:AttributeValue ", "</saml:AttributeValue>") }},
		"a surname of two values": {"attributes", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace(`<saml:Attribute Name="surname">`, `<saml:Attribute Name="surname"><saml:AttributeValue>Other</saml:AttributeValue>`)
		}},
		"a surname in no Latin letters": {"attributes", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace(`<saml:Attribute Name="surname"><saml:AttributeValue `, `<saml:Attribute Name="surname"><saml:AttributeValue LatinScript="false" `)
		}},
		"two numbers, one of another script": {"attributes", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace(`<saml:Attribute Name="egovNRN">`, `<saml:Attribute Name="egovNRN"><saml:AttributeValue LatinScript="false">71715100070</saml:AttributeValue>`)
		}},
		"no number":                        {"attributes", func(_ *world, a *fakefas.Answer) { a.Bend = replace("egovNRN", "other") }},
		"empty number":                     {"attributes", func(_ *world, a *fakefas.Answer) { a.Person.Number = "" }},
		"wrong check digits":               {"attributes", func(_ *world, a *fakefas.Answer) { a.Person.Number = "71715100071" }},
		"other digits":                     {"attributes", func(_ *world, a *fakefas.Answer) { a.Person.Number = "٧١٧١٥١٠٠٠٧٠" }},
		"an element in the number":         {"attributes", func(_ *world, a *fakefas.Answer) { a.Bend = replace("71715100070", "71715100070<b/>") }},
		"nobody's name":                    {"attributes", func(_ *world, a *fakefas.Answer) { a.Person.GivenNames, a.Person.Surname = "", "" }},
		"a name that turns the line round": {"attributes", func(_ *world, a *fakefas.Answer) { a.Person.Surname = "x\u202ey" }},
		"two status codes": {"status", func(_ *world, a *fakefas.Answer) {
			a.BendResponse = replace("<samlp:StatusCode ", `<samlp:StatusCode Value="x"/><samlp:StatusCode `)
		}},
		"not successful": {"status", func(_ *world, a *fakefas.Answer) { a.Status = "urn:oasis:names:tc:SAML:2.0:status:Responder" }},
		"extensions": {"shape", func(_ *world, a *fakefas.Answer) {
			a.BendResponse = replace("<samlp:Status>", "<samlp:Extensions/><samlp:Status>")
		}},
		"advice": {"shape", func(_ *world, a *fakefas.Answer) {
			a.Bend = replace("<saml:AuthnStatement", "<saml:Advice/><saml:AuthnStatement")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.ask(step("beaumarais"))
			a := w.honest(u)
			c.bend(w, &a)
			w.refused(u, w.respond(a), c.cause)
			_, err := w.answer(step("beaumarais"), u, w.respond(w.honest(u)))
			if err != nil {
				t.Error("the honest answer is refused after a hostile one:", err)
			}
		})
	}
}

func (w *world) refused(u under, response, cause string) {
	w.t.Helper()
	proof, err := w.answer(step("beaumarais"), u, response)
	if err == nil || !proof.Citizen.Number.IsZero() {
		w.t.Fatal("it signs somebody in")
	}
	if got := method.Cause(err); cause != "" && got != "fas."+cause {
		w.t.Errorf("refused for %s (%v), want %s", got, err, cause)
	}
	if strings.Contains(err.Error(), luc.Number) {
		w.t.Error("the error holds the number")
	}
}

func cut(from, to string) func(string) string {
	return func(s string) string {
		a, b := strings.Index(s, from), strings.Index(s, to)
		return s[:a] + s[b+len(to):]
	}
}

func twice(from, to string) func(string) string {
	return func(s string) string {
		a := strings.Index(s, from)
		b := a + strings.Index(s[a:], to) + len(to)
		return s[:b] + s[a:b] + s[b:]
	}
}

// Weak algorithms are taken where the commune has allowed that one in writing.
func TestAllowedInWriting(t *testing.T) {
	for allow, bend := range map[string]func(*fakefas.Answer){
		fas.SHA1: func(a *fakefas.Answer) { a.Algorithm = dsig.RSASHA1SignatureMethod }, fas.CBC: func(a *fakefas.Answer) { a.Encryption = "cbc" },
		fas.RSA15: func(a *fakefas.Answer) { a.Encryption = "rsa15" },
	} {
		w := newWorld(t, func(a *fas.Agreement) { a.Allow = []string{allow} })
		u := w.ask(step("beaumarais"))
		a := w.honest(u)
		bend(&a)
		if _, err := w.answer(step("beaumarais"), u, w.respond(a)); err != nil {
			t.Errorf("%s: %v", allow, err)
		}
	}
}

// Bytes that never reach a key.
func TestBytesThatAreNoMessage(t *testing.T) {
	w := newWorld(t)
	u := w.ask(step("beaumarais"))
	a := w.honest(u)
	a.EncryptTo = nil
	text, err := w.idp.Respond(a)
	w.must(err)
	good := string(text)
	for name, c := range map[string]struct{ cause, text string }{
		"doctype":          {"xml", `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + good},
		"entities":         {"xml", `<!DOCTYPE r [<!ENTITY a "` + strings.Repeat("a", 1000) + `">]>` + good},
		"comment in name":  {"xml", strings.Replace(good, "Lambert", "Lam<!-- -->bert", 1)},
		"comment in front": {"xml", "<!-- -->" + good},
		"cdata":            {"xml", strings.Replace(good, "Lambert", "<![CDATA[Lambert]]>", 1)},
		"instruction":      {"xml", strings.Replace(good, "Lambert", "Lam<?x?>bert", 1)},
		"second root":      {"xml", good + "<x/>"},
		"text behind":      {"xml", good + "x"},
		"not UTF-8":        {"xml", strings.Replace(good, "Lambert", "Lamb\xffert", 1)},
		"other encoding":   {"xml", `<?xml version="1.0" encoding="utf-16"?>` + good},
		"unknown prefix":   {"xml", strings.Replace(good, "<samlp:Status>", "<q:x/><samlp:Status>", 1)},
		"attribute twice":  {"xml", strings.Replace(good, ` ID="`, ` ID="x" ID="`, 1)},
		"two IDs":          {"xml", strings.Replace(good, ` ID="`, ` xmlns:q="q" q:ID="x" ID="`, 1)},
		"deep":             {"xml", strings.Replace(good, "<samlp:Status>", strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100)+"<samlp:Status>", 1)},
		"many":             {"xml", strings.Replace(good, "<samlp:Status>", strings.Repeat("<a/>", 5000)+"<samlp:Status>", 1)},
		"large":            {"too_large", strings.Replace(good, "<samlp:Status>", strings.Repeat(" ", 300<<10)+"<samlp:Status>", 1)},
		"empty":            {"xml", ""},
		"not a response":   {"xml", "<x/>"},
		"a bit changed":    {"signature", strings.Replace(good, "Lambert", "Lambart", 1)},
		"stripped":         {"", regexp.MustCompile(`(?s)<ds:Signature.*?</ds:Signature>`).ReplaceAllString(good, "")},
		"HMAC":             {"shape", strings.ReplaceAll(good, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")},
		"XSLT":             {"shape", strings.ReplaceAll(good, "http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116")},
		"no base64":        {"encoding", "%"},
	} {
		encoded := base64.StdEncoding.EncodeToString([]byte(c.text))
		if c.text == "%" {
			encoded = "%%%"
		}
		t.Run(name, func(t *testing.T) { w.t = t; w.refused(u, encoded, c.cause) })
	}
	w.t = t
	_, err = w.answer(step("beaumarais"), u, base64.StdEncoding.EncodeToString(deflate(t, text)))
	if method.Cause(err) != "fas.xml" {
		t.Error("a deflated body on the POST binding:", err)
	}
	_, err = w.answer(step("beaumarais"), u, base64.StdEncoding.EncodeToString(text))
	w.must(err)
}

// Signature wrapping: the attacker has a good signature over their own assertion and
// adds somebody else's (Somorovsky et al., variants 1 to 9 and more).
func TestSignatureWrapping(t *testing.T) {
	const victim = "85073003328"
	for _, signs := range []string{"response", "assertion"} {
		w := newWorld(t)
		u := w.ask(step("beaumarais"))
		a := w.honest(u)
		a.EncryptTo = nil
		a.SignResponse, a.SignAssertion = signs == "response", signs == "assertion"
		text, err := w.idp.Respond(a)
		w.must(err)
		for name, wrap := range wrappings {
			t.Run(signs+" "+name, func(t *testing.T) {
				doc := etree.NewDocument()
				w.must(doc.ReadFromBytes(text))
				evil := doc.Copy()
				for _, e := range evil.FindElements("//AttributeValue") {
					if e.Text() == luc.Number {
						e.SetText(victim)
					}
				}
				root := wrap(doc.Root(), evil.Root())
				if root == nil {
					return
				}
				out := etree.NewDocument()
				out.SetRoot(root)
				made, err := out.WriteToBytes()
				w.must(err)
				w.t = t
				w.refused(u, base64.StdEncoding.EncodeToString(made), "")
			})
		}
	}
}

func unsign(e *etree.Element) *etree.Element {
	for _, s := range e.FindElements(".//Signature") {
		s.Parent().RemoveChild(s)
	}
	return e
}

func rename(e *etree.Element) *etree.Element { e.CreateAttr("ID", "_evil"); return e }

func find(e *etree.Element, tag string) *etree.Element { return e.FindElement(".//" + tag) }

// Each gets the good message and the forged one, as copies.
var wrappings = map[string]func(good, evil *etree.Element) *etree.Element{
	"1 response in the signature of a forged one": func(good, evil *etree.Element) *etree.Element {
		sig := good.FindElement(".//Signature").Copy()
		unsign(rename(evil))
		sig.AddChild(unsign(good))
		evil.InsertChildAt(1, sig)
		return evil
	},
	"2 response before the signature": func(good, evil *etree.Element) *etree.Element {
		sig := good.FindElement(".//Signature").Copy()
		unsign(rename(evil)).InsertChildAt(1, sig)
		evil.InsertChildAt(1, unsign(good))
		return evil
	},
	"3 forged assertion before the good one": func(good, evil *etree.Element) *etree.Element {
		good.InsertChildAt(1, rename(unsign(find(evil, "Assertion"))))
		return good
	},
	"4 good assertion in the forged one": func(good, evil *etree.Element) *etree.Element {
		forged := rename(unsign(find(evil, "Assertion")))
		kept := find(good, "Assertion")
		good.RemoveChild(kept)
		forged.AddChild(kept)
		good.AddChild(forged)
		return good
	},
	"5 good assertion behind, its signature in the forged one": func(good, evil *etree.Element) *etree.Element {
		kept := find(good, "Assertion")
		sig := good.FindElement(".//Signature").Copy()
		forged := rename(unsign(find(evil, "Assertion")))
		forged.InsertChildAt(1, sig)
		good.RemoveChild(kept)
		good.AddChild(forged)
		good.AddChild(unsign(kept))
		return good
	},
	"6 good assertion in the signature of the forged one": func(good, evil *etree.Element) *etree.Element {
		kept := find(good, "Assertion")
		sig := good.FindElement(".//Signature").Copy()
		forged := rename(unsign(find(evil, "Assertion")))
		good.RemoveChild(kept)
		sig.AddChild(unsign(kept))
		forged.InsertChildAt(1, sig)
		good.AddChild(forged)
		return good
	},
	"7 forged assertion in Extensions": func(good, evil *etree.Element) *etree.Element {
		x := etree.NewElement("samlp:Extensions")
		x.AddChild(unsign(find(evil, "Assertion")))
		good.InsertChildAt(1, x)
		return good
	},
	"8 good assertion in an Object of the signature": func(good, evil *etree.Element) *etree.Element {
		kept := find(good, "Assertion")
		sig := good.FindElement(".//Signature").Copy()
		o := etree.NewElement("ds:Object")
		good.RemoveChild(kept)
		o.AddChild(unsign(kept))
		sig.AddChild(o)
		forged := unsign(find(evil, "Assertion"))
		forged.InsertChildAt(1, sig)
		good.AddChild(forged)
		return good
	},
	"9 same ID twice": func(good, evil *etree.Element) *etree.Element {
		good.AddChild(unsign(find(evil, "Assertion")))
		return good
	},
	"10 forged in place": func(_, evil *etree.Element) *etree.Element { return evil },
	"11 assertion in another element": func(good, evil *etree.Element) *etree.Element {
		x := etree.NewElement("x")
		kept := find(good, "Assertion")
		good.RemoveChild(kept)
		x.AddChild(kept)
		good.AddChild(x)
		good.AddChild(rename(unsign(find(evil, "Assertion"))))
		return good
	},
	"12 signature for the whole document": func(good, evil *etree.Element) *etree.Element {
		good.FindElement(".//Reference").CreateAttr("URI", "")
		return good
	},
	"13 two references": func(good, evil *etree.Element) *etree.Element {
		r := good.FindElement(".//Reference")
		r.Parent().AddChild(r.Copy())
		return good
	},
	"14 two signatures": func(good, evil *etree.Element) *etree.Element {
		s := good.FindElement(".//Signature")
		s.Parent().InsertChildAt(1, s.Copy())
		return good
	},
	"15 attributes beside the assertion": func(good, evil *etree.Element) *etree.Element {
		s := find(good, "AttributeStatement")
		s.Parent().AddChild(find(evil, "AttributeStatement").Copy())
		return good
	},
}

// A response is worth nothing in another browser, for another login, at another
// commune, unasked, or a second time.
func TestWhoseResponse(t *testing.T) {
	w := newWorld(t)
	u := w.ask(step("beaumarais"))
	response := w.respond(w.honest(u))
	for name, change := range map[string]func(*method.Step){
		"another browser": func(s *method.Step) { s.Browser = "other" },
		"another login":   func(s *method.Step) { s.Login = "other" },
		"another commune": func(s *method.Step) { s.Commune = step("zandvoorde").Commune },
		"another address": func(s *method.Step) { s.Origin = "https://evil.example" },
	} {
		s := step("beaumarais")
		change(&s)
		if _, err := w.answer(s, u, response); err == nil {
			t.Error(name)
		}
	}
	// The other commune's own request does not help either.
	other := w.ask(step("zandvoorde"))
	if _, err := w.answer(step("zandvoorde"), other, response); err == nil {
		t.Error("beaumarais' response is taken at zandvoorde")
	}
	for name, form := range map[string]url.Values{
		"no relay": {"SAMLResponse": {response}}, "made-up relay": {"SAMLResponse": {response}, "RelayState": {"https://evil.example/"}},
		"two responses": {"SAMLResponse": {response, response}, "RelayState": {u.relay}},
	} {
		if _, err := w.fas.Answer(context.Background(), step("beaumarais"), form); method.Cause(err) != "fas.unsolicited" {
			t.Error(name, err)
		}
		if _, err := w.fas.Login(context.Background(), "beaumarais", form); err == nil {
			t.Error(name, "is kept")
		}
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := w.answer(step("beaumarais"), u, response); err == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 16 replays at once sign in", won.Load())
	}
	w.refused(u, response, "request_used")
	// The same assertion in answer to a request of its own.
	again := w.ask(step("beaumarais"))
	a := w.honest(again)
	_, err := w.answer(step("beaumarais"), again, w.respond(a))
	w.must(err)
	third := w.ask(step("beaumarais"))
	b := w.honest(third)
	b.AssertionID = a.AssertionID
	w.refused(third, w.respond(b), "replay")
	late := w.ask(step("beaumarais"))
	answer := w.respond(w.honest(late))
	w.hand.Add(21 * time.Minute)
	w.refused(late, answer, "unsolicited")
}

// What is asked reaches the provider: the levels, and to ask anew.
func TestRequestSaysWhatIsAsked(t *testing.T) {
	w := newWorld(t, func(a *fas.Agreement) {
		if a.Commune == "beaumarais" {
			a.Levels = append(a.Levels, fas.Level{Value: fakefas.Belgian[2].Value, Level: method.Substantial})
		}
	})
	s := step("beaumarais")
	refs := func(u under) (list []string) {
		for _, e := range u.doc.FindElements("//AuthnContextClassRef") {
			list = append(list, e.Text())
		}
		return
	}
	u := w.ask(s)
	if len(refs(u)) != 3 || u.doc.Root().SelectAttrValue("ForceAuthn", "") == "true" {
		t.Error("nothing is asked, and the request says", refs(u))
	}
	s.Fresh, s.Levels, s.Must = true, []string{method.High}, true
	u = w.ask(s)
	if len(refs(u)) != 2 || u.doc.Root().SelectAttrValue("ForceAuthn", "") != "true" {
		t.Error("high and anew are asked, and the request says", refs(u))
	}
	a := w.honest(u)
	a.Level = fakefas.Belgian[2].Value
	w.refused(u, w.respond(a), "level")
	a = w.honest(u)
	a.Asked = w.hand.Now().Add(-10 * time.Minute).Format("2006-01-02T15:04:05Z")
	w.refused(u, w.respond(a), "level")
}

// A provider that changes its key shows both for a while; a stranger's is never taken.
func TestRollOver(t *testing.T) {
	w := newWorld(t)
	old := w.idp
	key, cert, err := fakefas.NewKey("the next key")
	w.must(err)
	other := &fakefas.Provider{Base: old.Base, Key: key, Certificate: cert}
	u := w.ask(step("beaumarais"))
	forged, err := other.Respond(w.honest(u))
	w.must(err)
	w.refused(u, base64.StdEncoding.EncodeToString(forged), "signature")
	file := filepath.Join(t.TempDir(), "both.xml")
	w.must(os.WriteFile(file, old.Metadata(cert), 0o600))
	for i := range w.config.Agreements {
		w.config.Agreements[i].Provider = &fas.Provider{Name: "fas", Metadata: file}
	}
	w.fas, err = fas.New(w.config)
	w.must(err)
	for _, by := range []*fakefas.Provider{old, other} {
		u := w.ask(step("beaumarais"))
		text, err := by.Respond(w.honest(u))
		w.must(err)
		if _, err := w.answer(step("beaumarais"), u, base64.StdEncoding.EncodeToString(text)); err != nil {
			t.Error(err)
		}
	}
}

func FuzzConsumer(f *testing.F) {
	w := newWorld(f)
	u := w.ask(step("beaumarais"))
	for _, encrypted := range []bool{true, false} {
		a := w.honest(u)
		if !encrypted {
			a.EncryptTo = nil
		}
		text, err := w.idp.Respond(a)
		w.must(err)
		f.Add(text)
	}
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:Response>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		proof, err := w.answer(step("beaumarais"), u, base64.StdEncoding.EncodeToString(text))
		if err == nil && proof.Citizen.Number.Reveal() != luc.Number {
			t.Fatal("somebody else is signed in")
		}
		if err != nil && !proof.Citizen.Number.IsZero() {
			t.Fatal("an error with a person")
		}
	})
}

// A response signed twice and encrypted, with all checks and the database, beside what
// gosaml2 does of it.
func BenchmarkResponse(b *testing.B) {
	w := newWorld(b)
	key, _ := keys()
	b.Run("belfry", func(b *testing.B) {
		type made struct {
			under
			response string
		}
		list := make([]made, b.N)
		for i := range list {
			u := w.ask(step("beaumarais"))
			list[i] = made{u, w.respond(w.honest(u))}
		}
		b.ResetTimer()
		defer benchtest.CPU(b)()
		for _, m := range list {
			if _, err := w.answer(step("beaumarais"), m.under, m.response); err != nil {
				b.Fatal(err)
			}
		}
	})
	sp := &saml2.SAMLServiceProvider{
		IdentityProviderIssuer: w.idp.EntityID(), AssertionConsumerServiceURL: origin + "/saml/beaumarais/acs", AudienceURI: origin + "/saml/beaumarais/metadata",
		IDPCertificateStore: &dsig.MemoryX509CertificateStore{Roots: certificates(w.idp.Certificate)}, Clock: dsig.NewRealClock(),
		SPKeyStore: keyStore{key},
	}
	u := w.ask(step("beaumarais"))
	response := w.respond(w.honest(u))
	b.Run("gosaml2", func(b *testing.B) {
		defer benchtest.CPU(b)()
		for range b.N {
			if _, err := sp.RetrieveAssertionInfo(response); err != nil {
				b.Fatal(err)
			}
		}
	})
}
