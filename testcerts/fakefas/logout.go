package fakefas

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/template"
	"time"

	"github.com/beevik/etree"
)

// Leave is a message about signing out in all its parts. Leaving and Left fill it in; a
// test bends it.
type Leave struct {
	Kind                            string // LogoutRequest or LogoutResponse
	ID, Destination, Issuer, Issued string
	NameID, Session                 string // of a request
	InResponseTo, Status, Version   string // of a response
	Until                           string
	Bend                            func(string) string
	Algorithm                       string
	Unsigned                        bool
}

// Leaving asks a service to end the session of an assertion (Honest's, by its ID).
func (p *Provider) Leaving(destination, assertion string, now time.Time) Leave {
	return Leave{
		Kind: "LogoutRequest", ID: "_" + rand.Text(), Destination: destination, Issuer: p.EntityID(), Issued: now.UTC().Format(clockForm),
		NameID: assertion + "n", Session: assertion + "s", Version: "2.0",
	}
}

// Left answers a service's LogoutRequest.
func (p *Provider) Left(destination, request string, now time.Time) Leave {
	return Leave{
		Kind: "LogoutResponse", ID: "_" + rand.Text(), Destination: destination, Issuer: p.EntityID(), Issued: now.UTC().Format(clockForm),
		InResponseTo: request, Status: "urn:oasis:names:tc:SAML:2.0:status:Success", Version: "2.0",
	}
}

var leaveText = template.Must(template.New("leave").Funcs(escaping).Parse(`<samlp:{{x .Kind}} xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{{x .ID}}" Version="{{x .Version}}" IssueInstant="{{x .Issued}}" Destination="{{x .Destination}}"{{with .InResponseTo}} InResponseTo="{{x .}}"{{end}}{{with .Until}} NotOnOrAfter="{{x .}}"{{end}}><saml:Issuer>{{x .Issuer}}</saml:Issuer>{{with .NameID}}<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">{{x .}}</saml:NameID>{{end}}{{with .Session}}<samlp:SessionIndex>{{x .}}</samlp:SessionIndex>{{end}}{{with .Status}}<samlp:Status><samlp:StatusCode Value="{{x .}}"/></samlp:Status>{{end}}</samlp:{{x .Kind}}>`))

// text is the message, not yet signed.
func (l Leave) text() (string, error) {
	var b bytes.Buffer
	if err := leaveText.Execute(&b, l); err != nil {
		return "", err
	}
	if l.Bend != nil {
		return l.Bend(b.String()), nil
	}
	return b.String(), nil
}

func (l Leave) parameter() string {
	if l.Kind == "LogoutRequest" {
		return "SAMLRequest"
	}
	return "SAMLResponse"
}

// Query is the message as the redirect binding has it, signed beside itself.
func (p *Provider) Query(l Leave, relay string) (string, error) {
	text, err := l.text()
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 9)
	if err != nil {
		return "", err
	}
	if _, err = w.Write([]byte(text)); err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", err
	}
	query := l.parameter() + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	if l.Unsigned {
		return query, nil
	}
	query += "&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	sum := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.Key, crypto.SHA256, sum[:])
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), err
}

// Form is the message as the POST binding has it.
func (p *Provider) Form(l Leave, relay string) (url.Values, error) {
	text, err := l.text()
	if err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		return nil, err
	}
	if !l.Unsigned {
		signed, err := p.Sign(doc.Root(), l.Algorithm)
		if err != nil {
			return nil, err
		}
		doc.SetRoot(signed)
	}
	raw, err := doc.WriteToBytes()
	return url.Values{l.parameter(): {base64.StdEncoding.EncodeToString(raw)}, "RelayState": {relay}}, err
}

// session is what a browser is signed in for here.
type session struct{ entity, assertion string }

const cookie = "fake-federal"

// began remembers, in the browser, that an assertion went out.
func (p *Provider) began(w http.ResponseWriter, s session) {
	handle := rand.Text()
	p.mu.Lock()
	if p.sessions == nil {
		p.sessions = map[string]session{}
	}
	p.sessions[handle] = s
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: handle, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// current is the session of a browser, which may have ended.
func (p *Provider) current(r *http.Request) (handle string, s session, ok bool) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return "", s, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok = p.sessions[c.Value]
	return c.Value, s, ok
}

func (p *Provider) forget(handle string) {
	p.mu.Lock()
	delete(p.sessions, handle)
	p.mu.Unlock()
}

var over = template.Must(template.New("over").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Federal service (imitation)</title></head><body><main><h1>{{.Title}}</h1>
{{if .Ask}}<form method="post" action="/leave"><button>Sign out everywhere</button></form>{{end}}</main></body></html>
`))

// leave is the service's own "sign out": it asks the service provider to end its session.
func (p *Provider) leave(w http.ResponseWriter, r *http.Request) error {
	handle, s, ok := p.current(r)
	if !ok {
		return over.Execute(w, map[string]any{"Title": "Nobody is signed in"})
	}
	if r.Method != http.MethodPost {
		return over.Execute(w, map[string]any{"Title": "You are signed in", "Ask": true})
	}
	sp, err := p.service(r.Context(), s.entity)
	if err != nil {
		return err
	}
	if sp.logout == "" {
		return errors.New("the service has no address of sign-out")
	}
	query, err := p.Query(p.Leaving(sp.logout, s.assertion, time.Now()), handle)
	if err != nil {
		return err
	}
	http.Redirect(w, r, sp.logout+"?"+query, http.StatusSeeOther)
	return nil
}

// slo takes a service provider's request to sign out, or its answer to ours.
func (p *Provider) slo(w http.ResponseWriter, r *http.Request) error {
	parameter := "SAMLRequest"
	if r.FormValue(parameter) == "" {
		parameter = "SAMLResponse"
	}
	text, err := base64.StdEncoding.DecodeString(r.FormValue(parameter))
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		if text, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(text)), 64<<10)); err != nil {
			return err
		}
	}
	var m struct {
		XMLName xml.Name
		ID      string `xml:"ID,attr"`
		Issuer  string
		NameID  string
		Session string `xml:"SessionIndex"`
	}
	if err := xml.Unmarshal(text, &m); err != nil {
		return err
	}
	sp, err := p.service(r.Context(), m.Issuer)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		err = detached(r.URL.RawQuery, parameter, sp.signing)
	} else {
		err = verify(text, sp.signing)
	}
	if err != nil {
		return fmt.Errorf("the signature: %w", err)
	}
	handle, s, ok := p.current(r)
	if m.XMLName.Local == "LogoutResponse" {
		p.forget(handle)
		return over.Execute(w, map[string]any{"Title": "You are signed out everywhere"})
	}
	answer := p.Left(sp.logout, m.ID, time.Now())
	if !ok || s.entity != m.Issuer || s.assertion+"n" != m.NameID || strings.TrimSuffix(m.Session, "s") != s.assertion {
		answer.Status = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	}
	p.forget(handle)
	query, err := p.Query(answer, r.FormValue("RelayState"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, sp.logout+"?"+query, http.StatusSeeOther)
	return nil
}
