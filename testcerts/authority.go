package testcerts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/testcerts/responder"
)

// Authority is a CA of the world.
type Authority struct {
	Name        string // in addresses and file names: "brca6"
	Certificate *x509.Certificate

	world  *World
	issuer *Authority // nil for a root
	key    crypto.Signer

	mu      sync.Mutex
	issued  map[string]bool
	revoked map[string]x509.RevocationListEntry
	base    map[string]x509.RevocationListEntry // what Reset brings back
}

// validity of the CAs, around the moment the world is made: they are old enough to have
// issued a card that has expired, and outlive a new one.
const (
	year       = 365 * 24 * time.Hour
	rootAge    = 14 * year
	rootLife   = 34 * year
	middleAge  = 12 * year
	middleLife = 24 * year
)

// makeAuthorities makes or resumes the CAs, their delegates and the time-stamping units.
func (w *World) makeAuthorities() error {
	now := w.now()
	y := now.Year()
	plans := []struct {
		to     **Authority
		issuer **Authority
		name   string
		cn     string
		number string
		path   int
		rsa    bool // as the authorities of before 2021 are
	}{
		{&w.RootCA, nil, "brca6", "Belfry Test Root CA6", "", 1, false},
		{&w.CitizenCA, &w.RootCA, fmt.Sprintf("citizen%d01", y-12), "Belfry Test Citizen CA", fmt.Sprintf("%d01", y-12), 0, false},
		{&w.ForeignerCA, &w.RootCA, fmt.Sprintf("foreigner%d01", y-12), "Belfry Test Foreigner CA", fmt.Sprintf("%d01", y-12), 0, false},
		{&w.GovernmentCA, &w.RootCA, fmt.Sprintf("government%d01", y-12), "Belfry Test Government CA", fmt.Sprintf("%d01", y-12), 0, false},
		{&w.StampCA, &w.RootCA, fmt.Sprintf("timestamp%d01", y-12), "Belfry Test Time Stamping CA", fmt.Sprintf("%d01", y-12), 0, false},
		{&w.OldRootCA, nil, "brca2", "Belfry Test Root CA2", "", 1, true},
		{&w.OldCitizenCA, &w.OldRootCA, fmt.Sprintf("citizen%d02", y-12), "Belfry Test Citizen CA", fmt.Sprintf("%d02", y-12), 0, true},
		{&w.UnknownRoot, nil, "stranger", "Nobody's Test Root CA", "", 1, false},
		{&w.UnknownCA, &w.UnknownRoot, "strangercitizen", "Nobody's Test Citizen CA", "000001", 0, false},
	}
	for _, p := range plans {
		subject := subject{country: "BE", common: p.cn, serial: p.number}
		var issuer *Authority
		age, life := rootAge, rootLife
		if p.issuer != nil {
			issuer, age, life = *p.issuer, middleAge, middleLife
		}
		a, err := w.authority(p.name, issuer, p.rsa, &x509.Certificate{
			RawSubject:            subject.der(),
			NotBefore:             now.Add(-age),
			NotAfter:              now.Add(life - age),
			IsCA:                  true,
			BasicConstraintsValid: true,
			MaxPathLen:            p.path,
			MaxPathLenZero:        p.path == 0,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			Policies:              []x509.OID{anyPolicy},
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.cn, err)
		}
		*p.to = a
	}
	for _, a := range w.authorities() {
		if err := a.respond(now); err != nil {
			return fmt.Errorf("responder of %s: %w", a.Name, err)
		}
	}
	return w.makeStamper(now)
}

func (w *World) authorities() []*Authority {
	return []*Authority{w.RootCA, w.CitizenCA, w.ForeignerCA, w.GovernmentCA, w.StampCA, w.OldRootCA, w.OldCitizenCA, w.UnknownRoot, w.UnknownCA}
}

// authority makes the CA of this name or resumes it.
func (w *World) authority(name string, issuer *Authority, old bool, template *x509.Certificate) (*Authority, error) {
	a := &Authority{Name: name, world: w, issuer: issuer, issued: map[string]bool{}, revoked: map[string]x509.RevocationListEntry{}}
	if cert, key, ok, err := w.readPair(name); err != nil {
		return nil, err
	} else if ok {
		a.Certificate, a.key = cert, key
		a.resume(w.state.Authorities[name])
		if issuer != nil {
			issuer.note(cert.SerialNumber)
		}
		return a, nil
	}
	key, err := newKey(old)
	if err != nil {
		return nil, err
	}
	a.key = key
	if issuer == nil {
		a.Certificate, err = selfSigned(template, key)
	} else {
		a.Certificate, err = issuer.Issue(template, key.Public())
	}
	if err != nil {
		return nil, err
	}
	return a, w.writePair(name, a.Certificate, key)
}

