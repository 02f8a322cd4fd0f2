package ltv

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// paths are those that led from certificates to our roots, for one purpose. That their
// signatures hold stays so, and checking them is what most of the processor's time goes
// to: only whether they are valid at another time must be asked anew.
type paths struct {
	mu sync.Mutex
	m  map[[32]byte][]*x509.Certificate
}

// at is the path of a certificate, nil where none is known that is valid then.
func (p *paths) at(t time.Time, cert *x509.Certificate) []*x509.Certificate {
	p.mu.Lock()
	path := p.m[sha256.Sum256(cert.Raw)]
	p.mu.Unlock()
	for _, c := range path {
		if t.Before(c.NotBefore) || t.After(c.NotAfter) {
			return nil
		}
	}
	return slices.Clone(path)
}

func (p *paths) add(path []*x509.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil || len(p.m) >= maxMemory {
		p.m = map[[32]byte][]*x509.Certificate{}
	}
	p.m[sha256.Sum256(path[0].Raw)] = path
}
