package idp

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/login"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
)

// grant is what a code stands for. It names the person by the record's ID only.
type grant struct {
	Issuer, Client, RedirectURI, Challenge string
	Commune                                commune.ID
	Person, Subject, SID                   string
	Nonce                                  string
	Scopes                                 []string
	Level, Upstream                        string
	AMR                                    []string
	At                                     time.Time // auth_time
	Session                                string
	Address                                []byte // sealed; nil where the person did not agree
}

// access is what an access token stands for.
type access struct {
	Issuer, Client  string
	Commune         commune.ID
	Person, Subject string
	Scopes          []string
	Level, Upstream string
	AMR             []string
	At              time.Time // auth_time
	Address         []byte    // sealed; nil where there is none
}

// proceed gives the client its code for the citizen of session s.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, ask login.Ask, s session.Session) error {
	if ask.Local != "" { // the page judges the session again
		return web.See(w, r, ask.Local)
	}
	g, err := p.grant(r, ask, s)
	if err != nil {
		return err
	}
	content, err := marshal(g)
	if err != nil {
		return err
	}
	code := web.NewSecret()
	row := idpsql.Code{Code: code, Client: g.Client, Session: s.ID, Content: content, Expires: p.Clock().Add(codeLifetime)}
	first, err := p.Store.AddCode(r.Context(), row, ask.Pushed, func(tx *sqldb.Tx) error {
		if err := p.joined(tx, g); err != nil {
			return err
		}
		return p.record(tx, g.Commune, "sign_in.passed", g.Subject, map[string]string{
			"client": g.Client, "method": s.Method, "level": g.Level, "passed_on": strings.Join(g.Scopes, " "), "auth_time": g.At.Format(time.RFC3339),
		})
	})
	if err != nil {
		return err
	}
	if !first {
		return errPushed
	}
	web.Note(r, "outcome", "code")
	return redirect(w, r, ask, url.Values{"code": {code}})
}

func (p *Provider) grant(r *http.Request, ask login.Ask, s session.Session) (grant, error) {
	c, ok := p.Clients.ByID(ask.Client)
	if !ok {
		return grant{}, errClient
	}
	person, err := p.personOf(r.Context(), c, s)
	if err != nil {
		return grant{}, err
	}
	level, _ := p.methods[s.Method].Level(c.Commune, s.Upstream)
	scopes := p.granted(c, ask.Scopes)
	address, err := p.sealAddress(c, scopes, s)
	if err != nil {
		return grant{}, err
	}
	if address == nil { // the client learns that it was not granted, and the journal
		scopes = slices.DeleteFunc(scopes, func(scope string) bool { return scope == client.ScopeAddress })
	}
	return grant{
		Issuer: ask.Issuer, Client: c.ID, RedirectURI: ask.RedirectURI, Challenge: ask.Challenge, Commune: c.Commune,
		Person: person.ID, Subject: p.persons.Subject(c.Sector, person.Root), SID: p.sid(c, s.ID),
		Nonce: ask.Nonce, Scopes: scopes, Level: level, Upstream: s.Upstream, AMR: s.AMR, At: s.At, Session: s.ID, Address: address,
	}, nil
}

// joined has the code's client told when the session ends.
func (p *Provider) joined(tx *sqldb.Tx, g grant) error {
	c, ok := p.Clients.ByID(g.Client)
	if !ok {
		return errClient
	}
	return p.parties.Joined(tx, c, g.Session, g.Issuer, g.Subject)
}

// granted are the scopes that hold today: an authorisation for the number may have ended.
func (p *Provider) granted(c *client.Client, scopes []string) []string {
	var list []string
	for _, scope := range scopes {
		if scope != client.ScopeNumber || c.MayKnowNumber(p.Clock()) {
			list = append(list, scope)
		}
	}
	return list
}

// sid names a session to the clients of one sector; others see another name, so
// that it links nobody across communes.
func (p *Provider) sid(c *client.Client, session string) string {
	return base64.RawURLEncoding.EncodeToString(p.sids.Sum(c.Sector, session)[:16])
}

// record writes an audit entry in a transaction that does something.
func (p *Provider) record(tx *sqldb.Tx, c commune.ID, action, subject string, detail map[string]string) error {
	if p.Audit == nil {
		return nil
	}
	return p.Audit.Append(tx, audit.Entry{Commune: c, At: p.Clock(), Actor: subject, Action: action, Subject: subject, Detail: detail})
}

// recordPerson writes what became of person records, by their own names: subjects differ
// from client to client.
func (p *Provider) recordPerson(tx *sqldb.Tx, c commune.ID, action, actor, subject string, detail map[string]string) error {
	if p.Audit == nil {
		return nil
	}
	return p.Audit.Append(tx, audit.Entry{Commune: c, At: p.Clock(), Actor: actor, Action: action, Subject: subject, Detail: detail})
}

// party is the client as the login pages show it.
func (p *Provider) party(req login.Request) (login.Party, bool) {
	c, ok := p.Clients.ByID(req.Ask.Client)
	if !ok {
		return login.Party{}, false
	}
	home, ok := p.Communes.ByID(c.Commune)
	if !ok {
		return login.Party{}, false
	}
	scopes := p.granted(c, req.Ask.Scopes)
	return login.Party{
		Commune: home, Name: c.NameIn(req.Language, home),
		Number: slices.Contains(scopes, client.ScopeNumber), Address: slices.Contains(scopes, client.ScopeAddress),
	}, true
}
