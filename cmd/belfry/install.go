package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/blob/s3"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid/trust"
	"github.com/belfry-eid/belfry/internal/fetch"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/kv/redis"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/notice/smtp"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/deferred"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/seal"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// install is what the settings lead to, opened: each part of the house that needs
// a file, a database, a token or a network.
type install struct {
	settings *Settings
	log      *slog.Logger
	secret   []byte // of server.key_file
	communes *commune.Communes
	db       *sqldb.DB
	kv       kv.Store
	blobs    blob.Store
	audit    *audit.Log
	issuing  *seal.Sealer                  // what seals orders, once they are served
	closers  []func() error                // in the order of opening
	purges   []func(context.Context) error // what forgets what has expired
}

// open makes what every command needs: secret, communes, database, files, journal. It
// refuses data of a restore that did not come to its end.
func open(ctx context.Context, s *Settings, log *slog.Logger) (*install, error) {
	if err := errors.Join(s.notAsRoot(), s.restoredWhole()); err != nil {
		return nil, err
	}
	return openParts(ctx, s, log)
}

func openParts(ctx context.Context, s *Settings, log *slog.Logger) (_ *install, err error) {
	in := &install{settings: s, log: log}
	for name, value := range s.Environment {
		os.Setenv(name, value) // cgo hands it on to the PKCS#11 libraries
	}
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	if in.secret, err = s.installKey(); err != nil {
		return nil, fmt.Errorf("server.key_file: %w", err)
	}
	if in.communes, err = commune.NewCommunes(s.Communes); err != nil {
		return nil, err
	}
	if in.db, err = sqldb.Open(ctx, s.Database.URL); err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	in.onClose(in.db.Close)
	if in.kv, err = in.openKV(); err != nil {
		return nil, err
	}
	if in.blobs, err = s.openBlobs(); err != nil {
		return nil, err
	}
	in.audit, err = audit.New(in.db, filepath.Join(s.Server.Data, "heads"))
	return in, err
}