// newKey is a key of the kind that Belgian authorities have today, or had before 2021.
func newKey(old bool) (crypto.Signer, error) {
	if old {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
}

func selfSigned(template *x509.Certificate, key crypto.Signer) (*x509.Certificate, error) {
	template.SerialNumber = newSerial()
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x3f | 0x10 // positive and of full length, as Belgian ones are
	return new(big.Int).SetBytes(b)
}

// addresses of the services about certificates that a issues.
func (a *Authority) ocspURL() string { return a.world.base + "/ocsp/" + a.Name }
func (a *Authority) crlURL() string  { return a.world.base + "/crl/" + a.Name + ".crl" }
func (a *Authority) crtURL() string  { return a.world.base + "/crt/" + a.Name + ".crt" }

// Issue makes a certificate for a public key. Serial number and addresses are added where
// the template has none.
func (a *Authority) Issue(template *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	t := *template
	if t.SerialNumber == nil {
		t.SerialNumber = newSerial()
	}
	if t.OCSPServer == nil && !isDelegate(&t) {
		t.OCSPServer = []string{a.ocspURL()}
		t.CRLDistributionPoints = []string{a.crlURL()}
		t.IssuingCertificateURL = []string{a.crtURL()}
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, a.Certificate, pub, a.key)
	if err != nil {
		return nil, err
	}
	a.note(t.SerialNumber)
	return x509.ParseCertificate(der)
}

func isDelegate(t *x509.Certificate) bool {
	return slices.Contains(t.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
}

func (a *Authority) note(serial *big.Int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued[serial.Text(16)] = true
}

// revoke revokes a certificate that a issued, with a CRLReason of RFC 5280 §5.3.1; Reset
// takes it back, unless keep.
func (a *Authority) revoke(c *x509.Certificate, reason int, keep bool) {
	e := x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: a.world.now().Add(-time.Hour).UTC().Truncate(time.Second), ReasonCode: reason}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked[c.SerialNumber.Text(16)] = e
	if keep {
		if a.base == nil {
			a.base = map[string]x509.RevocationListEntry{}
		}
		a.base[c.SerialNumber.Text(16)] = e
	}
}

// Unrevoke makes a revoked certificate good again, as a card that was found is.
func (a *Authority) Unrevoke(c *x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.revoked, c.SerialNumber.Text(16))
}

func (a *Authority) isRevoked(c *x509.Certificate) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.revoked[c.SerialNumber.Text(16)]
	return ok
}

func (a *Authority) restore() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked = map[string]x509.RevocationListEntry{}
	for k, v := range a.base {
		a.revoked[k] = v
	}
}

// respond makes the certificates that sign OCSP answers, and registers with the responder.
func (a *Authority) respond(now time.Time) error {
	delegate, delegateKey, err := a.helper(now, "OCSP Responder", x509.ExtKeyUsageOCSPSigning)
	if err != nil {
		return err
	}
	intruder, intruderKey, err := a.helper(now, "no responder", x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	a.world.Responder.Add(&responder.Authority{
		Name: a.Name, Certificate: a.Certificate, Key: a.key,
		Delegate: delegate, DelegateKey: delegateKey, Intruder: intruder, IntruderKey: intruderKey,
		Issued: func(serial *big.Int) bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.issued[serial.Text(16)]
		},
		Revoked: a.entries,
	})
	return nil
}

func (a *Authority) entries() []x509.RevocationListEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []x509.RevocationListEntry
	for _, e := range a.revoked {
		list = append(list, e)
	}
	slices.SortFunc(list, func(x, y x509.RevocationListEntry) int { return x.SerialNumber.Cmp(y.SerialNumber) })
	return list
}

// helper is a short-lived end entity of the CA with a key in memory.
func (a *Authority) helper(now time.Time, name string, use x509.ExtKeyUsage) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	s := subject{country: "BE", common: "Belfry Test " + name}
	template := &x509.Certificate{
		RawSubject: s.der(),
		NotBefore:  now.Add(-30 * 24 * time.Hour), NotAfter: now.Add(2 * year),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	if use == x509.ExtKeyUsageOCSPSigning {
		template.ExtraExtensions = append(template.ExtraExtensions, noCheck)
	}
	c, err := a.Issue(template, key.Public())
	return c, key, err
}

// makeStamper makes or resumes the time-stamping units. Their certificates outlive the
// stamps they are needed for.
func (w *World) makeStamper(now time.Time) error {
	unit := func(name string, from, to time.Time) (responder.Unit, error) {
		if cert, key, ok, err := w.readPair(name); err != nil || ok {
			if ok {
				w.StampCA.note(cert.SerialNumber)
			}
			return responder.Unit{Certificate: cert, Key: key}, err
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return responder.Unit{}, err
		}
		s := subject{country: "BE", organization: "Belfry Test", common: "Belfry Test Time Stamping Unit"}
		cert, err := w.StampCA.Issue(&x509.Certificate{
			RawSubject: s.der(), NotBefore: from, NotAfter: to,
			KeyUsage:        x509.KeyUsageDigitalSignature,
			ExtraExtensions: extensions(criticalTimeStamping), // RFC 3161 §2.3: critical and alone
		}, key.Public())
		if err != nil {
			return responder.Unit{}, err
		}
		return responder.Unit{Certificate: cert, Key: key}, w.writePair(name, cert, key)
	}
	good, err := unit("tsu", now.Add(-year), now.Add(9*year))
	if err != nil {
		return err
	}
	expired, err := unit("tsu-expired", now.Add(-6*year), now.Add(-year))
	if err != nil {
		return err
	}
	w.TSA = responder.NewStamper(w.now, good, expired, []*x509.Certificate{w.StampCA.Certificate})
	return nil
}
