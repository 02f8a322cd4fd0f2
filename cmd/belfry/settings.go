package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/loopback"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/ltv"
)

// Settings is the one file of an install. Its comments are the manual; an unknown
// key is refused. Relative paths start at the file's own folder. Secrets are
// paths of files, never values.
type Settings struct {
	// Test accepts plain http, test certificates and test keys; every document then
	// carries SPECIMEN. Never true where real people sign in.
	Test     bool             `toml:"test"`
	Server   ServerSettings   `toml:"server"`
	Database DatabaseSettings `toml:"database"`
	// S3 keeps the documents where several nodes serve; without it server.data does.
	S3 *S3Settings `toml:"s3"`
	// Redis keeps sessions where several nodes serve; without it the database does.
	Redis    *RedisSettings   `toml:"redis"`
	Provider ProviderSettings `toml:"provider"`
	Cards    CardSettings     `toml:"cards"`
	Seals    []SealSettings   `toml:"seal"`
	// Federal are the communes' agreements with the federal service.
	Federal []FederalSettings `toml:"federal"`
	// Upstream are the communes' registrations at OpenID providers elsewhere.
	Upstream []UpstreamSettings `toml:"upstream"`
	// Environment variables that the tokens' PKCS#11 libraries read, for example
	// SOFTHSM2_CONF; they are set before the first library is loaded.
	Environment map[string]string `toml:"environment"`
	Stamps      []StampSettings   `toml:"stamp"`
	Register    RegisterSettings  `toml:"register"`
	// Sources are registers that give papers sealed by themselves.
	Sources  []SourceSettings `toml:"source"`
	Mail     MailSettings     `toml:"mail"`
	Renderer RendererSettings `toml:"renderer"`
	// Lists are the European trusted lists.
	Lists ListSettings `toml:"trusted_lists"`
	// Verification says how far others' files are looked into.
	Verification VerificationSettings `toml:"verification"`
	// Lasting says what makes documents last, for seals of level B-LT and B-LTA.
	Lasting LastingSettings `toml:"lasting"`
	// Clients are other applications that sign people in here, one [[client]] each. The
	// communes' own portals are registered without being listed.
	Clients []client.Settings `toml:"client"`
	// Communes this install serves, one [[commune]] each.
	Communes []*commune.Commune `toml:"commune"`

	file   string // where the settings were read from
	folder string // the file's own, for relative paths
}

// ServerSettings say where the process listens and keeps its files.
type ServerSettings struct {
	// Listen is the address people's requests come to, "127.0.0.1:8081" or "unix:/run/belfry.sock";
	// a proxy with TLS stands before it, or TLS is set.
	Listen string `toml:"listen"`
	// TLS is the service's own; nothing where a proxy has it.
	TLS *TLSSettings `toml:"tls"`
	// Operator is where /healthz, /readyz and /metrics answer. Not for the public.
	Operator string `toml:"operator"`
	// Proxies are the addresses (CIDR) whose X-Forwarded-Proto and -For count.
	Proxies []netip.Prefix `toml:"proxies"`
	// Data is the folder of the documents (blobs) and of the journals' heads.
	Data string `toml:"data"`
	// KeyFile holds the install's secret, 64 hexadecimal digits, mode 0400. National
	// numbers, sessions and the provider's keys are sealed under keys derived from
	// it: a backup of the database is worth nothing without it, nor the reverse.
	KeyFile string `toml:"key_file"`
}

// DatabaseSettings name the one database.
type DatabaseSettings struct {
	// URL is "sqlite:belfry.db" or "postgres://user@host/name".
	URL string `toml:"url"`
}

// S3Settings name the S3-compatible store that keeps the documents.
type S3Settings struct {
	// Endpoint is "https://s3.example.be"; plain http is refused but on this machine.
	Endpoint      string `toml:"endpoint"`
	Region        string `toml:"region"` // "us-east-1" where empty
	Bucket        string `toml:"bucket"` // which exists, and keeps old versions or not as you like
	Prefix        string `toml:"prefix"` // of every object
	AccessKey     string `toml:"access_key"`
	SecretKeyFile string `toml:"secret_key_file"`
	Roots         string `toml:"roots"` // PEM file of the CA of its certificate, where the system does not know it
}

