package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/p11"
)

type keyCmd struct {
	Make makeKeyCmd `cmd:"" help:"Make a key pair in a token and a request for its certificate, to be sent to an authority."`
	Use  useKeyCmd  `cmd:"" help:"Take the certificate that the authority has issued: into the token and into the settings."`
}

// tokenFlags say where a commune's key is.
type tokenFlags struct {
	settingsFlag
	Commune  commune.ID `arg:"" help:"The commune's id."`
	Module   string     `required:"" type:"path" help:"PKCS#11 library of the token."`
	Token    string     `required:"" help:"Label of the token."`
	Serial   string     `help:"Serial number of the token, where its label is not unique."`
	Key      string     `default:"seal" help:"Label of the key."`
	PINFile  string     `required:"" type:"path" name:"pin-file" help:"File with the token's PIN, which only the service may read."`
	Operator bool       `help:"The key for belfry seal, which never issues documents."`
}

// open opens the token; the caller closes it by what comes second.
func (f *tokenFlags) open(s *Settings) (*p11.Token, func(), error) {
	for name, value := range s.Environment {
		os.Setenv(name, value)
	}
	pin, err := p11.ReadPINFile(f.PINFile)
	if err != nil {
		return nil, nil, fmt.Errorf("--pin-file: %w", err)
	}
	defer pin.Wipe()
	module, err := p11.Load(f.Module)
	if err != nil {
		return nil, nil, fmt.Errorf("--module: %w", err)
	}
	token, err := module.Open(p11.Selector{Label: f.Token, Serial: f.Serial}, pin)
	if err != nil {
		module.Close()
		return nil, nil, fmt.Errorf("token %q: %w", f.Token, err)
	}
	return token, func() { token.Close(); module.Close() }, nil
}

// home finds the commune in the settings.
func (f *tokenFlags) home() (*Settings, *commune.Commune, error) {
	s, err := f.load()
	if err != nil {
		return nil, nil, err
	}
	for _, c := range s.Communes {
		if c.ID == f.Commune {
			return s, c, nil
		}
	}
	return nil, nil, fmt.Errorf("no commune %q in the settings: belfry commune add", f.Commune)
}

type makeKeyCmd struct {
	tokenFlags
	Kind         p11.KeyKind `default:"p256" enum:"rsa2048,rsa3072,rsa4096,p256,p384,p521" help:"rsa2048, rsa3072, rsa4096, p256, p384 or p521."`
	Organisation string      `help:"Official name of the commune, as the authority knows it; the settings' where it is not given."`
	Number       string      `help:"The commune's number, for example NTRBE-0207123456 (EN 319 412-1 clause 5.1.4)."`
	Name         string      `help:"Name on the seal; the organisation's where it is not given."`
	Out          string      `type:"path" help:"Where the request is written; COMMUNE.csr where it is not given."`
}

// Run makes the key, which never leaves the token, and the request.
func (c *makeKeyCmd) Run() error {
	s, home, err := c.home()
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = string(c.Commune) + ".csr"
	}
	if _, err := os.Stat(c.Out); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name another with --out", c.Out)
	}
	token, done, err := c.open(s)
	if err != nil {
		return err
	}
	defer done()
	if _, err := token.GenerateKey(c.Key, c.Kind); err != nil {
		return fmt.Errorf("key %q: %w", c.Key, err)
	}
	key, err := token.Signer(c.Key)
	if err != nil {
		return fmt.Errorf("key %q: %w", c.Key, err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: c.subject(home)}, key)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if err := os.WriteFile(c.Out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), 0o644); err != nil {
		return err
	}
	fmt.Printf("key %q is in token %q. Send %s to the authority; with its answer:\n  belfry commune key use %s CHAIN.pem, and the same --module, --token, --key and --pin-file\n", c.Key, c.Token, c.Out, c.Commune)
	return nil
}

var organisationID = asn1.ObjectIdentifier{2, 5, 4, 97} // X.520 organizationIdentifier

func (c *makeKeyCmd) subject(home *commune.Commune) pkix.Name {
	name := pkix.Name{Country: []string{"BE"}, Organization: []string{c.Organisation}, CommonName: c.Name}
	if home.French() {
		name.Country = []string{"FR"}
	}
	if c.Organisation == "" {
		name.Organization = []string{home.NameIn(home.Languages()[0])}
	}
	if c.Name == "" {
		name.CommonName = name.Organization[0]
	}
	if c.Number != "" {
		name.ExtraNames = []pkix.AttributeTypeAndValue{{Type: organisationID, Value: c.Number}}
	}
	return name
}

