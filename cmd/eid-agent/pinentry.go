package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/eid/card"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/p11"
)

// pinentryWindow confirms in a window of pinentry, GnuPG's program for secrets, which
// is there for every desktop. Where the middleware or the reader asks for the PIN,
// pinentry only asks whether to go on: every use is confirmed on screen.
type pinentryWindow struct {
	agent   *agent
	program string

	mu sync.Mutex // one window at a time
}

func (p *pinentryWindow) routes(*http.ServeMux) {}

func (p *pinentryWindow) open(o *operation) string {
	go func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if o.ended() {
			return
		}
		made, err := p.confirm(o)
		if err != nil {
			p.agent.log.Info("not signed", "origin", o.origin, "code", failure(err).code)
			o.fail(err)
			return
		}
		p.agent.log.Info("signed", "origin", o.origin, "purpose", o.purpose)
		o.finish(made)
	}()
	return ""
}

func (p *pinentryWindow) confirm(o *operation) (outcome, error) {
	dialog, err := startPinentry(o.ctx, p.program)
	if err != nil {
		return outcome{}, err
	}
	defer dialog.close()
	if err := dialog.setUp(o.lang); err != nil {
		return outcome{}, err
	}
	var made outcome
	err = p.agent.cards.with(func(cards []*card.Card) error {
		chosen, err := dialog.choose(o, o.among(cards))
		if err != nil {
			return err
		}
		made, err = dialog.use(p.agent, o, chosen)
		return err
	})
	return made, err
}

// choose returns the card to use: the only one, or the one that is said yes to.
func (d *pinentry) choose(o *operation, cards []*card.Card) (*card.Card, error) {
	if len(cards) == 1 {
		return cards[0], nil
	}
	for _, c := range cards {
		err := d.all(
			"SETDESC", describe(o, c)+"\n\n"+i18n.T(o.lang, "agent.several_cards"),
			"SETOK", i18n.T(o.lang, "agent.this_card"),
			"SETNOTOK", i18n.T(o.lang, "agent.other_card"),
			"SETCANCEL", i18n.T(o.lang, "agent.cancel"),
		)
		if err != nil {
			return nil, err
		}
		err = d.command("CONFIRM", "")
		if err == nil {
			return c, d.command("SETNOTOK", "")
		}
		if !errors.Is(err, errNotConfirmed) {
			return nil, err
		}
	}
	return nil, card.ErrCancelled
}

// use asks until the PIN is right, the person stops or the card blocks. Each
// PIN that reaches the card was typed for it.
func (d *pinentry) use(a *agent, o *operation, c *card.Card) (outcome, error) {
	if err := o.fits(c); err != nil {
		return outcome{}, err
	}
	err := d.all("SETDESC", describe(o, c), "SETOK", i18n.T(o.lang, "agent.confirm"), "SETCANCEL", i18n.T(o.lang, "agent.cancel"))
	if err != nil {
		return outcome{}, err
	}
	if !o.wantsPIN(c) {
		if err := d.command("CONFIRM", ""); err != nil {
			return outcome{}, err
		}
		return o.use(a, c, p11.PIN{})
	}
	if c.LastTry() {
		if err := d.command("SETERROR", i18n.T(o.lang, "card.pin_last_try")); err != nil {
			return outcome{}, err
		}
	}
	for {
		pin, err := d.secret(i18n.T(o.lang, "agent.pin"))
		if err != nil {
			return outcome{}, err
		}
		// The last try is spent where the person was told that it is the last.
		var opts []p11.Option
		if c.LastTry() {
			opts = append(opts, p11.SpendLastTry())
		}
		made, err := o.use(a, c, pin, opts...)
		pin.Wipe()
		if err == nil || settled(err) {
			return made, err
		}
		f, _ := asFault(err)
		if err := d.command("SETERROR", i18n.Message(o.lang, f.Key, f.Args)); err != nil {
			return outcome{}, err
		}
	}
}

// describe says who asks, what for and which card. The origin stands on a line of
// its own and is ASCII: no site can dress it up.
func describe(o *operation, c *card.Card) string {
	card := i18n.T(o.lang, "agent.card_unnamed")
	if name := c.Name(); name != "" {
		card = i18n.T(o.lang, "agent.card_of", "Name", name)
	}
	text := o.what() + "\n\n" + o.origin + "\n\n"
	if details := o.details(); details != "" {
		text += details + "\n\n"
	}
	return text + card
}

