// Package fakefas imitates a federal authentication service: a SAML 2.0 identity
// provider where one chooses who one is and by which means.
//
// It owns its keys, its pages and its answers, honest ones and those that a test has
// bent. It refuses to know Belfry: messages are templates of its own, and it learns of
// a service provider only by that one's metadata. It guarantees that an honest answer
// goes only to an address of that metadata, for a request signed by a key of it.
package fakefas

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Person is somebody the service knows.
type Person struct{ Name, Number, GivenNames, Surname string }

// Means is a way to identify oneself there, and the value that says so.
type Means struct{ Value, Label string }

// Belgian are the means of the Belgian service, as public code names them.
var Belgian = []Means{
	{"urn:be:fedict:iam:fas:Level500", "eID"},
	{"urn:be:fedict:iam:fas:Level450", "itsme"},
	{"urn:be:fedict:iam:fas:Level400", "mobile app (TOTP)"},
	{"urn:be:fedict:iam:fas:Level100", "user name and password"},
}

// Provider is the service.
type Provider struct {
	Base        string // its address, without a path
	People      []Person
	Means       []Means
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate

	mu       sync.Mutex
	pending  map[string]request
	sessions map[string]session // by the browser's cookie
}

// New makes a service with a key of its own.
func New(base string, people []Person) (*Provider, error) {
	key, cert, err := NewKey("fake federal service")
	if err != nil {
		return nil, err
	}
	return &Provider{Base: base, People: people, Means: Belgian, Key: key, Certificate: cert, pending: map[string]request{}}, nil
}

// NewKey makes an RSA key and a certificate of its own.
func NewKey(name string) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	made := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(2 * 365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

// EntityID is the service's name.
func (p *Provider) EntityID() string { return p.Base + "/metadata" }

// Metadata of the service; more certificates stand beside its own, as in a roll-over.
func (p *Provider) Metadata(more ...*x509.Certificate) []byte {
	var keys strings.Builder
	for _, c := range append([]*x509.Certificate{p.Certificate}, more...) {
		fmt.Fprintf(&keys, `<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return []byte(fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="md" entityID="%s"><IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">%s<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[3]s/slo"/><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[3]s/sso"/><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="%[3]s/sso"/></IDPSSODescriptor></EntityDescriptor>`, p.EntityID(), keys.String(), p.Base))
}

// request is a checked AuthnRequest under way.
type request struct {
	id, relay, consumer, audience string
	forced                        bool
	levels                        []string
	encrypt                       *x509.Certificate
}

// ServeHTTP is the service's site: /metadata, /sso, /answer; /slo and /leave for signing out.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var err error
	switch r.URL.Path {
	case "/metadata":
		w.Header().Set("Content-Type", "application/samlmetadata+xml")
		_, err = w.Write(p.Metadata())
	case "/sso":
		err = p.ask(w, r)
	case "/answer":
		err = p.answer(w, r)
	case "/slo":
		err = p.slo(w, r)
	case "/leave":
		err = p.leave(w, r)
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

var asked = template.Must(template.New("ask").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Federal service (imitation)</title></head><body><main><h1>Who are you?</h1>
<p>An imitation of CSAM, for {{.Audience}}.{{if .Forced}} You are asked anew.{{end}}</p>
<form method="post" action="/answer"><input type="hidden" name="handle" value="{{.Handle}}">
<p><label>Person <select name="person">{{range .People}}<option value="{{.Name}}">{{.GivenNames}} {{.Surname}}</option>{{end}}</select></label></p>
<p><label>Means <select name="means">{{range .Means}}<option value="{{.Value}}">{{.Label}}</option>{{end}}</select></label></p>
<p><button name="do" value="go">Identify me</button> <button name="do" value="stop">Give up</button></p></form></main></body></html>
`))

var sent = template.Must(template.New("sent").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Federal service (imitation)</title></head><body><main><h1>Back to the service</h1>
<form method="post" action="{{.Consumer}}"><input type="hidden" name="SAMLResponse" value="{{.Response}}"><input type="hidden" name="RelayState" value="{{.Relay}}"><button>Continue</button></form></main></body></html>
`))

func (p *Provider) ask(w http.ResponseWriter, r *http.Request) error {
	ask, err := p.read(r)
	if err != nil {
		return err
	}
	handle := rand.Text()
	p.mu.Lock()
	p.pending[handle] = ask
	p.mu.Unlock()
	means := p.Means
	if len(ask.levels) > 0 {
		means = nil
		for _, m := range p.Means {
			for _, l := range ask.levels {
				if m.Value == l {
					means = append(means, m)
				}
			}
		}
	}
	return asked.Execute(w, map[string]any{"Audience": ask.audience, "Forced": ask.forced, "Handle": handle, "People": p.People, "Means": means})
}

func (p *Provider) answer(w http.ResponseWriter, r *http.Request) error {
	p.mu.Lock()
	ask, ok := p.pending[r.FormValue("handle")]
	delete(p.pending, r.FormValue("handle"))
	p.mu.Unlock()
	if !ok {
		return errors.New("this question is over")
	}
	a := p.Honest(ask.id, ask.consumer, ask.audience, Person{}, r.FormValue("means"), time.Now())
	a.EncryptTo = ask.encrypt
	for _, who := range p.People {
		if who.Name == r.FormValue("person") {
			a.Person = who
		}
	}
	if r.FormValue("do") == "stop" || a.Person.Name == "" {
		a.Status = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	}
	text, err := p.Respond(a)
	if err != nil {
		return err
	}
	p.began(w, session{ask.audience, a.AssertionID})
	return sent.Execute(w, map[string]any{"Consumer": ask.consumer, "Response": base64.StdEncoding.EncodeToString(text), "Relay": ask.relay})
}

// read takes a request of either binding and checks its signature by the metadata that
// its issuer publishes.
func (p *Provider) read(r *http.Request) (request, error) {
	text, err := base64.StdEncoding.DecodeString(r.FormValue("SAMLRequest"))
	if err != nil {
		return request{}, err
	}
	if r.Method == http.MethodGet {
		if text, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(text)), 64<<10)); err != nil {
			return request{}, err
		}
	}
	var q struct {
		ID          string   `xml:"ID,attr"`
		Consumer    string   `xml:"AssertionConsumerServiceURL,attr"`
		Destination string   `xml:"Destination,attr"`
		Forced      bool     `xml:"ForceAuthn,attr"`
		Issuer      string   `xml:"Issuer"`
		Levels      []string `xml:"RequestedAuthnContext>AuthnContextClassRef"`
	}
	if err := xml.Unmarshal(text, &q); err != nil {
		return request{}, err
	}
	sp, err := p.service(r.Context(), q.Issuer)
	if err != nil {
		return request{}, err
	}
	if r.Method == http.MethodGet {
		err = detached(r.URL.RawQuery, "SAMLRequest", sp.signing)
	} else {
		err = verify(text, sp.signing)
	}
	if err != nil {
		return request{}, fmt.Errorf("the request's signature: %w", err)
	}
	if q.Destination != p.Base+"/sso" {
		return request{}, errors.New("the request is for another service")
	}
	for _, c := range sp.consumers {
		if c == q.Consumer {
			return request{q.ID, r.FormValue("RelayState"), c, q.Issuer, q.Forced, q.Levels, sp.encrypt}, nil
		}
	}
	return request{}, errors.New("the answer's address is not in the metadata")
}

