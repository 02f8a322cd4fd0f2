package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSSettings are for a service without a proxy before it.
type TLSSettings struct {
	// Certificate is a PEM file: the server's certificate first, then its CAs. Key is the
	// PEM file of its private key, which only the service may read. A renewed pair is
	// taken up within a minute, without a restart.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// pairs keeps the server's certificate as its files have it.
type pairs struct {
	settings TLSSettings
	log      *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	seen   [2]time.Time // when the files were changed
	looked time.Time
}

// lookAgain is how often the files are looked at.
const lookAgain = time.Minute

// serverTLS is the configuration of a listener of our own; nil where a proxy has TLS.
func serverTLS(s *TLSSettings, log *slog.Logger) (*tls.Config, error) {
	if s == nil {
		return nil, nil
	}
	p := &pairs{settings: *s, log: log}
	if err := p.read(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.current, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// current is asked at each connection. Files that cannot be read, as in the middle of a
// renewal, leave the certificate that is known.
func (p *pairs) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= lookAgain {
		p.looked = now
		if p.changed() {
			if err := p.read(); err != nil {
				p.log.Error("the new certificate of server.tls cannot be used, the old one goes on", "error", err)
			}
		}
	}
	return p.pair, nil
}

func (p *pairs) changed() bool {
	times, err := p.times()
	return err != nil || times != p.seen
}

func (p *pairs) times() (times [2]time.Time, err error) {
	for i, file := range []string{p.settings.Certificate, p.settings.Key} {
		info, err := os.Stat(file)
		if err != nil {
			return times, err
		}
		times[i] = info.ModTime()
	}
	return times, nil
}

func (p *pairs) read() error {
	times, err := p.times()
	if err != nil {
		return fmt.Errorf("server.tls: %w", err)
	}
	if _, err := readSecret(p.settings.Key); err != nil {
		return fmt.Errorf("server.tls.key: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(p.settings.Certificate, p.settings.Key)
	if err != nil {
		return fmt.Errorf("server.tls: %w", err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return fmt.Errorf("server.tls.certificate: it ended on %s", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	p.pair, p.seen, p.looked = &pair, times, time.Now()
	return nil
}

// checkTLS says whether the certificate covers every address that people use.
func (s *Settings) checkTLS() (string, error) {
	pair, err := tls.LoadX509KeyPair(s.Server.TLS.Certificate, s.Server.TLS.Key)
	if err != nil {
		return "", err
	}
	var faults []error
	for _, host := range s.hosts() {
		faults = append(faults, pair.Leaf.VerifyHostname(host))
	}
	left := time.Until(pair.Leaf.NotAfter)
	if left < 14*24*time.Hour {
		faults = append(faults, fmt.Errorf("it ends on %s", pair.Leaf.NotAfter.Format(time.DateOnly)))
	}
	return "until " + pair.Leaf.NotAfter.Format(time.DateOnly), errors.Join(faults...)
}