// RedisSettings name the Redis that keeps sessions, limits and caches.
type RedisSettings struct {
	// Addresses are "host:port": one server; the sentinels, where primary is set; some
	// nodes of a cluster, where cluster is true.
	Addresses            []string `toml:"addresses"`
	Primary              string   `toml:"primary"` // the name by which the sentinels know it
	Cluster              bool     `toml:"cluster"`
	Database             int      `toml:"database"`
	Prefix               string   `toml:"prefix"` // of every key; "belfry:" where empty
	Username             string   `toml:"username"`
	PasswordFile         string   `toml:"password_file"`
	SentinelPasswordFile string   `toml:"sentinel_password_file"`
	Roots                string   `toml:"roots"` // PEM file of the CA of its certificates: connections are then made by TLS
}

// ProviderSettings are those of the OpenID provider.
type ProviderSettings struct {
	// Issuers are the provider's addresses, the first is the one for new clients. An
	// install on the internet has one; a local world has the same over http and https.
	Issuers []string `toml:"issuers"`
	// AgentPorts on which eid-agent may answer on a citizen's machine.
	AgentPorts []int `toml:"agent_ports"`
	// Roots is a PEM file of the CA that vouches for the provider's own TLS
	// certificate, where that is none the system knows; may be empty.
	Roots string `toml:"roots"`
}

// CardSettings say which cards are believed.
type CardSettings struct {
	Roots         string        `toml:"roots"`         // PEM file of the pinned root certificates
	Intermediates string        `toml:"intermediates"` // PEM file of CAs already known; may be empty
	Hosts         []string      `toml:"hosts"`         // host:port of OCSP, CRL and CA files that may be asked; the federal ones where empty
	MaxAge        time.Duration `toml:"-"`
	MaxAgeText    string        `toml:"max_age"` // how old a status answer may be, "12h" where empty
}

// SealSettings name the key that seals a commune's documents; one [[seal]] each.
type SealSettings struct {
	Commune commune.ID `toml:"commune"`
	Module  string     `toml:"module"` // PKCS#11 library of the token
	Token   string     `toml:"token"`  // label of the token
	Serial  string     `toml:"serial"` // serial number of the token; may be empty where the label is unique
	Key     string     `toml:"key"`    // label of the key and of its certificate
	PINFile string     `toml:"pin_file"`
	Chain   string     `toml:"chain"` // PEM file: the seal's certificate first, then its CAs
	// Operator marks the key for `belfry seal`; the key that issues documents never
	// serves anything else (docs/adr/0004).
	Operator bool `toml:"operator"`
	// Proofs has the operator's key also seal what people take away of their own orders:
	// the service then calls it, and needs its PIN.
	Proofs bool `toml:"proofs"`
	// Level at which documents are sealed: "B-B", the signature alone; "B-T", with a
	// timestamp; "B-LT", with what proves its certificates valid; "B-LTA", with a
	// timestamp upon all of it, which is renewed. "B-T" where empty. The key that issues
	// documents never does so at "B-B".
	Level string `toml:"level"`
	// PSS has an RSA key sign with RSASSA-PSS, which some old readers cannot verify.
	PSS      bool `toml:"pss"`
	Sessions int  `toml:"sessions"` // how many signatures the token makes at once; 4 where 0
	// Spares are other tokens, in the order in which they are called where the ones
	// before do not answer, or their certificate is no longer good.
	Spares []SpareSettings `toml:"spare"`
	// Mark is the box that shows the seal on the page; nothing is shown without it.
	Mark *MarkSettings `toml:"mark"`
}

// SpareSettings name another token of a seal.
type SpareSettings struct {
	Module  string `toml:"module"`
	Token   string `toml:"token"`
	Serial  string `toml:"serial"`
	Key     string `toml:"key"`
	PINFile string `toml:"pin_file"`
	Chain   string `toml:"chain"` // of a key of its own; the seal's where the key is the same
	PSS     bool   `toml:"pss"`
}