// service is what a service provider's metadata says.
type service struct {
	signing   []*x509.Certificate
	encrypt   *x509.Certificate
	consumers []string
	logout    string
}

// client reaches names under .localhost, which Go does not resolve everywhere.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !strings.HasSuffix(host, ".localhost") && host != "127.0.0.1" {
		return nil, errors.New("only services of this machine are known")
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}}}

func (p *Provider) service(ctx context.Context, entity string) (service, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, entity, nil)
	if err != nil {
		return service{}, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return service{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return service{}, err
	}
	var m struct {
		Keys []struct {
			Use         string `xml:"use,attr"`
			Certificate []byte `xml:"KeyInfo>X509Data>X509Certificate"`
		} `xml:"SPSSODescriptor>KeyDescriptor"`
		Consumers []struct {
			Location string `xml:",attr"`
		} `xml:"SPSSODescriptor>AssertionConsumerService"`
		Logout []struct {
			Binding  string `xml:",attr"`
			Location string `xml:",attr"`
		} `xml:"SPSSODescriptor>SingleLogoutService"`
	}
	if err := xml.Unmarshal(text, &m); err != nil {
		return service{}, fmt.Errorf("metadata of %s (%s): %w", entity, answer.Status, err)
	}
	var s service
	for _, k := range m.Keys {
		der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(k.Certificate)))
		if err != nil {
			return service{}, err
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return service{}, err
		}
		if k.Use == "encryption" {
			s.encrypt = c
		} else {
			s.signing = append(s.signing, c)
		}
	}
	for _, l := range m.Logout {
		if s.logout == "" && strings.HasSuffix(l.Binding, ":HTTP-Redirect") {
			s.logout = l.Location
		}
	}
	for _, c := range m.Consumers {
		s.consumers = append(s.consumers, c.Location)
	}
	return s, nil
}

// detached checks the signature of the redirect binding over the query as it came
// (saml-bindings §3.4.4.1).
func detached(query, parameter string, certs []*x509.Certificate) error {
	raw := map[string]string{}
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		raw[name] = value
	}
	if alg, _ := url.QueryUnescape(raw["SigAlg"]); alg != "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" {
		return errors.New("not RSA with SHA-256")
	}
	signed := parameter + "=" + raw[parameter]
	if relay, ok := raw["RelayState"]; ok {
		signed += "&RelayState=" + relay
	}
	signed += "&SigAlg=" + raw["SigAlg"]
	text, err := url.QueryUnescape(raw["Signature"])
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(signed))
	for _, c := range certs {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil {
			return nil
		}
	}
	return errors.New("by no key of the metadata")
}
