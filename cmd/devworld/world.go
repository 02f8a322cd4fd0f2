package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/belfry-eid/belfry/testcerts"
	"github.com/belfry-eid/belfry/testcerts/fakefas"
	"github.com/belfry-eid/belfry/testcerts/fakesource"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// world is everything that runs.
type world struct {
	config
	pki      *testcerts.World
	register *register
	source   *fakesource.Source
	federal  *fakefas.Provider
	sources  []*signInSource
	mail     *mailbox
	reader   *reader
	tls      *localCA
	belfry   *child
	agent    *child
	lock     *os.File
	servers  []io.Closer

	mu      sync.Mutex
	invited map[string]invitation // by name of the clerk
}

// path is a file of the world.
func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// open makes the world or resumes it. Nothing listens yet.
func open(c config, out io.Writer) (*world, error) {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return nil, err
	}
	c.dir = dir
	w := &world{config: c, invited: map[string]invitation{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if w.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(w.path("pki", "state.json")); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "Making the world: a PKI, its people and their cards.")
	}
	if err := w.make(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) make() error {
	var err error
	w.pki, err = testcerts.Make(w.dir, time.Now(), testcerts.Address("http://"+loopback(w.services)))
	if err != nil {
		return err
	}
	for _, part := range []func() error{w.makeReader, w.makeSeals, w.makeSecrets, w.makeSealed, w.makeTLS, w.makeFederal, w.makeUpstreams, w.writeSettings} {
		if err := part(); err != nil {
			return err
		}
	}
	w.register = newRegister(w)
	w.source.People = w.register.person
	if w.mail, err = openMailbox(w.path("mail")); err != nil {
		return err
	}
	return w.writeWorldFile()
}

// lockDir refuses a second devworld in one directory.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "devworld.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another devworld runs in %s", dir)
	}
	return f, nil
}

// makeSeals gives Belfry a token directory of its own, without the citizens' cards.
func (w *world) makeSeals() error {
	if _, err := softcard.Write(w.path("belfry-softhsm")); err != nil {
		return err
	}
	if err := os.MkdirAll(w.path("secrets"), 0o700); err != nil {
		return err
	}
	for _, s := range w.seals() {
		if err := softcard.Copy(w.path("softhsm"), w.path("belfry-softhsm"), s.Serial); err != nil {
			return err
		}
		if err := writeSecret(w.sealPIN(s), s.PIN); err != nil {
			return err
		}
		if err := writeCertificates(w.sealChain(s), s.Chain); err != nil {
			return err
		}
	}
	return nil
}

// seals are the keys of the served communes, the one that issues and the operator's.
func (w *world) seals() []*testcerts.Seal {
	var list []*testcerts.Seal
	for _, c := range testcerts.Communes() {
		if c.Installed {
			list = append(list, w.pki.DefaultSeal(c.ID), w.pki.DefaultOperatorSeal(c.ID))
		}
	}
	return list
}

func (w *world) sealPIN(s *testcerts.Seal) string   { return w.path("secrets", "pin-"+s.Serial) }
func (w *world) sealChain(s *testcerts.Seal) string { return w.path("seals", s.Serial+".pem") }

// makeSecrets makes what Belfry and the register share or keep to themselves, once.
func (w *world) makeSecrets() error {
	for _, name := range []string{"install.key", "register.token"} {
		if _, err := os.Stat(w.path("secrets", name)); err == nil {
			continue
		}
		b := make([]byte, 32)
		rand.Read(b)
		if err := writeSecret(w.path("secrets", name), hex.EncodeToString(b)); err != nil {
			return err
		}
	}
	if err := writeCertificates(w.path("trust", "roots.pem"), w.pki.Roots()); err != nil {
		return err
	}
	return writeCertificates(w.path("intermediates.pem"), w.pki.Intermediates())
}

// writeSecret writes a file that only its owner may read, once.
func writeSecret(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// serve opens every port.
func (w *world) serve() error {
	if err := w.listen(w.services, w.servicesHandler(), nil, false); err != nil {
		return err
	}
	front := w.front()
	if err := w.listen(w.http, front, nil, true); err != nil {
		return err
	}
	if err := w.listen(w.https, front, w.tls.config(), true); err != nil {
		return err
	}
	return w.serveMail()
}

// listen serves on 127.0.0.1 and, where both, on ::1 too: browsers take either for a name
// under .localhost. A machine without IPv6 goes without.
func (w *world) listen(port int, h http.Handler, secure *tls.Config, both bool) error {
	hosts := []string{"127.0.0.1"}
	if both {
		hosts = append(hosts, "::1")
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, TLSConfig: secure}
	w.servers = append(w.servers, srv)
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			if host == "::1" && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
				continue
			}
			return fmt.Errorf("port %d: %w (is another world running? give another port, see --help)", port, err)
		}
		if secure != nil {
			go srv.ServeTLS(l, "", "")
		} else {
			go srv.Serve(l)
		}
	}
	return nil
}

func (w *world) close() {
	for _, s := range w.servers {
		s.Close()
	}
	if w.pki != nil {
		w.pki.Close()
	}
	w.lock.Close()
}