// tokens are the seal's tokens, each as if it were the only one.
func (k SealSettings) tokens() []SealSettings {
	list := []SealSettings{k}
	for _, s := range k.Spares {
		one := k
		one.Module, one.Token, one.Serial, one.Key, one.PINFile = s.Module, s.Token, s.Serial, s.Key, s.PINFile
		if s.Chain != "" {
			one.Chain, one.PSS = s.Chain, s.PSS
		}
		list = append(list, one)
	}
	return list
}

// LastingSettings say who proves certificates valid, and when documents are renewed.
type LastingSettings struct {
	// Hosts (host or host:port) of OCSP, CRL and CA files that may be asked: those of the
	// seals' and timestamp authorities' issuers.
	Hosts []string `toml:"hosts"`
	// Roots and Intermediates are PEM files of certificates besides those of the seals'
	// chains, of [[stamp]] and of [cards]; may be empty.
	Roots         string `toml:"roots"`
	Intermediates string `toml:"intermediates"`
	// Grace wants statements that were made after the timestamp: documents then wait for
	// the next revocation list where there is no OCSP.
	Grace bool `toml:"grace"`
	// RenewBefore is how long before the end of its last timestamp a document is stamped
	// again; "2160h", 90 days, where empty.
	RenewBefore string `toml:"renew_before"`
	// Ends are the days after which an algorithm no longer proves anything, for example
	// "RSA-2048" = "2029-12-31": documents that rest on it are stamped again before. Where
	// it is that of "SHA-256" stamps are upon SHA-384.
	Ends map[string]string `toml:"ends"`
}

// policy is what the settings say about proofs.
func (l LastingSettings) policy() (p ltv.Policy, err error) {
	p.AfterStamp = l.Grace
	if l.RenewBefore != "" {
		if p.Lead, err = time.ParseDuration(l.RenewBefore); err != nil || p.Lead <= 0 {
			return p, fmt.Errorf("lasting.renew_before: %q is no time like \"2160h\"", l.RenewBefore)
		}
	}
	p.Ends = map[string]time.Time{}
	for name, day := range l.Ends {
		if p.Ends[name], err = time.ParseInLocation(time.DateOnly, day, i18n.Brussels()); err != nil {
			return p, fmt.Errorf("lasting.ends: %s: %w", name, err)
		}
	}
	return p, nil
}

// StampSettings name a timestamp authority; the next is asked when one fails.
type StampSettings struct {
	URL   string `toml:"url"`
	Roots string `toml:"roots"` // PEM file of the certificates it must chain to
}

// VerificationSettings say how far others' files are looked into.
type VerificationSettings struct {
	// Online asks the issuers of certificates whether they are revoked, where a file
	// itself does not prove it.
	Online bool `toml:"online"`
	// Hosts that may be asked, "host" or "host:port"; those of the Belgian eID where
	// empty. Files name the addresses, so nobody else is asked.
	Hosts []string `toml:"hosts"`
}

// RegisterSettings name the source of people's data. Without it clerks look people up in the
// commune's own software, and attach the papers that it makes.
type RegisterSettings struct {
	URL       string `toml:"url"`
	TokenFile string `toml:"token_file"`
}

// MailSettings name the server that takes our mails; none are sent where SMTP is empty.
type MailSettings struct {
	SMTP string `toml:"smtp"` // host:port
	From string `toml:"from"`
}

// RendererSettings say where Typst is found.
type RendererSettings struct {
	Node    string `toml:"node"`    // the node program; "node" where empty
	Modules string `toml:"modules"` // the node_modules folder that holds Typst
}

// loadSettings reads and checks the file; an error names the key to mend.
func loadSettings(path string) (*Settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Settings{}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, settingsError(path, err)
	}
	if s.file, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	s.folder = filepath.Dir(s.file)
	s.defaults()
	return s, s.check()
}