// pinentry speaks the Assuan protocol to the program: lines, each answered by OK or
// ERR, with data in between (libassuan's manual, "Server responses").
type pinentry struct {
	in    io.WriteCloser
	out   *bufio.Reader
	cmd   *exec.Cmd
	ctx   context.Context
	ended func()
}

var errNotConfirmed = errors.New("not confirmed")

const maxLine = 1002 // bytes of an Assuan line

func startPinentry(ctx context.Context, program string) (*pinentry, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program)
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fault.New(fault.Internal, "card.failed", fmt.Errorf("pinentry: %w", err))
	}
	d := &pinentry{in: in, out: bufio.NewReaderSize(out, 4096), cmd: cmd, ctx: ctx, ended: cancel}
	if _, err := d.response(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *pinentry) close() {
	_, _ = io.WriteString(d.in, "BYE\n")
	d.in.Close()
	d.ended() // kills one that does not listen
	_ = d.cmd.Wait()
}

func (d *pinentry) setUp(l i18n.Language) error {
	for _, option := range []struct{ name, variable string }{{"ttyname", "GPG_TTY"}, {"ttytype", "TERM"}, {"display", "DISPLAY"}} {
		if v := os.Getenv(option.variable); v != "" {
			_ = d.command("OPTION", option.name+"="+v) // one it does not know changes nothing
		}
	}
	left := time.Duration(0)
	if end, ok := d.ctx.Deadline(); ok {
		left = time.Until(end)
	}
	return d.all("SETTITLE", i18n.T(l, "agent.title"), "SETPROMPT", i18n.T(l, "agent.pin"), "SETTIMEOUT", fmt.Sprint(max(1, int(left.Seconds()))))
}

// all sends commands given as name, value pairs.
func (d *pinentry) all(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := d.command(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (d *pinentry) command(name, value string) error {
	_, err := d.exchange(name, value)
	return err
}

func (d *pinentry) exchange(name, value string) ([]byte, error) {
	line := name
	if value != "" {
		line += " " + escape(value)
	}
	if len(line) > maxLine-2 {
		return nil, fmt.Errorf("pinentry: %s is too long", name)
	}
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		return nil, d.gone(err)
	}
	return d.response()
}

// secret asks for a PIN.
func (d *pinentry) secret(prompt string) (p11.PIN, error) {
	if err := d.command("SETPROMPT", prompt); err != nil {
		return p11.PIN{}, err
	}
	data, err := d.exchange("GETPIN", "")
	if err != nil {
		return p11.PIN{}, err
	}
	defer clear(data)
	return p11.NewPIN(data), nil
}

// response reads to OK or ERR and returns the data before it.
func (d *pinentry) response() ([]byte, error) {
	var data []byte
	for {
		line, err := d.out.ReadSlice('\n')
		if err != nil {
			return nil, d.gone(err)
		}
		line = bytes.TrimRight(line, "\r\n")
		word, rest, _ := bytes.Cut(line, []byte(" "))
		switch string(word) {
		case "OK":
			return data, nil
		case "D":
			data = append(data, unescape(rest)...)
			clear(line)
			if len(data) > maxLine {
				return nil, errors.New("pinentry: too much data")
			}
		case "ERR":
			return nil, meaningOf(string(rest))
		case "S", "#", "":
		default:
			return nil, errors.New("pinentry: an answer that is not Assuan")
		}
	}
}

// gone says why the program ended: the time was up, or it was closed.
func (d *pinentry) gone(err error) error {
	if d.ctx.Err() != nil {
		return card.ErrTimeout
	}
	return fault.New(fault.Internal, "card.failed", fmt.Errorf("pinentry: %w", err))
}

// meaningOf reads an error line: the low 16 bits are libgpg-error's code.
func meaningOf(text string) error {
	var code uint32
	if _, err := fmt.Sscanf(text, "%d", &code); err != nil {
		return errors.New("pinentry: an error without code")
	}
	switch code & 0xffff {
	case 99: // GPG_ERR_CANCELED
		return card.ErrCancelled
	case 114: // GPG_ERR_NOT_CONFIRMED
		return errNotConfirmed
	case 62: // GPG_ERR_TIMEOUT
		return card.ErrTimeout
	}
	return fault.New(fault.Internal, "card.failed", fmt.Errorf("pinentry: error %d", code))
}

var escaper = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func escape(s string) string { return escaper.Replace(s) }

func unescape(b []byte) []byte {
	s, err := url.PathUnescape(string(b))
	if err != nil {
		return bytes.Clone(b)
	}
	return []byte(s)
}
