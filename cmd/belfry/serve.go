package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp"
	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/card"
	"github.com/belfry-eid/belfry/idp/secret"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/loopback"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal"
	"github.com/belfry-eid/belfry/portal/rp"
)

type serveCmd struct {
	Config string `type:"path" placeholder:"FILE" help:"Settings file. Without it a complete local service is made and started."`
}

// Run serves until it is told to stop.
func (c *serveCmd) Run() error {
	if c.Config == "" {
		return serveLocally()
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	s, err := loadSettings(c.Config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return serve(ctx, s, log)
}

// serveLocally becomes devworld, which makes a world of test cards under var/ and
// starts this program again with settings of its own. In production there is no devworld.
func serveLocally() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	world := filepath.Join(filepath.Dir(self), "devworld")
	if _, err := exec.LookPath(world); err != nil {
		return fmt.Errorf("no --config was given, and the program that makes a local world is not beside this one (make run builds both): %w", err)
	}
	return syscall.Exec(world, []string{world}, os.Environ())
}

// drain is how long open requests and jobs have to end.
const drain = 20 * time.Second

func serve(ctx context.Context, s *Settings, log *slog.Logger) error {
	in, err := open(ctx, s, log)
	if err != nil {
		return err
	}
	defer in.Close()
	service, queue, err := in.orders(ctx)
	if err != nil {
		return err
	}
	provider, err := in.provider(ctx, queue)
	if err != nil {
		return err
	}
	pages, err := in.portal(ctx, service)
	if err != nil {
		return err
	}
	for _, id := range s.missingSeals() {
		log.Warn("a commune has no seal: it can issue nothing", "commune", id, "next", "belfry commune key make "+string(id))
	}
	public, err := listen(s.Server.Listen)
	if err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	own, err := serverTLS(s.Server.TLS, log)
	if err != nil {
		return err
	}
	if own != nil {
		public = tls.NewListener(public, own)
	}
	if err := queue.Start(ctx); err != nil {
		return err
	}
	go purge(ctx, append(in.purges, provider.Purge), log)
	front := &http.Server{Handler: byHost(s.Provider.Issuers, provider, pages), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	back := &http.Server{Handler: in.operator(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- front.Serve(public) }()
	if s.Server.Operator != "" {
		l, err := listen(s.Server.Operator)
		if err != nil {
			return fmt.Errorf("server.operator: %w", err)
		}
		go func() { failed <- back.Serve(l) }()
	}
	log.Info("ready", "listen", s.Server.Listen, "issuer", s.Provider.Issuers[0], "communes", len(in.communes.All()))
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-in.db.Broken():
		// At once, for the supervisor to start it again: what is under way can
		// no longer be kept, and closing the database would sync what the disk has refused.
		log.Error("the disk failed under a commit: ending, to be started again")
		os.Exit(1)
	}
	log.Info("stopping")
	last, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return errors.Join(err, front.Shutdown(last), back.Shutdown(last), queue.Stop(last))
}

// listen opens "host:port" or "unix:/path".
func listen(address string) (net.Listener, error) {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return net.Listen("tcp", address)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // a socket of a process that died
	}
	return net.Listen("unix", path)
}

// byHost sends the provider's hosts to the provider and all others to the portal,
// which knows its own.
func byHost(issuers []string, provider, pages http.Handler) http.Handler {
	hosts := map[string]bool{}
	for _, i := range issuers {
		host, _ := commune.HostOf(i)
		hosts[host] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hosts[strings.ToLower(r.Host)] {
			provider.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// purge deletes what has expired, every few minutes.
func purge(ctx context.Context, all []func(context.Context) error, log *slog.Logger) {
	for t := time.NewTicker(5 * time.Minute); ; {
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
			for _, f := range all {
				if err := f(ctx); err != nil {
					log.Error("purge", "error", err)
				}
			}
		}
	}
}

func (in *install) provider(ctx context.Context, queue *jobs.Queue) (*idp.Provider, error) {
	store, err := idpsql.New(ctx, in.db, clock.System)
	if err != nil {
		return nil, err
	}
	master, err := secret.New(in.derive("provider"))
	if err != nil {
		return nil, err
	}
	clients, err := in.clients()
	if err != nil {
		return nil, err
	}
	cards, err := in.cards()
	if err != nil {
		return nil, err
	}
	reader := card.New(card.Config{Store: store, Authority: cards, Clock: clock.System, AgentPorts: in.settings.Provider.AgentPorts,
		Files: &idfile.Verifier{Authority: cards, Clock: clock.System}})
	methods := []method.Method{reader}
	federal, err := in.federal(store, master)
	if err != nil {
		return nil, err
	}
	if federal != nil {
		methods = append(methods, federal)
	}
	sources, err := in.upstreams(store, master)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		methods = append(methods, s)
	}
	staff, err := in.administrators(ctx)
	if err != nil {
		return nil, err
	}
	roots, err := in.providerRoots()
	if err != nil {
		return nil, err
	}
	return idp.New(ctx, idp.Config{
		Staff: staff, Jobs: queue, Client: backChannel(roots),
		Issuers: in.settings.Provider.Issuers, Communes: in.communes, Clients: clients, Methods: methods,
		Store: store, KV: in.kv, Secret: master, Clock: clock.System, Log: in.log, Audit: in.audit, Proxies: in.settings.Server.Proxies,
	})
}

// backChannel reaches clients' own servers. Those of this install may stand under a name
// of this machine and, in a local world, behind a certificate of its own.
func backChannel(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: loopback.Transport(roots)}
}

// clients registers each commune's portal, profile high and told the national number,
// without which the register cannot be asked; and the applications of the settings.
func (in *install) clients() (*client.Registry, error) {
	var list []client.Settings
	for _, c := range in.communes.All() {
		key, err := in.clientKey(c.ID)
		if err != nil {
			return nil, err
		}
		list = append(list, portalClient(c, key))
	}
	return client.New(append(list, in.settings.Clients...), in.communes)
}

func portalClient(c *commune.Commune, key *ecdsa.PrivateKey) client.Settings {
	s := client.Settings{
		ID: clientID(c.ID), Commune: c.ID, Profile: client.High, Method: client.PrivateKeyJWT, IDTokenAlg: jose.ES256,
		BackchannelLogoutURI: c.Origin() + rp.NoticePath,
		Scopes:               []string{"profile", client.ScopeAddress, client.ScopeNumber},
		JWKS:                 &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: clientID(c.ID), Algorithm: string(jose.ES256), Use: "sig"}}},
		NationalNumber: &client.Authorisation{
			LegalBasis: "Law of 8 August 1983 organising a National Register, article 5 § 1: a commune, for the tasks that a law gives it",
			Until:      time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
		},
	}
	if c.French() { // its people have no such number
		s.Scopes, s.NationalNumber = []string{"profile"}, nil
	}
	for _, o := range c.Origins {
		s.RedirectURIs = append(s.RedirectURIs, o+rp.CallbackPath)
		s.PostLogoutRedirectURIs = append(s.PostLogoutRedirectURIs, o+rp.SignedOutPath)
	}
	return s
}