// settingsError turns the decoder's findings into one line each: file, line, key.
func settingsError(path string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []error
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown setting %q", path, row, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, _ := bad.Position()
		return fmt.Errorf("%s:%d: %s: %w", path, row, strings.Join(bad.Key(), "."), err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func (s *Settings) defaults() {
	for _, p := range []*string{&s.Server.Data, &s.Server.KeyFile, &s.Cards.Roots, &s.Cards.Intermediates, &s.Provider.Roots, &s.Register.TokenFile, &s.Renderer.Modules, &s.Lasting.Roots, &s.Lasting.Intermediates, &s.Lists.Signers} {
		*p = s.path(*p)
	}
	if t := s.Server.TLS; t != nil {
		t.Certificate, t.Key = s.path(t.Certificate), s.path(t.Key)
	}
	if o := s.S3; o != nil {
		o.SecretKeyFile, o.Roots = s.path(o.SecretKeyFile), s.path(o.Roots)
	}
	if r := s.Redis; r != nil {
		r.PasswordFile, r.SentinelPasswordFile, r.Roots = s.path(r.PasswordFile), s.path(r.SentinelPasswordFile), s.path(r.Roots)
	}
	for i := range s.Seals {
		s.Seals[i].PINFile, s.Seals[i].Chain = s.path(s.Seals[i].PINFile), s.path(s.Seals[i].Chain)
		for j := range s.Seals[i].Spares {
			spare := &s.Seals[i].Spares[j]
			spare.PINFile, spare.Chain = s.path(spare.PINFile), s.path(spare.Chain)
		}
		if s.Seals[i].Level == "" {
			s.Seals[i].Level = signing.LevelBT
		}
		if m := s.Seals[i].Mark; m != nil {
			m.Picture = s.path(m.Picture)
		}
	}
	for _, c := range s.Communes {
		c.Theme.Logo = s.path(c.Theme.Logo)
	}
	for i := range s.Sources {
		src := &s.Sources[i]
		src.TokenFile, src.Roots, src.StampRoots = s.path(src.TokenFile), s.path(src.Roots), s.path(src.StampRoots)
	}
	for i := range s.Stamps {
		s.Stamps[i].Roots = s.path(s.Stamps[i].Roots)
	}
	for i := range s.Clients {
		s.Clients[i].JWKSFile = s.path(s.Clients[i].JWKSFile)
	}
	if file, ok := strings.CutPrefix(s.Database.URL, "sqlite:"); ok {
		s.Database.URL = "sqlite:" + s.path(file)
	}
	if s.Renderer.Node == "" {
		s.Renderer.Node = "node"
	}
	if s.Cards.MaxAgeText == "" {
		s.Cards.MaxAgeText = "12h"
	}
}

// path makes p absolute from the settings file's folder; "" stays "".
func (s *Settings) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.folder, p)
}

// check finds what cannot work before anything is opened. What needs the world is `belfry check`'s.
func (s *Settings) check() error {
	var faults []error
	need := func(key, value string) {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s is missing", key))
		}
	}
	need("server.listen", s.Server.Listen)
	need("server.data", s.Server.Data)
	need("server.key_file", s.Server.KeyFile)
	if t := s.Server.TLS; t != nil {
		need("server.tls.certificate", t.Certificate)
		need("server.tls.key", t.Key)
	}
	if o := s.S3; o != nil {
		need("s3.bucket", o.Bucket)
		need("s3.access_key", o.AccessKey)
		need("s3.secret_key_file", o.SecretKeyFile)
		if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback.Is(u.Hostname())) {
			faults = append(faults, fmt.Errorf("s3.endpoint %q: an address like https://s3.example.be; plain http on this machine alone", o.Endpoint))
		}
	}
	need("database.url", s.Database.URL)
	need("cards.roots", s.Cards.Roots)
	need("renderer.modules", s.Renderer.Modules)
	if s.Lists.LOTL != "" {
		need("trusted_lists.signers", s.Lists.Signers)
	}
	if len(s.Provider.Issuers) == 0 {
		faults = append(faults, errors.New("provider.issuers is missing"))
	}
	if len(s.Stamps) == 0 {
		faults = append(faults, errors.New("no [[stamp]]: documents are issued with a timestamp or not at all"))
	}
	var err error
	if s.Cards.MaxAge, err = time.ParseDuration(s.Cards.MaxAgeText); err != nil {
		faults = append(faults, fmt.Errorf("cards.max_age: %w", err))
	}
	if _, err := commune.NewCommunes(s.Communes); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(append(faults, s.checkOrigins(), s.checkSeals(), s.checkFederal(), s.checkUpstream(), s.checkWays(), s.checkSources())...)
}

