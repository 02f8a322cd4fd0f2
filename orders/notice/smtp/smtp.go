// Package smtp sends notices through a mail server.
//
// It owns the dialogue with one server (go-mail; this is its only door). It refuses
// to know orders and words. It guarantees that a message that the server refused
// for good comes back as fault.Invalid, so that nobody sends it for ever, and that
// everything else comes back as fault.Unreachable, to be tried again.
//
// Implements RFC 5321 (by go-mail) and RFC 5322 §3.6.4 (Message-ID).
package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/loopback"
	"github.com/belfry-eid/belfry/orders/notice"
)

const timeout = 20 * time.Second

// Server is a mail server; it is a notice.Mailer.
type Server struct {
	client *mail.Client
	from   string
	domain string
}

// New names the server ("host:port") and the address that messages come from, whose
// display name each message replaces by its commune's. On a loopback address mail goes
// in the clear; elsewhere STARTTLS is demanded.
func New(address, from string) (*Server, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("mail server %q: host:port is expected: %w", address, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("mail server %q: %w", address, err)
	}
	sender, err := netmail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("mail sender %q: %w", from, err)
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	policy := mail.TLSMandatory
	if loopback.Is(host) {
		policy = mail.NoTLS
	}
	client, err := mail.NewClient(host, mail.WithPort(port), mail.WithTLSPolicy(policy), mail.WithTimeout(timeout), mail.WithHELO(domain))
	if err != nil {
		return nil, err
	}
	return &Server{client, sender.Address, domain}, nil
}

// Send hands one message to the server.
func (s *Server) Send(ctx context.Context, m notice.Message) error {
	msg, err := s.compose(m)
	if err != nil {
		return fault.New(fault.Invalid, "fault.internal", err)
	}
	err = s.client.DialAndSendWithContext(ctx, msg)
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*mail.SendError](err); ok && !refused.IsTemp() {
		return fault.New(fault.Invalid, "fault.internal", err)
	}
	return fault.New(fault.Unreachable, "fault.internal", err)
}

func (s *Server) compose(m notice.Message) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.SetMessageIDWithValue(m.ID + "@" + s.domain)
	msg.SetDate()
	msg.Subject(m.Subject)
	msg.SetGenHeader(mail.HeaderContentLang, string(m.Language))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answering machine answers
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	if m.ReplyTo != "" {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, err
		}
	}
	if err := msg.FromFormat(m.From, s.from); err != nil {
		return nil, err
	}
	return msg, msg.To(m.To)
}
