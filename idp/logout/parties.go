package logout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

const (
	// partyFor is how long a client is worth telling: no session of one that was begun
	// by a code lasts longer.
	partyFor = 24 * time.Hour
	// tokenFor is how long a logout token may be used; §2.4 recommends two minutes at most.
	tokenFor = 2 * time.Minute
	// patience is how long a client may take to answer.
	patience = 10 * time.Second
)

// event is the member of events that makes a token a logout token (§2.4).
const event = "http://schemas.openid.net/event/backchannel-logout"

// PartiesConfig of NewParties. All must be set but Jobs and Client.
type PartiesConfig struct {
	Store   *idpsql.Store
	Clients *client.Registry
	Clock   clock.Clock
	Log     *slog.Logger
	// Sign makes a logout token.
	Sign func(context.Context, jose.SignatureAlgorithm, any) (string, error)
	// SID names a session to a client.
	SID func(c *client.Client, session string) string
	// Jobs carries the notices; needed where a client is registered to be told.
	Jobs *jobs.Queue
	// Client reaches the clients; the usual one where it is nil.
	Client *http.Client
}

// Parties are the clients that take part in sessions. They are told of a session's end
// behind the browser's back: a notice waits in the transaction that ends the session,
// and is tried until the client has taken it or its own session is over anyway.
//
// Implements OpenID Connect Back-Channel Logout 1.0.
type Parties struct {
	PartiesConfig
	http http.Client
}

// NewParties registers the job.
func NewParties(cfg PartiesConfig) (*Parties, error) {
	ps := &Parties{PartiesConfig: cfg}
	if cfg.Client != nil {
		ps.http = *cfg.Client
	}
	// An answer that leads elsewhere is none (§2.7), and the token would go along.
	ps.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if cfg.Jobs != nil {
		jobs.Handle(cfg.Jobs, ps.tell)
		return ps, nil
	}
	for _, c := range cfg.Clients.All() {
		if c.BackchannelLogoutURI != "" {
			return nil, fmt.Errorf("client %s: backchannel_logout_uri needs a queue of jobs", c.ID)
		}
	}
	return ps, nil
}

// Joined remembers, in the transaction of a code, that a client takes part in a session.
func (ps *Parties) Joined(tx *sqldb.Tx, c *client.Client, session, issuer, subject string) error {
	if c.BackchannelLogoutURI == "" {
		return nil
	}
	return idpsql.AddParty(tx, idpsql.Party{ID: rand.Text(), Session: session, Client: c.ID, Issuer: issuer, Subject: subject, Expires: ps.Clock().Add(partyFor)})
}

// Ended has every client of a session told, in the transaction that ends it; but for the
// one that ended it, which knows.
func (ps *Parties) Ended(tx *sqldb.Tx, session string, by *client.Client) error {
	if ps.Jobs == nil {
		return nil
	}
	parties, err := idpsql.Parties(tx, session)
	if err != nil {
		return err
	}
	for _, p := range parties {
		if by != nil && by.ID == p.Client {
			continue
		}
		if err := ps.Jobs.Insert(tx, NoticeJob{p.ID}); err != nil {
			return err
		}
	}
	return nil
}

// NoticeJob tells one client.
type NoticeJob struct {
	Party string `json:"party"`
}

// Kind implements jobs.Args.
func (NoticeJob) Kind() string { return "idp.logout_notice" }

func (ps *Parties) tell(ctx context.Context, job NoticeJob) error {
	p, ok, err := ps.Store.Party(ctx, job.Party)
	if err != nil || !ok {
		return err
	}
	c, ok := ps.Clients.ByID(p.Client)
	if !ok || c.BackchannelLogoutURI == "" { // the settings have changed
		return ps.Store.Told(ctx, p.ID)
	}
	if err := ps.send(ctx, c, p); err != nil {
		return fmt.Errorf("client %s was not told of a session's end: %w", c.ID, err)
	}
	ps.Log.Info("a client was told of a session's end", "client", c.ID)
	return ps.Store.Told(ctx, p.ID)
}

// claims are those of a logout token (§2.4).
type claims struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	Issued   int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	ID       string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	SID      string              `json:"sid"`
}

func (ps *Parties) send(ctx context.Context, c *client.Client, p idpsql.Party) error {
	now := ps.Clock()
	token, err := ps.Sign(ctx, c.IDTokenAlg, claims{
		Issuer: p.Issuer, Subject: p.Subject, Audience: c.ID, Issued: now.Unix(), Expires: now.Add(tokenFor).Unix(),
		ID: rand.Text(), Events: map[string]struct{}{event: {}}, SID: ps.SID(c, p.Session),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackchannelLogoutURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := ps.http.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address
		}
		return err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 4096)) // so that the connection serves again
	// 200 says that it is done; some frameworks answer 204 (§2.8).
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("it answered %s", answer.Status)
	}
	return nil
}