// checkOrigins refuses plain http in production.
func (s *Settings) checkOrigins() error {
	var faults []error
	origins := append([]string{}, s.Provider.Issuers...)
	for _, c := range s.Communes {
		origins = append(origins, c.Origins...)
	}
	for _, o := range origins {
		if _, err := commune.HostOf(o); err != nil {
			faults = append(faults, err)
		}
		if !s.Test && !strings.HasPrefix(o, "https://") {
			faults = append(faults, fmt.Errorf("%s: production needs https (set test = true for a local world)", o))
		}
	}
	return errors.Join(faults...)
}

func (s *Settings) checkSeals() error {
	var faults []error
	for _, k := range s.Seals {
		if !slices.ContainsFunc(s.Communes, func(c *commune.Commune) bool { return c.ID == k.Commune }) {
			faults = append(faults, fmt.Errorf("[[seal]] of %s: no such [[commune]]", k.Commune))
		}
		for _, t := range k.tokens() {
			if t.Module == "" || t.Token == "" || t.Key == "" || t.PINFile == "" || t.Chain == "" {
				faults = append(faults, fmt.Errorf("[[seal]] of %s: module, token, key, pin_file and chain are all needed, of each spare too", k.Commune))
			}
		}
		switch {
		case !slices.Contains(signing.Levels, k.Level):
			faults = append(faults, fmt.Errorf("[[seal]] of %s: level %q is none of %s", k.Commune, k.Level, strings.Join(signing.Levels, ", ")))
		case k.Proofs && !k.Operator:
			faults = append(faults, fmt.Errorf("[[seal]] of %s: the key that issues documents seals nothing else: proofs = true is for a key with operator = true", k.Commune))
		case k.Level == signing.LevelBB && !k.Operator:
			faults = append(faults, fmt.Errorf("[[seal]] of %s: documents are issued with a timestamp or not at all, not at level %s", k.Commune, k.Level))
		case signing.Reaches(k.Level, signing.LevelBLT) && len(s.Lasting.Hosts) == 0:
			faults = append(faults, fmt.Errorf("[[seal]] of %s: level %s needs lasting.hosts, who prove certificates valid", k.Commune, k.Level))
		}
	}
	if _, err := s.Lasting.policy(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// hosts are all that people's browsers ask for, without ports.
func (s *Settings) hosts() []string {
	var list []string
	origins := slices.Clone(s.Provider.Issuers)
	for _, c := range s.Communes {
		origins = append(origins, c.Origins...)
	}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err == nil && !slices.Contains(list, u.Hostname()) {
			list = append(list, u.Hostname())
		}
	}
	return list
}

// seal is the key of a commune: the one that issues, or the operator's.
func (s *Settings) seal(id commune.ID, operator bool) (SealSettings, bool) {
	for _, k := range s.Seals {
		if k.Commune == id && k.Operator == operator {
			return k, true
		}
	}
	return SealSettings{}, false
}

// installKey reads the secret of server.key_file.
func (s *Settings) installKey() ([]byte, error) {
	text, err := readSecret(s.Server.KeyFile)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: 64 hexadecimal digits are expected (make one: openssl rand -hex 32)", s.Server.KeyFile)
	}
	return key, nil
}

// readSecret reads a file that only its owner may read, without its last line end.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: others may read this secret (chmod 400 %s)", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// readPool reads a PEM file of certificates to be believed.
func readPool(path string) (*x509.CertPool, error) {
	list, err := readCertificates(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AddCert(c)
	}
	return pool, nil
}

// readCertificates reads every certificate of a PEM file.
func readCertificates(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no certificate in it", path)
	}
	return list, nil
}
