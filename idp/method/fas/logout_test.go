package fas_test

import (
	"context"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/fas"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
)

const slo = origin + "/saml/beaumarais/slo"

// signedIn signs luc in for the login "login" and returns the assertion's ID.
func (w *world) signedIn() string {
	w.t.Helper()
	u := w.ask(step("beaumarais"))
	a := w.honest(u)
	if _, err := w.answer(step("beaumarais"), u, w.respond(a)); err != nil {
		w.t.Fatal(err)
	}
	return a.AssertionID
}

// byRedirect and byPost are how a message comes.
func (w *world) byRedirect(l fakefas.Leave, relay string) method.Message {
	w.t.Helper()
	query, err := w.idp.Query(l, relay)
	w.must(err)
	return ofQuery(w.t, query)
}

func ofQuery(t testing.TB, query string) method.Message {
	t.Helper()
	form, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return method.Message{Query: query, Form: form}
}

func (w *world) byPost(l fakefas.Leave, relay string) method.Message {
	w.t.Helper()
	form, err := w.idp.Form(l, relay)
	w.must(err)
	return method.Message{Form: form}
}

func (w *world) signedOut(m method.Message, login string) (method.Dismissal, error) {
	return w.fas.SignedOut(context.Background(), "beaumarais", m, login)
}