// openKV opens what keeps sessions: Redis where the settings name one, else the database.
func (in *install) openKV() (kv.Store, error) {
	r := in.settings.Redis
	if r == nil {
		return kv.NewSQL(in.db, clock.System)
	}
	cfg := redis.Config{
		Addresses: r.Addresses, Primary: r.Primary, Cluster: r.Cluster, Database: r.Database,
		Prefix: r.Prefix, Username: r.Username, Clock: clock.System,
	}
	for file, password := range map[string]*string{r.PasswordFile: &cfg.Password, r.SentinelPasswordFile: &cfg.SentinelPassword} {
		if file == "" {
			continue
		}
		var err error
		if *password, err = readSecret(file); err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	if r.Roots != "" {
		pool, err := readPool(r.Roots)
		if err != nil {
			return nil, fmt.Errorf("redis.roots: %w", err)
		}
		cfg.Roots = pool
	}
	store, err := redis.New(cfg)
	if err != nil {
		return nil, err
	}
	in.onClose(store.Close)
	return store, nil
}

// openBlobs opens what keeps the documents: an S3-compatible store where the settings name
// one, else a folder.
func (s *Settings) openBlobs() (blob.Store, error) {
	if s.S3 == nil {
		store, err := blob.NewDir(filepath.Join(s.Server.Data, backupBlobs))
		if err != nil {
			return nil, fmt.Errorf("server.data: %w", err)
		}
		return store, nil
	}
	secret, err := readSecret(s.S3.SecretKeyFile)
	if err != nil {
		return nil, fmt.Errorf("s3.secret_key_file: %w", err)
	}
	scheme, host, _ := strings.Cut(s.S3.Endpoint, "://")
	cfg := s3.Config{
		Endpoint: strings.TrimSuffix(host, "/"), Plain: scheme == "http", Region: s.S3.Region, Bucket: s.S3.Bucket, Prefix: s.S3.Prefix,
		AccessKey: s.S3.AccessKey, SecretKey: secret,
	}
	if s.S3.Roots != "" {
		if cfg.Roots, err = readPool(s.S3.Roots); err != nil {
			return nil, fmt.Errorf("s3.roots: %w", err)
		}
	}
	return s3.New(cfg)
}

func (in *install) onClose(f func() error) { in.closers = append(in.closers, f) }

// Close ends every part, the last opened first.
func (in *install) Close() error {
	var faults []error
	for i := len(in.closers) - 1; i >= 0; i-- {
		faults = append(faults, in.closers[i]())
	}
	in.closers = nil
	return errors.Join(faults...)
}

// sealer opens the tokens of the keys of one kind, the timestamp authorities and who
// proves certificates. level, where not empty, takes the place of the settings'.
func (in *install) sealer(kind signing.GrantKind, level string) (*seal.Sealer, error) {
	return in.sealerOf(kind, slices.DeleteFunc(slices.Clone(in.settings.Seals), func(k SealSettings) bool { return k.Operator != (kind == signing.Operator) }), level)
}

// proofs seals what people take away of their orders; nil where no commune has a key for it.
func (in *install) proofs() (orders.Sealer, error) {
	var own []SealSettings
	for _, k := range in.settings.Seals {
		if k.Proofs {
			k.Mark = nil // its place may be taken by what is written
			own = append(own, k)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	return in.sealerOf(signing.Operator, own, "")
}

func (in *install) sealerOf(kind signing.GrantKind, seals []SealSettings, level string) (*seal.Sealer, error) {
	keys := map[commune.ID]seal.Key{}
	for _, k := range seals {
		if level != "" {
			k.Level = level
		}
		key, err := in.sealKey(k, kind)
		if err != nil {
			return nil, fmt.Errorf("[[seal]] of %s: %w", k.Commune, err)
		}
		keys[k.Commune] = key
	}
	stamper, err := in.stamper()
	if err != nil {
		return nil, err
	}
	extender, err := in.extender(stamper)
	if err != nil {
		return nil, fmt.Errorf("lasting: %w", err)
	}
	return seal.New(seal.Config{
		DB: in.db, Blobs: in.blobs, Audit: in.audit, Clock: clock.System,
		Keys: keys, Stamper: stamper, Extender: extender,
		Specimen: func(id commune.ID, c *x509.Certificate) bool { return isTest(c) || in.training(id) },
	})
}

// lasting is a sealer without keys, which knows how the finished documents stand.
func (in *install) lasting() (*seal.Sealer, error) {
	extender, err := in.extender(nil)
	if err != nil {
		return nil, err
	}
	return seal.New(seal.Config{DB: in.db, Blobs: in.blobs, Audit: in.audit, Clock: clock.System, Extender: extender})
}

// extender makes documents last; nil where the settings name nobody who proves certificates.
func (in *install) extender(stamper signing.Stamper) (*ltv.Extender, error) {
	l := in.settings.Lasting
	if len(l.Hosts) == 0 {
		return nil, nil
	}
	policy, err := l.policy()
	if err != nil {
		return nil, err
	}
	cfg := ltv.Config{Stamper: stamper, Clock: clock.System, Policy: policy}
	if cfg.Fetch, err = fetch.New(fetch.Config{Hosts: l.Hosts, Limit: 16 << 20}); err != nil {
		return nil, err
	}
	for _, k := range in.settings.Seals {
		for _, t := range k.tokens() {
			chain, err := readCertificates(t.Chain)
			if err != nil {
				return nil, fmt.Errorf("chain: %w", err)
			}
			last := len(chain) - 1
			cfg.Roots, cfg.Intermediates = append(cfg.Roots, chain[last]), append(cfg.Intermediates, chain[:last]...)
		}
	}
	roots := []string{in.settings.Cards.Roots, l.Roots}
	for _, s := range in.settings.Stamps {
		roots = append(roots, s.Roots)
	}
	for _, more := range []struct {
		files []string
		to    *[]*x509.Certificate
	}{{roots, &cfg.Roots}, {[]string{in.settings.Cards.Intermediates, l.Intermediates}, &cfg.Intermediates}} {
		for _, file := range more.files {
			if file == "" {
				continue
			}
			list, err := readCertificates(file)
			if err != nil {
				return nil, err
			}
			*more.to = append(*more.to, list...)
		}
	}
	return ltv.New(cfg)
}

// sealKey opens a key in its tokens.
func (in *install) sealKey(k SealSettings, kind signing.GrantKind) (seal.Key, error) {
	key := seal.Key{Kind: kind, Level: k.Level}
	for _, settings := range k.tokens() {
		token, err := in.sealToken(settings)
		if err != nil {
			return seal.Key{}, err
		}
		key.Tokens = append(key.Tokens, token)
	}
	var err error
	if key.Visible, err = k.Mark.visible(key.Tokens[0].Chain[0].Subject.CommonName, in.language(k.Commune)); err != nil {
		return seal.Key{}, fmt.Errorf("mark: %w", err)
	}
	return key, nil
}

// sealToken opens one token. One that is away, or hangs, is no error here: the service
// does all its other work without, and orders wait for it.
func (in *install) sealToken(k SealSettings) (seal.Token, error) {
	chain, err := readCertificates(k.Chain)
	if err != nil {
		return seal.Token{}, fmt.Errorf("chain: %w", err)
	}
	if !in.settings.Test && isTest(chain[0]) {
		return seal.Token{}, errors.New("chain: this is a test certificate (set test = true for a local world)")
	}
	key := in.tokenKey(k, chain[0].PublicKey)
	in.onClose(key.Close)
	if err := key.readyWithin(tokenPatience); err != nil {
		if !away(err) {
			return seal.Token{}, err
		}
		in.log.Warn("the token of a seal is away", "commune", k.Commune, "token", k.Token, "error", err)
	}
	return seal.Token{Signer: key, Chain: chain, PSS: k.PSS, Calls: k.Sessions}, nil
}

// language is the first in which a commune issues documents.
func (in *install) language(id commune.ID) i18n.Language {
	if c, ok := in.communes.ByID(id); ok {
		return c.DocumentLanguages()[0] // commune.Check wants one
	}
	return i18n.French
}

// training says whether a commune is there to practise in.
func (in *install) training(id commune.ID) bool {
	c, ok := in.communes.ByID(id)
	return ok && c.Training
}

// isTest says whether a certificate comes from a made-up PKI of testcerts, all of
// whose names begin with "Belfry Test".
func isTest(c *x509.Certificate) bool {
	for _, name := range append(append([]string{c.Issuer.CommonName, c.Subject.CommonName}, c.Issuer.Organization...), c.Subject.Organization...) {
		if strings.HasPrefix(name, "Belfry Test") {
			return true
		}
	}
	return false
}

func (in *install) stamper() (*tsa.Client, error) {
	var list []tsa.Authority
	for _, s := range in.settings.Stamps {
		roots, err := readCertificates(s.Roots)
		if err != nil {
			return nil, fmt.Errorf("[[stamp]] %s: roots: %w", s.URL, err)
		}
		list = append(list, tsa.Authority{URL: s.URL, Roots: roots})
	}
	return tsa.New(tsa.Config{Authorities: list, Clock: clock.System})
}

// cards makes the verifier of citizens' certificates.
func (in *install) cards() (*trust.Verifier, error) {
	s := in.settings.Cards
	roots, err := readCertificates(s.Roots)
	if err != nil {
		return nil, fmt.Errorf("cards.roots: %w", err)
	}
	for _, r := range roots {
		if !in.settings.Test && isTest(r) {
			return nil, fmt.Errorf("cards.roots: %q is a test certificate (set test = true for a local world)", r.Subject.CommonName)
		}
	}
	var known []*x509.Certificate
	if s.Intermediates != "" {
		if known, err = readCertificates(s.Intermediates); err != nil {
			return nil, fmt.Errorf("cards.intermediates: %w", err)
		}
	}
	return trust.New(trust.Config{Roots: roots, Intermediates: known, Hosts: s.Hosts, Clock: clock.System, MaxAge: s.MaxAge})
}

func (in *install) renderer() (*document.Typst, error) {
	r := in.settings.Renderer
	typst, err := document.NewTypst(document.TypstConfig{Node: r.Node, Modules: r.Modules, Log: in.log})
	if err != nil {
		return nil, fmt.Errorf("renderer: %w", err)
	}
	in.onClose(typst.Close)
	return typst, nil
}

// orders makes the service and the queue of its jobs, which the caller starts.
func (in *install) orders(ctx context.Context) (*orders.Service, *jobs.Queue, error) {
	queue, err := jobs.New(in.db, in.log)
	if err != nil {
		return nil, nil, err
	}
	sealer, err := in.sealer(signing.Approval, "")
	if err != nil {
		return nil, nil, err
	}
	in.issuing = sealer
	people, err := in.register()
	if err != nil {
		return nil, nil, err
	}
	sources, err := in.sources()
	if err != nil {
		return nil, nil, err
	}
	renderer, err := in.renderer()
	if err != nil {
		return nil, nil, err
	}
	mailer, err := in.mailer()
	if err != nil {
		return nil, nil, fmt.Errorf("mail: %w", err)
	}
	signatures, err := in.signatures(ctx)
	if err != nil {
		return nil, nil, err
	}
	proofs, err := in.proofs()
	if err != nil {
		return nil, nil, err
	}
	service, err := orders.New(ctx, orders.Config{
		DB: in.db, Blobs: in.blobs, Audit: in.audit, Jobs: queue, Clock: clock.System, Communes: in.communes,
		Register: people, Sources: sources, Papers: outside.Reader{}, Renderer: renderer, Sealer: sealer, Proofs: proofs, Signatures: signatures, Secret: in.derive("orders"), Mailer: mailer,
	})
	return service, queue, err
}

// clerksSign says whether any commune has clerks sign with their own cards.
func (in *install) clerksSign() bool {
	return slices.ContainsFunc(in.communes.All(), (*commune.Commune).ClerksMaySign)
}

// signatures puts clerks' own signatures on papers; nil where no commune wants them.
func (in *install) signatures(ctx context.Context) (orders.Signatures, error) {
	if !in.clerksSign() {
		return nil, nil
	}
	cards, err := in.cards()
	if err != nil {
		return nil, err
	}
	s, err := deferred.New(ctx, deferred.Config{DB: in.db, Blobs: in.blobs, Audit: in.audit, Clock: clock.System, Authority: cards})
	if err != nil {
		return nil, err
	}
	in.purges = append(in.purges, s.Purge)
	return s, nil
}

// mailer is nil where the settings name no server.
func (in *install) mailer() (notice.Mailer, error) {
	if in.settings.Mail.SMTP == "" {
		return nil, nil
	}
	return smtp.New(in.settings.Mail.SMTP, in.settings.Mail.From)
}

// derive is the key of one room: rooms share the file, never a key (RFC 5869).
func (in *install) derive(room string) []byte {
	key, err := hkdf.Key(sha256.New, in.secret, nil, "belfry "+room, 32)
	if err != nil {
		panic(err) // only a length beyond 255 hashes fails
	}
	return key
}

// clientKey is the key by which a commune's portal proves itself to the provider.
// Being derived it needs no file, and both ends know it after a restore.
func (in *install) clientKey(id commune.ID) (*ecdsa.PrivateKey, error) {
	for try := 0; ; try++ {
		// A string of 32 bytes is no valid scalar once in 2³² times.
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), in.derive(fmt.Sprintf("client %s %d", id, try)))
		if err == nil || try == 8 {
			return key, err
		}
	}
}