func clientID(id commune.ID) string { return "portal-" + string(id) }

func (in *install) portal(ctx context.Context, service *orders.Service) (*portal.Portal, error) {
	clients := map[commune.ID]rp.Client{}
	issuers := map[string]string{}
	for _, c := range in.communes.All() {
		key, err := in.clientKey(c.ID)
		if err != nil {
			return nil, err
		}
		clients[c.ID] = rp.Client{ID: clientID(c.ID), Key: key, KeyID: clientID(c.ID), Numberless: c.French()}
		if c.CitizenLevel != "" {
			mine := clients[c.ID]
			mine.Lowest = rp.Level(c.CitizenLevel)
			clients[c.ID] = mine
		}
		for _, o := range c.Origins {
			issuers[o] = in.issuerFor(o)
		}
	}
	roots, err := in.providerRoots()
	if err != nil {
		return nil, err
	}
	lists, err := in.lists()
	if err != nil {
		return nil, err
	}
	if lists != nil {
		go lists.Run(ctx, listsAge, func(err error) { in.log.Warn("the trusted lists could not be refreshed", "error", err) })
	}
	checker, err := in.checker(services(lists))
	if err != nil {
		return nil, err
	}
	cards, err := in.cards()
	if err != nil {
		return nil, err
	}
	return portal.New(ctx, portal.Config{
		Cards:    &idfile.Verifier{Authority: cards, Clock: clock.System},
		Communes: in.communes, DB: in.db, Journal: in.audit, KV: in.kv, Orders: service, Checker: checker,
		InstallKey: in.derive("portal"), Issuers: issuers, Clients: clients, Roots: roots, Proxies: in.settings.Server.Proxies,
		Specimen: func(id commune.ID) bool { return in.settings.Test || in.training(id) }, Clock: clock.System, Log: in.log,
		AgentPorts: in.settings.Provider.AgentPorts, Logos: in.logos(),
	})
}

// logos are those that can be read: pages have their own mark in the place of another.
func (in *install) logos() map[commune.ID]*page.Logo {
	made := map[commune.ID]*page.Logo{}
	for _, c := range in.communes.All() {
		if c.Theme.Logo == "" {
			continue
		}
		l, err := readLogo(c.Theme.Logo)
		if err != nil {
			in.log.Error("a logo is left out", "commune", c.ID, "error", err)
			continue
		}
		made[c.ID] = l
	}
	return made
}

func readLogo(path string) (*page.Logo, error) {
	file, err := readLimited(path, page.LogoBytes)
	if err != nil {
		return nil, fmt.Errorf("theme.logo: %w", err)
	}
	l, err := page.ReadLogo(file)
	if err != nil {
		return nil, fmt.Errorf("theme.logo: %s: %w", path, err)
	}
	return l, nil
}

// issuerFor is the provider's address of the same scheme: a local world has both,
// and a browser that trusts one need not trust the other.
func (in *install) issuerFor(origin string) string {
	scheme, _, _ := strings.Cut(origin, "://")
	for _, i := range in.settings.Provider.Issuers {
		if strings.HasPrefix(i, scheme+"://") {
			return i
		}
	}
	return in.settings.Provider.Issuers[0]
}

// providerRoots vouch for the provider's TLS certificate; nil leaves it to the system.
func (in *install) providerRoots() (*x509.CertPool, error) {
	if in.settings.Provider.Roots == "" {
		return nil, nil
	}
	pool, err := readPool(in.settings.Provider.Roots)
	if err != nil {
		return nil, fmt.Errorf("provider.roots: %w", err)
	}
	return pool, nil
}