// We ask the provider: it is told whom and which session, signed, and its answer ends the
// sign-out once.
func TestSignOutThere(t *testing.T) {
	w := newWorld(t)
	assertion := w.signedIn()
	exit, err := w.fas.SignOut(t.Context(), "beaumarais", "login", "", "handle", "fr")
	w.must(err)
	link, err := url.Parse(exit.Address)
	w.must(err)
	if len(exit.Fields) > 0 || !strings.HasPrefix(exit.Address, "https://csam.example/slo?") || link.Query().Get("RelayState") != "handle" || link.Query().Get("Signature") == "" {
		t.Fatalf("the way there is %+v", exit)
	}
	request := inflate(t, link.Query().Get("SAMLRequest")).Root()
	if got := request.FindElement("./NameID"); got == nil || got.Text() != assertion+"n" {
		t.Errorf("it names %v", got)
	}
	if got := request.FindElement("./SessionIndex"); got == nil || got.Text() != assertion+"s" {
		t.Errorf("it names the session %v", got)
	}
	if again, err := w.fas.SignOut(t.Context(), "beaumarais", "login", "", "other", "fr"); err != nil || again.Address != "" {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	id := request.SelectAttrValue("ID", "")
	for name, bend := range map[string]func(*fakefas.Leave){
		"another request": func(l *fakefas.Leave) { l.InResponseTo = "_other" },
		"unsigned":        func(l *fakefas.Leave) { l.Unsigned = true },
		"elsewhere":       func(l *fakefas.Leave) { l.Destination = origin + "/saml/zandvoorde/slo" },
	} {
		l := w.idp.Left(slo, id, w.hand.Now())
		bend(&l)
		if _, err := w.signedOut(w.byRedirect(l, "nothing"), ""); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
	d, err := w.signedOut(w.byRedirect(w.idp.Left(slo, id, w.hand.Now()), "handle"), "")
	if err != nil || d.State != "handle" || !d.Complete || d.Answer.Address != "" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := w.signedOut(w.byRedirect(w.idp.Left(slo, id, w.hand.Now()), "handle"), ""); method.Cause(err) != "fas.logout_unsolicited" {
		t.Errorf("a second answer: %v", err)
	}
}

// A provider that has not ended all of it is believed too.
func TestPartialSignOutThere(t *testing.T) {
	w := newWorld(t)
	w.signedIn()
	exit, err := w.fas.SignOut(t.Context(), "beaumarais", "login", "", "handle", "fr")
	w.must(err)
	link, _ := url.Parse(exit.Address)
	l := w.idp.Left(slo, inflate(t, link.Query().Get("SAMLRequest")).Root().SelectAttrValue("ID", ""), w.hand.Now())
	l.Bend = replace(`:Success"/>`, `:Success"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:PartialLogout"/></samlp:StatusCode>`)
	d, err := w.signedOut(w.byPost(l, "handle"), "")
	if err != nil || d.State != "handle" || d.Complete {
		t.Errorf("%+v, %v", d, err)
	}
}

// The provider asks, by either binding: the session of the browser that brings it ends,
// and the provider gets a signed answer with its RelayState.
func TestSignOutAskedThere(t *testing.T) {
	for name, come := range map[string]func(*world, fakefas.Leave, string) method.Message{"redirect": (*world).byRedirect, "post": (*world).byPost} {
		w := newWorld(t)
		assertion := w.signedIn()
		l := w.idp.Leaving(slo, assertion, w.hand.Now())
		d, err := w.signedOut(come(w, l, "theirs & ours"), "login")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		link, err := url.Parse(d.Answer.Address)
		w.must(err)
		if d.State != "" || !strings.HasPrefix(d.Answer.Address, "https://csam.example/slo?SAMLResponse=") || link.Query().Get("RelayState") != "theirs & ours" {
			t.Errorf("%s: %+v", name, d)
		}
		answer := inflate(t, link.Query().Get("SAMLResponse")).Root()
		if answer.SelectAttrValue("InResponseTo", "") != l.ID || answer.FindElement("./Status/StatusCode").SelectAttrValue("Value", "") != "urn:oasis:names:tc:SAML:2.0:status:Success" {
			t.Errorf("%s: the answer is %v", name, answer)
		}
		if _, err := w.signedOut(come(w, l, ""), "login"); err == nil {
			t.Errorf("%s: a second time", name)
		}
	}
}

// Requests to sign out that are not quite right, by the word that the record must hold.
// None of them ends anything: the honest one that follows still finds its session.
func TestHostileSignOuts(t *testing.T) {
	type bend = func(*world, *fakefas.Leave)
	at := func(w *world, d time.Duration) string { return w.hand.Now().Add(d).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		cause string
		bend  bend
	}{
		"unsigned":                {"logout_signature", func(_ *world, l *fakefas.Leave) { l.Unsigned = true }},
		"another person":          {"logout_nobody", func(_ *world, l *fakefas.Leave) { l.NameID = "_somebody" }},
		"nobody":                  {"logout_nobody", func(_ *world, l *fakefas.Leave) { l.NameID = "" }},
		"another session":         {"logout_nobody", func(_ *world, l *fakefas.Leave) { l.Session = "_another" }},
		"another commune":         {"logout_message", func(_ *world, l *fakefas.Leave) { l.Destination = origin + "/saml/zandvoorde/slo" }},
		"no destination":          {"logout_message", func(_ *world, l *fakefas.Leave) { l.Destination = "" }},
		"a stranger":              {"logout_stranger", func(_ *world, l *fakefas.Leave) { l.Issuer = "https://evil.example" }},
		"long ago":                {"logout_message", func(w *world, l *fakefas.Leave) { l.Issued = at(w, -8*time.Minute) }},
		"tomorrow":                {"logout_message", func(w *world, l *fakefas.Leave) { l.Issued = at(w, 24*time.Hour) }},
		"too late":                {"logout_message", func(w *world, l *fakefas.Leave) { l.Until = at(w, -3*time.Minute) }},
		"an end that is no time":  {"logout_message", func(_ *world, l *fakefas.Leave) { l.Until = "soon" }},
		"version 1.1":             {"logout_message", func(_ *world, l *fakefas.Leave) { l.Version = "1.1" }},
		"no ID":                   {"", func(_ *world, l *fakefas.Leave) { l.ID = "" }},
		"two people":              {"logout_shape", func(_ *world, l *fakefas.Leave) { l.Bend = twice("<saml:NameID", "</saml:NameID>") }},
		"an element in the name":  {"logout_shape", func(_ *world, l *fakefas.Leave) { l.Bend = replace("</saml:NameID>", "<b/></saml:NameID>") }},
		"a comment in the name":   {"logout_xml", func(_ *world, l *fakefas.Leave) { l.Bend = replace("</saml:NameID>", "<!-- x --></saml:NameID>") }},
		"a response as a request": {"logout_shape", func(_ *world, l *fakefas.Leave) { l.Bend = replace("LogoutRequest", "LogoutResponse") }},
		"an assertion in it": {"logout_signature", func(_ *world, l *fakefas.Leave) {
			l.Bend = replace("</samlp:LogoutRequest>", "<saml:Assertion/></samlp:LogoutRequest>")
		}},
		"extensions": {"logout_signature", func(_ *world, l *fakefas.Leave) { l.Bend = replace("<saml:NameID", "<samlp:Extensions/><saml:NameID") }},
		"another's name of a name": {"logout_nobody", func(_ *world, l *fakefas.Leave) {
			l.Bend = replace("nameid-format:transient", "nameid-format:persistent")
		}},
	} {
		for binding, come := range map[string]func(*world, fakefas.Leave, string) method.Message{"redirect": (*world).byRedirect, "post": (*world).byPost} {
			t.Run(name+", "+binding, func(t *testing.T) {
				if binding == "post" && name == "a comment in the name" {
					t.Skip("the imitation's signing drops comments")
				}
				w := newWorld(t)
				assertion := w.signedIn()
				l := w.idp.Leaving(slo, assertion, w.hand.Now())
				c.bend(w, &l)
				_, err := w.signedOut(come(w, l, ""), "login")
				if err == nil {
					t.Fatal("it ended the session")
				}
				if got := method.Cause(err); c.cause != "" && got != "fas."+c.cause {
					t.Errorf("refused for %s (%v), want %s", got, err, c.cause)
				}
				if _, err := w.signedOut(come(w, w.idp.Leaving(slo, assertion, w.hand.Now()), ""), "login"); err != nil {
					t.Errorf("the honest one is refused afterwards: %v", err)
				}
			})
		}
	}
}

// The signature is over the query as it came: whatever is moved, doubled, disguised or
// added does not count.
func TestHostileQueries(t *testing.T) {
	w := newWorld(t)
	assertion := w.signedIn()
	good, err := w.idp.Query(w.idp.Leaving(slo, assertion, w.hand.Now()), "relay")
	w.must(err)
	other, err := w.idp.Query(w.idp.Leaving(slo, "_other", w.hand.Now()), "relay")
	w.must(err)
	parts := strings.Split(good, "&")
	stranger, err := fakefas.New("https://csam.example", nil)
	w.must(err)
	foreign, err := stranger.Query(w.idp.Leaving(slo, assertion, w.hand.Now()), "relay")
	w.must(err)
	for name, query := range map[string]string{
		"another relay state":      strings.Replace(good, "RelayState=relay", "RelayState=evil", 1),
		"no relay state":           strings.Replace(good, "&RelayState=relay", "", 1),
		"two relay states":         good + "&RelayState=evil",
		"another's message":        strings.Split(other, "&")[0] + "&" + strings.Join(parts[1:], "&"),
		"two messages":             good + "&" + strings.Split(other, "&")[0],
		"a response beside it":     good + "&SAMLResponse=PHgvPg%3D%3D",
		"no signature":             strings.Join(parts[:3], "&"),
		"an empty signature":       strings.Join(parts[:3], "&") + "&Signature=",
		"no algorithm":             strings.Join(append(parts[:2:2], parts[3]), "&"),
		"HMAC":                     strings.Replace(good, "rsa-sha256", "hmac-sha256", 1),
		"SHA-1":                    strings.Replace(good, url.QueryEscape(dsig.RSASHA256SignatureMethod), url.QueryEscape(dsig.RSASHA1SignatureMethod), 1),
		"a disguised name":         strings.Replace(good, "SAMLRequest=", "SAML%52equest=", 1),
		"another key":              foreign,
		"an encoding of their own": good + "&SAMLEncoding=plain",
	} {
		if _, err := w.signedOut(ofQuery(t, query), "login"); err == nil || method.Cause(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.signedOut(ofQuery(t, good), "login"); err != nil {
		t.Error(err)
	}
}

// Forms: wrapped, unsigned, too large, inflating.
func TestHostileForms(t *testing.T) {
	w := newWorld(t)
	assertion := w.signedIn()
	form, err := w.idp.Form(w.idp.Leaving(slo, assertion, w.hand.Now()), "")
	w.must(err)
	raw, err := base64.StdEncoding.DecodeString(form.Get("SAMLRequest"))
	w.must(err)
	wrapped := wrap(t, raw)
	weak, err := w.idp.Form(func() fakefas.Leave {
		l := w.idp.Leaving(slo, assertion, w.hand.Now())
		l.Algorithm = dsig.RSASHA1SignatureMethod
		return l
	}(), "")
	w.must(err)
	for name, text := range map[string]string{
		"wrapped":       base64.StdEncoding.EncodeToString(wrapped),
		"SHA-1":         weak.Get("SAMLRequest"),
		"deflated":      base64.StdEncoding.EncodeToString(deflate(t, raw)),
		"huge":          strings.Repeat("A", 400<<10),
		"no base64":     "<xml/>",
		"empty":         "",
		"an entity":     base64.StdEncoding.EncodeToString([]byte(`<!DOCTYPE x [<!ENTITY e "x">]>` + string(raw))),
		"changed":       base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(raw), "s</", "t</", 1))),
		"another root":  base64.StdEncoding.EncodeToString([]byte("<x>" + string(raw) + "</x>")),
		"two roots":     base64.StdEncoding.EncodeToString(append(raw[:len(raw):len(raw)], "<x/>"...)),
		"a bomb inside": base64.StdEncoding.EncodeToString(deflate(t, make([]byte, 100<<20))),
	} {
		m := method.Message{Form: url.Values{"SAMLRequest": {text}}}
		if name == "a bomb inside" {
			m.Query = "SAMLRequest=x"
		}
		if _, err := w.signedOut(m, "login"); err == nil || method.Cause(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.signedOut(method.Message{Form: form}, "login"); err != nil {
		t.Error(err)
	}
}

// wrap puts the signed request below a forged one.
func wrap(t testing.TB, raw []byte) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	inner := doc.Root().Copy()
	forged := doc.Root()
	forged.FindElement("./NameID").SetText("_victim")
	signature := forged.FindElement("./Signature")
	forged.RemoveChild(signature)
	forged.CreateAttr("ID", "_forged")
	copied := signature.Copy()
	forged.InsertChildAt(1, copied)
	copied.CreateElement("ds:Object").AddChild(inner)
	out, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Of many that bring one request at once, one ends the session.
func TestOneSignOut(t *testing.T) {
	w := newWorld(t)
	m := w.byRedirect(w.idp.Leaving(slo, w.signedIn(), w.hand.Now()), "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	ended := 0
	for range 20 {
		wg.Go(func() {
			if _, err := w.signedOut(m, "login"); err == nil {
				mu.Lock()
				ended++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ended != 1 {
		t.Errorf("%d times", ended)
	}
}

// A provider that takes forms only gets one.
func TestSignOutByForm(t *testing.T) {
	w := newWorld(t, func(a *fas.Agreement) {
		file := filepath.Join(t.TempDir(), "post.xml")
		_, idp := keys()
		text := strings.Replace(string(idp.Metadata()), `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"`, `<SingleLogoutService ResponseLocation="https://csam.example/answers" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"`, 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a.Provider = &fas.Provider{Name: "fas", Metadata: file}
	})
	assertion := w.signedIn()
	d, err := w.signedOut(w.byPost(w.idp.Leaving(slo, assertion, w.hand.Now()), "x"), "login")
	if err != nil || d.Answer.Address != "https://csam.example/answers" || d.Answer.Fields.Get("SAMLResponse") == "" || d.Answer.Fields.Get("RelayState") != "x" {
		t.Errorf("%+v, %v", d, err)
	}
	w.signedIn()
	exit, err := w.fas.SignOut(t.Context(), "beaumarais", "login", "", "handle", "fr")
	w.must(err)
	if exit.Address != "https://csam.example/slo" || exit.Fields.Get("RelayState") != "handle" {
		t.Errorf("%+v", exit)
	}
	raw, err := base64.StdEncoding.DecodeString(exit.Fields.Get("SAMLRequest"))
	w.must(err)
	doc := etree.NewDocument()
	w.must(doc.ReadFromBytes(raw))
	key, _ := keys()
	if _, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates(key.Certificate)}).Validate(doc.Root()); err != nil {
		t.Errorf("our signature: %v", err)
	}
}
