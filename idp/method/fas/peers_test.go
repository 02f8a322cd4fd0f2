package fas_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

// peer is an identity provider that others wrote, as a program that does one job.
type peer struct {
	name    string
	command []string
	allow   []string // what a commune must allow it in writing
	logout  bool     // it knows single logout
	levels  bool     // it says which levels it was asked for
}

var peers = []peer{
	{name: "lasso", command: []string{"/usr/bin/python3", "testdata/peers/lasso_peer.py"}, allow: []string{fas.CBC}, logout: true, levels: true}, // 2.8 has no GCM
	{name: "samlp", command: []string{"node", "testdata/peers/samlp_peer.cjs"}},
	{name: "samlify", command: []string{"node", "testdata/peers/samlify_peer.cjs"}, logout: true},
}

// there says whether the peer's program and library are installed.
func (p peer) there(t testing.TB) {
	t.Helper()
	probe := exec.Command(p.command[0], "-c", "import "+p.name)
	if p.command[0] == "node" {
		probe = exec.Command("node", "-e", "require('"+p.name+"')")
	}
	if out, err := probe.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: %v\n%s", p.name, err, out)
		}
		t.Skipf("%s is not installed: %v", p.name, err)
	}
}

const there = "https://peer.example"

// visit is a commune that has an agreement with a peer.
type visit struct {
	t       testing.TB
	peer    peer
	fas     *fas.FAS
	key     fakefasKey
	service string // our metadata
	session string // what lasso remembers of a sign-in
}

type fakefasKey struct{ key, certificate string }

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (p peer) visit(t testing.TB, binding string, encrypt bool) *visit {
	t.Helper()
	ours, _ := keys()
	made, certificate, err := fakefas.NewKey(p.name)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{t: t, peer: p, key: fakefasKey{pemOf("PRIVATE KEY", der), pemOf("CERTIFICATE", certificate.Raw)}}
	file := filepath.Join(t.TempDir(), "peer.xml")
	if err := os.WriteFile(file, []byte(v.metadata(base64.StdEncoding.EncodeToString(certificate.Raw))), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(a *fas.Agreement) {
		a.Provider, a.Binding, a.Allow = &fas.Provider{Name: "peer", Metadata: file}, binding, p.allow
		if a.Encryption = nil; encrypt {
			a.Encryption = []fas.Key{ours}
		}
	})
	w.hand.Add(time.Until(w.hand.Now())) // programs go by the real clock
	v.fas = w.fas
	answer := httptest.NewRecorder()
	if err := v.fas.Metadata(answer, httptest.NewRequest("GET", origin, nil), "beaumarais"); err != nil {
		t.Fatal(err)
	}
	v.service = answer.Body.String()
	return v
}

func (v *visit) metadata(certificate string) string {
	const binding = "urn:oasis:names:tc:SAML:2.0:bindings:"
	return fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="%[1]s/metadata"><IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%[2]s</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleLogoutService Binding="%[3]sHTTP-Redirect" Location="%[1]s/slo"/><SingleSignOnService Binding="%[3]sHTTP-Redirect" Location="%[1]s/sso"/><SingleSignOnService Binding="%[3]sHTTP-POST" Location="%[1]s/sso"/></IDPSSODescriptor></EntityDescriptor>`, there, certificate, binding)
}

// did is what a peer answers.
type did struct {
	Error, Action, SAMLResponse, RelayState, Link, Body, Session string
	Levels                                                       []string
}

// do gives the peer a job.
func (v *visit) do(what, binding, query string, form url.Values, encrypt bool) did {
	v.t.Helper()
	ours, _ := keys()
	public, err := x509.MarshalPKIXPublicKey(ours.Signer.Public())
	if err != nil {
		v.t.Fatal(err)
	}
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	parsed, _ := url.ParseQuery(query)
	relay := parsed.Get("RelayState") + form.Get("RelayState")
	job, err := json.Marshal(map[string]any{
		"what": what, "binding": binding, "query": query, "form": fields, "relay": relay, "encrypt": encrypt,
		"metadata": v.metadata(strings.Join(strings.Fields(regexp.MustCompile(`-----.*-----`).ReplaceAllString(v.key.certificate, "")), "")),
		"key":      v.key.key, "certificate": v.key.certificate, "service": v.service, "session": v.session,
		"entity": origin + "/saml/beaumarais/metadata", "issuer": there + "/metadata", "sso": there + "/sso", "slo": there + "/slo",
		"consumer": origin + "/saml/beaumarais/acs", "level": itsme,
		"serviceCertificate": pemOf("CERTIFICATE", ours.Certificate.Raw), "serviceEncryption": pemOf("CERTIFICATE", ours.Certificate.Raw),
		"serviceEncryptionKey": pemOf("PUBLIC KEY", public),
		"attributes":           map[string]string{"egovNRN": luc.Number, "givenName": "Luc Été", "surname": luc.Surname},
	})
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command(v.peer.command[0], v.peer.command[1:]...)
	cmd.Stdin = bytes.NewReader(job)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	var d did
	if err != nil || json.Unmarshal(out, &d) != nil {
		v.t.Fatalf("%s: %v\n%s%s", v.peer.name, err, out, errors.String())
	}
	return d
}

// request is what our page takes to the peer.
func (v *visit) request(binding string) (query string, form url.Values) {
	v.t.Helper()
	s := step("beaumarais")
	s.Fresh = true
	view, err := v.fas.Show(v.t.Context(), s)
	if err != nil {
		v.t.Fatal(err)
	}
	text := html.UnescapeString(sprint(view.Content))
	if binding == "redirect" {
		link := regexp.MustCompile(`https://peer\.example/sso\?([^ }\]]+)`).FindStringSubmatch(text)
		if link == nil {
			v.t.Fatalf("no way to the peer in %s", text)
		}
		return link[1], nil
	}
	form = url.Values{}
	for _, m := range regexp.MustCompile(`\{Name:(\w+) Value:([^}]*)\}`).FindAllStringSubmatch(text, -1) {
		form.Set(m[1], m[2])
	}
	return "", form
}