type useKeyCmd struct {
	tokenFlags
	Chain string `arg:"" type:"existingfile" help:"PEM file of the authority: the seal's certificate first, then its CAs up to the root."`
	Level string `default:"B-T" enum:"B-T,B-LT,B-LTA" help:"Level of the documents: B-T, B-LT or B-LTA."`
}

// Run checks the chain against the key and writes it into the token and the settings.
func (c *useKeyCmd) Run() error {
	s, _, err := c.home()
	if err != nil {
		return err
	}
	chain, err := readCertificates(c.Chain)
	if err != nil {
		return err
	}
	if err := checkChain(chain, s.Test, time.Now()); err != nil {
		return fmt.Errorf("%s: %w", c.Chain, err)
	}
	token, done, err := c.open(s)
	if err != nil {
		return err
	}
	defer done()
	key, err := token.Signer(c.Key)
	if err != nil {
		return fmt.Errorf("key %q: %w", c.Key, err)
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(chain[0].PublicKey) {
		return fmt.Errorf("%s: its first certificate is another key's, not that of %q", c.Chain, c.Key)
	}
	if err := token.ImportCertificate(c.Key, chain[0].Raw); err != nil {
		return fmt.Errorf("the token does not take the certificate: %w", err)
	}
	return c.record(s, chain)
}

// record keeps the chain beside the settings and names the key in them.
func (c *useKeyCmd) record(s *Settings, chain []*x509.Certificate) error {
	file := filepath.Join("seals", string(c.Commune)+"-"+chain[0].SerialNumber.Text(16)+".pem")
	if err := writeChain(s.path(file), chain); err != nil {
		return err
	}
	if old, ok := s.seal(c.Commune, c.Operator); ok {
		fmt.Printf("%s has a [[seal]] in %s already (key %q of token %q). Change it by hand: key = %q, token = %q, chain = %q; then restart the service.\n",
			c.Commune, s.file, old.Key, old.Token, c.Key, c.Token, file)
		return nil
	}
	err := s.add(added{Seals: []addedSeal{{
		Commune: c.Commune, Module: c.Module, Token: c.Token, Serial: c.Serial, Key: c.Key, PINFile: c.PINFile, Chain: file, Operator: c.Operator, Level: c.Level,
	}}})
	if err != nil {
		return err
	}
	fmt.Printf("%s: documents of %s are sealed by %q until %s. Restart the service, then: belfry check\n",
		s.file, c.Commune, chain[0].Subject.CommonName, chain[0].NotAfter.In(i18n.Brussels()).Format(time.DateOnly))
	return nil
}

// checkChain wants a chain that a stranger can follow today, of a certificate that may seal.
func checkChain(chain []*x509.Certificate, test bool, now time.Time) error {
	leaf, last := chain[0], chain[len(chain)-1]
	if !test && isTest(leaf) {
		return errors.New("this is a test certificate (set test = true for a local world)")
	}
	if leaf.IsCA {
		return errors.New("the first certificate is an authority's: the seal's own comes first")
	}
	if leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("the certificate is not for signatures")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(last)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if last.CheckSignatureFrom(last) != nil {
		return errors.New("the root is missing: the last certificate is issued by another")
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// writeChain writes what everybody may read, and the service, another user, must: whatever
// the umask of the administrator.
func writeChain(path string, chain []*x509.Certificate) error {
	dir := filepath.Dir(path)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		return err
	}
	var text []byte
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return errors.Join(os.WriteFile(path, text, 0o644), os.Chmod(path, 0o644))
}

// missingSeals are communes that can issue nothing yet.
func (s *Settings) missingSeals() []commune.ID {
	var list []commune.ID
	for _, c := range s.Communes {
		if _, ok := s.seal(c.ID, false); !ok {
			list = append(list, c.ID)
		}
	}
	return list
}

// checkNoSeal is a line of belfry check for a commune without a key.
func checkNoSeal(context.Context) (string, error) {
	return "", errors.New("none, so no document can be issued: belfry commune key make, then belfry commune key use")
}
