package fas

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/beevik/etree"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/web"
)

// Single logout (saml-profiles-2.0-os §4.4), both ways, by the redirect and POST
// bindings. A person who signs out here is taken along to the provider; a provider may
// ask us to end the session that its assertion began, in the browser that brings the
// request. Every message is signed, ours and theirs.

const (
	departureLife = 8 * time.Hour    // as long as a session lasts
	leavingLife   = 20 * time.Minute // of a sign-out under way there
	messageAge    = 5 * time.Minute  // of a message about signing out
	relayLimit    = 1 << 10          // bytes of the provider's RelayState that we give back
)

// departure is what a sign-out there has to say of a sign-in: whom the provider knows
// by which name, in which of its sessions.
type departure struct {
	Commune  commune.ID
	Provider string
	Name     nameID
	Session  string // "" where the provider named none
}

// nameID is a saml:NameID.
type nameID struct{ Value, Format, Qualifier, ServiceQualifier string }

// leaving is a sign-out of ours that the provider has to answer.
type leaving struct {
	Commune      commune.ID
	Provider, ID string
}

func departurePlace(login string) string { return "idp:fas:departure:" + login }
func leavingPlace(state string) string   { return "idp:fas:leaving:" + state }

// keep remembers, sealed, what a sign-out will have to say.
func (f *FAS) keep(ctx context.Context, login string, d departure) error {
	if d.Name.Value == "" {
		return nil // the provider did not name anybody: there is nobody to sign out there
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	place := departurePlace(login)
	return f.KV.Put(ctx, place, f.sealer.Seal(text, place), departureLife)
}

// kept is what keep has kept; false where there is nothing.
func (f *FAS) kept(ctx context.Context, login string, get func(context.Context, string) ([]byte, error)) (d departure, ok bool, err error) {
	if login == "" {
		return d, false, nil
	}
	place := departurePlace(login)
	sealed, err := get(ctx, place)
	if errors.Is(err, kv.ErrMissing) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	text, err := f.sealer.Open(sealed, place)
	if err != nil {
		return d, false, err
	}
	return d, true, json.Unmarshal(text, &d)
}

// SignOut takes a person along to the provider (method.Departing). The answer comes to
// our own address of sign-out, with state as its RelayState; back is not needed.
func (f *FAS) SignOut(ctx context.Context, _ commune.ID, login, _, state string, _ i18n.Language) (method.Exit, error) {
	d, ok, err := f.kept(ctx, login, f.KV.Take)
	if err != nil || !ok {
		return method.Exit{}, err
	}
	a := f.with(d.Commune, d.Provider)
	if a == nil {
		return method.Exit{}, nil
	}
	there, err := a.Provider.current(ctx, f.Clock())
	if err != nil || !there.logout.known() {
		return method.Exit{}, err
	}
	out := leaving{Commune: d.Commune, Provider: d.Provider, ID: "_" + web.NewSecret()}
	text, err := json.Marshal(out)
	if err != nil {
		return method.Exit{}, err
	}
	if err := f.KV.Put(ctx, leavingPlace(state), text, leavingLife); err != nil {
		return method.Exit{}, err
	}
	e := a.message("LogoutRequest", out.ID, there.logout.address(), f.Clock())
	e.CreateAttr("NotOnOrAfter", f.Clock().Add(messageAge).UTC().Format(time.RFC3339))
	d.Name.write(e)
	if d.Session != "" {
		e.CreateElement("samlp:SessionIndex").SetText(d.Session)
	}
	return a.send(there.logout, false, e, state)
}

// message is the beginning of one of ours.
func (a *Agreement) message(tag, id, destination string, now time.Time) *etree.Element {
	e := etree.NewElement("samlp:" + tag)
	e.CreateAttr("xmlns:samlp", nsProtocol)
	e.CreateAttr("xmlns:saml", nsAssertion)
	e.CreateAttr("ID", id)
	e.CreateAttr("Version", "2.0")
	e.CreateAttr("IssueInstant", now.UTC().Format(time.RFC3339))
	e.CreateAttr("Destination", destination)
	e.CreateElement("saml:Issuer").SetText(a.EntityID)
	return e
}

func (n nameID) write(parent *etree.Element) {
	e := parent.CreateElement("saml:NameID")
	for name, v := range map[string]string{"Format": n.Format, "NameQualifier": n.Qualifier, "SPNameQualifier": n.ServiceQualifier} {
		if v != "" {
			e.CreateAttr(name, v)
		}
	}
	e.SortAttrs()
	e.SetText(n.Value)
}

// notLeft is one sentence for the person about a message on signing out, whatever the
// word for the record.
func notLeft(word string, err error) error {
	return fault.New(fault.Forbidden, "fas.logout_refused", &refusal{"logout_" + word, err})
}

// SignedOut takes what a provider sent to our address of sign-out (method.Dismissing).
func (f *FAS) SignedOut(ctx context.Context, c commune.ID, m method.Message, login string) (method.Dismissal, error) {
	kind := "SAMLRequest"
	if m.Form.Has("SAMLResponse") {
		kind = "SAMLResponse"
	}
	if len(m.Form[kind]) != 1 || len(m.Form["RelayState"]) > 1 || m.Form.Has("SAMLRequest") && m.Form.Has("SAMLResponse") {
		return method.Dismissal{}, notLeft("shape", nil)
	}
	text, err := unpack(m.Form.Get(kind), m.Query != "")
	if err != nil {
		return method.Dismissal{}, notLeft("encoding", err)
	}
	e, err := parse(text, false)
	if err != nil {
		return method.Dismissal{}, notLeft("xml", err)
	}
	a, there, err := f.sender(ctx, c, e)
	if err != nil {
		return method.Dismissal{}, err
	}
	if e, err = a.believed(there, e, m, kind, f.Clock()); err != nil {
		return method.Dismissal{}, notLeft("signature", err)
	}
	if err := f.about(there, c, e); err != nil {
		return method.Dismissal{}, notLeft("message", err)
	}
	switch {
	case kind == "SAMLResponse" && is(e, nsProtocol, "LogoutResponse"):
		return f.answered(ctx, a, c, e, m.Form.Get("RelayState"))
	case kind == "SAMLRequest" && is(e, nsProtocol, "LogoutRequest"):
		return f.dismissed(ctx, a, there, e, m.Form.Get("RelayState"), login)
	}
	return method.Dismissal{}, notLeft("shape", errShape)
}

// sender is the agreement with the provider that a message says it is from.
func (f *FAS) sender(ctx context.Context, c commune.ID, e *etree.Element) (*Agreement, *description, error) {
	issuer, err := only(e, nsAssertion, "Issuer")
	if err != nil {
		return nil, nil, notLeft("shape", err)
	}
	name, err := text(issuer)
	if err != nil {
		return nil, nil, notLeft("shape", err)
	}
	for _, a := range f.agreements[c] {
		there, err := a.Provider.current(ctx, f.Clock())
		if err != nil {
			return nil, nil, fault.New(fault.Unreachable, "fas.unreachable", err)
		}
		if there.entity == name {
			return a, there, nil
		}
	}
	return nil, nil, notLeft("stranger", nil)
}

// believed is the message as a key of the provider signed it: the bytes of the query, or
// the element that the signature covers.
func (a *Agreement) believed(there *description, e *etree.Element, m method.Message, kind string, now time.Time) (*etree.Element, error) {
	if err := a.shape(e, 0); err != nil {
		return nil, err
	}
	if m.Query != "" {
		return e, a.detached(m.Query, kind, there.keys, now)
	}
	if len(children(e, nsSignature, "Signature")) != 1 {
		return nil, errors.New("not signed")
	}
	return validate(e, there.keys, now)
}

// about checks what a request and a response have in common.
func (f *FAS) about(there *description, c commune.ID, e *etree.Element) error {
	if value(e, "Version") != "2.0" || value(e, "ID") == "" {
		return errors.New("the Version is not 2.0, or no ID")
	}
	if !slices.ContainsFunc(f.Issuers, func(origin string) bool { return value(e, "Destination") == origin+logoutPath(c) }) {
		return errors.New("the Destination is not this address")
	}
	issuer, err := only(e, nsAssertion, "Issuer")
	if err != nil {
		return err
	}
	if name, err := text(issuer); err != nil || name != there.entity {
		return errors.New("the Issuer is not the provider")
	}
	issued, err := instant(e, "IssueInstant")
	if err != nil {
		return err
	}
	if now := f.Clock(); issued.After(now.Add(skew)) || issued.Before(now.Add(-messageAge-skew)) {
		return errors.New("the IssueInstant is out of time")
	}
	return nil
}

// answered ends a sign-out of ours.
func (f *FAS) answered(ctx context.Context, a *Agreement, c commune.ID, e *etree.Element, state string) (method.Dismissal, error) {
	text, err := f.KV.Take(ctx, leavingPlace(state))
	if errors.Is(err, kv.ErrMissing) {
		return method.Dismissal{}, notLeft("unsolicited", nil)
	}
	if err != nil {
		return method.Dismissal{}, err
	}
	var out leaving
	if err := json.Unmarshal(text, &out); err != nil {
		return method.Dismissal{}, err
	}
	if out.Commune != c || out.Provider != a.Provider.Name || value(e, "InResponseTo") != out.ID {
		return method.Dismissal{}, notLeft("unsolicited", errors.New("it answers another request"))
	}
	status, err := only(e, nsProtocol, "Status")
	if err != nil {
		return method.Dismissal{}, notLeft("shape", err)
	}
	code, err := only(status, nsProtocol, "StatusCode")
	if err != nil {
		return method.Dismissal{}, notLeft("shape", err)
	}
	whole := value(code, "Value") == statusSuccess && len(code.ChildElements()) == 0
	return method.Dismissal{State: state, Complete: whole}, nil
}

// dismissed is a request to end the session of this browser. It must name the person
// and the session there that ours began with.
func (f *FAS) dismissed(ctx context.Context, a *Agreement, there *description, e *etree.Element, relay, login string) (method.Dismissal, error) {
	if !there.logout.known() || len(relay) > relayLimit {
		return method.Dismissal{}, notLeft("shape", errors.New("no address to answer to, or a long RelayState"))
	}
	until := f.Clock().Add(messageAge)
	if has(e, "NotOnOrAfter") {
		end, err := instant(e, "NotOnOrAfter")
		if err != nil || !f.Clock().Before(end.Add(skew)) {
			return method.Dismissal{}, notLeft("message", errors.New("too late"))
		}
	}
	name, err := a.named(e)
	if err != nil {
		return method.Dismissal{}, notLeft("shape", err)
	}
	var sessions []string
	for _, s := range children(e, nsProtocol, "SessionIndex") {
		index, err := text(s)
		if err != nil {
			return method.Dismissal{}, notLeft("shape", err)
		}
		sessions = append(sessions, index)
	}
	d, ok, err := f.kept(ctx, login, f.KV.Get)
	if err != nil {
		return method.Dismissal{}, err
	}
	if !ok || d.Commune != a.Commune || d.Provider != a.Provider.Name || !name.same(d.Name) || len(sessions) > 0 && !slices.Contains(sessions, d.Session) {
		return method.Dismissal{}, notLeft("nobody", nil)
	}
	first, err := f.Store.UseSAMLMessage(ctx, a.Commune, idpsql.SAMLAssertion{Issuer: there.entity, ID: value(e, "ID"), Expires: until.Add(messageAge + skew)})
	if err != nil {
		return method.Dismissal{}, err
	}
	if !first {
		return method.Dismissal{}, notLeft("replay", nil)
	}
	if err := f.KV.Delete(ctx, departurePlace(login)); err != nil {
		return method.Dismissal{}, err
	}
	answer := a.message("LogoutResponse", "_"+web.NewSecret(), there.logout.answerAddress(), f.Clock())
	answer.CreateAttr("InResponseTo", value(e, "ID"))
	answer.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", statusSuccess)
	exit, err := a.send(there.logout, true, answer, relay)
	return method.Dismissal{Answer: exit}, err
}

const statusSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success"

// named is the one name in a subject or a LogoutRequest, encrypted or not; the zero
// nameID where there is none.
func (a *Agreement) named(parent *etree.Element) (nameID, error) {
	plain, sealed := children(parent, nsAssertion, "NameID"), children(parent, nsAssertion, "EncryptedID")
	if len(plain)+len(sealed) > 1 {
		return nameID{}, errors.New("several names")
	}
	var e *etree.Element
	switch {
	case len(plain) == 1:
		e = plain[0]
	case len(sealed) == 1:
		opened, err := a.decrypt(sealed[0])
		if err != nil {
			return nameID{}, err
		}
		if e, err = parse(opened, false); err != nil {
			return nameID{}, err
		}
		if !is(e, nsAssertion, "NameID") {
			return nameID{}, errShape
		}
	default:
		return nameID{}, nil
	}
	name, err := text(e)
	return nameID{name, value(e, "Format"), value(e, "NameQualifier"), value(e, "SPNameQualifier")}, err
}

// same says whether two names name one person: a part that one leaves out is no difference.
func (n nameID) same(m nameID) bool {
	alike := func(a, b string) bool { return a == "" || b == "" || a == b }
	return n.Value != "" && n.Value == m.Value && alike(n.Format, m.Format) && alike(n.Qualifier, m.Qualifier) && alike(n.ServiceQualifier, m.ServiceQualifier)
}

// exits are a provider's addresses of single logout.
type exits struct{ redirect, post, redirectAnswer, postAnswer string }

func (x exits) known() bool { return x.redirect != "" || x.post != "" }

func (x exits) address() string { return first(x.redirect, x.post) }

func (x exits) answerAddress() string {
	if x.redirect != "" {
		return first(x.redirectAnswer, x.redirect)
	}
	return first(x.postAnswer, x.post)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// send signs a message and puts it on its way: by the redirect binding where the
// provider has it.
func (a *Agreement) send(to exits, answer bool, e *etree.Element, relay string) (method.Exit, error) {
	kind, address := "SAMLRequest", to.address()
	if answer {
		kind, address = "SAMLResponse", to.answerAddress()
	}
	if to.redirect != "" {
		link, err := a.redirect(address, kind, e, relay)
		return method.Exit{Address: link}, err
	}
	text, err := a.signed(e)
	if err != nil {
		return method.Exit{}, err
	}
	return method.Exit{Address: address, Fields: url.Values{kind: {text}, "RelayState": {relay}}}, nil
}