// People sign in through identity providers that others wrote: by both bindings, signed,
// encrypted, at a level; and a request that was changed on its way is refused there.
func TestPeersSignIn(t *testing.T) {
	for _, p := range peers {
		for _, binding := range []string{"redirect", "post"} {
			for _, encrypt := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, encrypted %v", p.name, binding, encrypt), func(t *testing.T) {
					p.there(t)
					v := p.visit(t, binding, encrypt)
					query, form := v.request(binding)
					d := v.do("login", binding, query, form, encrypt)
					if d.Error != "" || d.Action != origin+"/saml/beaumarais/acs" {
						t.Fatalf("%s says %q, and sends to %q", p.name, d.Error, d.Action)
					}
					if p.levels && (len(d.Levels) != 2 || d.Levels[0] != eidMeans) {
						t.Errorf("it was asked for %v", d.Levels)
					}
					raw, _ := base64.StdEncoding.DecodeString(d.SAMLResponse)
					if got := bytes.Contains(raw, []byte("EncryptedAssertion")); got != encrypt {
						t.Fatalf("encrypted: %v\n%s", got, raw)
					}
					proof, err := v.fas.Answer(t.Context(), step("beaumarais"), url.Values{"SAMLResponse": {d.SAMLResponse}, "RelayState": {d.RelayState}})
					if err != nil {
						t.Fatalf("%v\n%s", err, raw)
					}
					if proof.Citizen.Number.Reveal() != luc.Number || proof.Citizen.GivenNames != "Luc Été" || proof.Upstream != "peer "+itsme {
						t.Errorf("it is %s at %s", proof.Citizen.Name(), proof.Upstream)
					}
					if l, ok := v.fas.Level("beaumarais", proof.Upstream); !ok || l != method.High {
						t.Errorf("the level is %s", l)
					}
				})
			}
		}
	}
}

func TestPeersRefuseChangedRequests(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			p.there(t)
			v := p.visit(t, "redirect", false)
			query, _ := v.request("redirect")
			parsed, _ := url.ParseQuery(query)
			signature, _ := base64.StdEncoding.DecodeString(parsed.Get("Signature"))
			signature[10] ^= 1
			bent := strings.Replace(query, url.QueryEscape(parsed.Get("Signature")), url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), 1)
			if d := v.do("login", "redirect", bent, nil, false); d.Error == "" {
				t.Error("a changed signature is accepted")
			}
			v = p.visit(t, "post", false)
			_, form := v.request("post")
			raw, _ := base64.StdEncoding.DecodeString(form.Get("SAMLRequest"))
			form.Set("SAMLRequest", base64.StdEncoding.EncodeToString(bytes.Replace(raw, []byte(`ForceAuthn="true"`), []byte(`ForceAuthn="false"`), 1)))
			if d := v.do("login", "post", "", form, false); d.Error == "" {
				t.Error("a changed form is accepted")
			}
		})
	}
}

// Signing out, both ways, with those that can.
func TestPeersSignOut(t *testing.T) {
	for _, p := range peers {
		if !p.logout {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			p.there(t)
			v := p.visit(t, "redirect", false)
			enter := func() {
				t.Helper()
				query, form := v.request("redirect")
				d := v.do("login", "redirect", query, form, false)
				v.session = d.Session
				if _, err := v.fas.Answer(t.Context(), step("beaumarais"), url.Values{"SAMLResponse": {d.SAMLResponse}, "RelayState": {d.RelayState}}); err != nil {
					t.Fatal(err)
				}
			}
			enter()
			exit, err := v.fas.SignOut(t.Context(), "beaumarais", "login", "", "handle", "fr")
			if err != nil {
				t.Fatal(err)
			}
			_, query, _ := strings.Cut(exit.Address, "?")
			d := v.do("logout", "redirect", query, nil, false)
			_, answer, _ := strings.Cut(d.Link, "?")
			over, err := v.fas.SignedOut(t.Context(), "beaumarais", ofQuery(t, answer), "")
			if d.Error != "" || err != nil || over.State != "handle" || !over.Complete {
				t.Errorf("our sign-out: %+v; %+v, %v", d, over, err)
			}

			enter()
			d = v.do("leave", "redirect", "", nil, false)
			_, query, _ = strings.Cut(d.Link, "?")
			over, err = v.fas.SignedOut(t.Context(), "beaumarais", ofQuery(t, query), "login")
			if d.Error != "" || err != nil || !strings.HasPrefix(over.Answer.Address, there+"/slo?SAMLResponse=") {
				t.Errorf("their sign-out: %+v; %+v, %v", d, over, err)
			}
		})
	}
}
