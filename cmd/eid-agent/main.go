// Command eid-agent lets a login page in the browser, or a page for signing documents,
// use the identity card in this computer's reader.
//
// It owns the loopback door (threat T3), the confirmation on screen, and the choice
// of the card. It refuses to know the provider: any site may ask, and the person
// sees which one does. It guarantees that nothing is signed without a confirmation
// that shows the asking site's address as the browser states it; that what is signed
// to sign somebody in is bound to that address (web-eid:1.0); that a hash of a document
// is signed only for a site, and by a card, that the person agreed to (sign.go); that what
// is written on a card is read only after a window that lists it (read.go); and that no PIN is asked, taken or kept by a web page: it is
// typed into the reader, the middleware's window or pinentry. Only builds with the
// tag "dev" have a page for it, for test cards.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/belfry-eid/belfry/internal/eid"
)

type arguments struct {
	Serve serveCommand `cmd:"" help:"Listen on this computer for login pages."`
}

type serveCommand struct {
	Module   string `help:"PKCS#11 module that reads cards; the Belgian eID middleware or OpenSC where they usually are if empty." type:"path"`
	Pinentry string `help:"Program that asks for the PIN: any pinentry." default:"pinentry"`
	Ports    []int  `help:"Ports of 127.0.0.1, the first free one is taken. Login pages know the default ones." name:"port"`
	Card     string `help:"Use only the card whose holder's name contains this."`
}

func main() {
	var args arguments
	parsed := kong.Parse(&args, kong.Name("eid-agent"), kong.Description("Card reading program: lets a login page use your identity card, after you confirm."))
	parsed.FatalIfErrorf(parsed.Run())
}

// Run listens until it is told to stop.
func (s *serveCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	listener, err := listen(s.Ports)
	if err != nil {
		return err
	}
	cards := &reader{module: findModule(s.Module), only: s.Card}
	if cards.module == "" {
		log.Warn("no PKCS#11 module found: install the eID software of https://eid.belgium.be, or give --module")
	}
	a := newAgent(log, listener.Addr().(*net.TCPAddr).Port, cards)
	a.window = newWindow(a, s.Pinentry)
	log.Info("listening", "address", listener.Addr().String(), "module", cards.module)
	return serve(ctx, listener, a.handler())
}

// listen takes the first free port. Always 127.0.0.1: no other machine, and no name
// that a DNS could answer for.
func listen(ports []int) (net.Listener, error) {
	if len(ports) == 0 {
		ports = eid.AgentPorts
	}
	var causes []error
	for _, p := range ports {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", p))
		if err == nil {
			return l, nil
		}
		causes = append(causes, err)
	}
	return nil, errors.Join(causes...)
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      pollHold + 20*time.Second, // a confirmation waits for the card
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	}
}
