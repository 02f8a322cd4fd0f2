package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// mailbox keeps every mail that is sent in this world, whoever it is for. Nothing leaves.
type mailbox struct {
	dir string

	mu    sync.Mutex
	mails []message
}

// message is a mail as a page shows it.
type message struct {
	ID          string    `json:"id"`
	At          time.Time `json:"at"` // when it came
	From        string    `json:"from"`
	To          []string  `json:"to"` // of the envelope
	Subject     string    `json:"subject"`
	Text        string    `json:"text"`        // the text/plain part
	Attachments []string  `json:"attachments"` // names
}

const (
	mailLimit = 25 << 20
	mailsKept = 500
)

// openMailbox reads the mails of earlier days.
func openMailbox(dir string) (*mailbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &mailbox{dir: dir}
	names, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		m := read(raw)
		m.ID = strings.TrimSuffix(filepath.Base(name), ".eml")
		if at, err := time.Parse(mailID, strings.SplitN(m.ID, "-", 2)[0]); err == nil {
			m.At = at
		}
		b.mails = append(b.mails, m)
	}
	return b, nil
}

const mailID = "20060102T150405.000000"

// keep stores a mail and remembers it, newest last.
func (b *mailbox) keep(from string, to []string, raw []byte) error {
	m := read(raw)
	m.From, m.To, m.At = from, to, time.Now().UTC()
	b.mu.Lock()
	defer b.mu.Unlock()
	m.ID = fmt.Sprintf("%s-%d", m.At.Format(mailID), len(b.mails))
	head := fmt.Sprintf("X-Envelope-From: %s\r\nX-Envelope-To: %s\r\n", from, strings.Join(to, ", "))
	if err := os.WriteFile(filepath.Join(b.dir, m.ID+".eml"), append([]byte(head), raw...), 0o600); err != nil {
		return err
	}
	b.mails = append(b.mails, m)
	if len(b.mails) > mailsKept {
		b.mails = b.mails[len(b.mails)-mailsKept:]
	}
	return nil
}

// all lists the mails, newest first.
func (b *mailbox) all() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.mails)
	slices.Reverse(list)
	return list
}

func (b *mailbox) byID(id string) (message, bool) {
	for _, m := range b.all() {
		if m.ID == id {
			return m, true
		}
	}
	return message{}, false
}

// read takes a mail apart. What cannot be read is shown as it came.
func read(raw []byte) message {
	m := message{Text: string(raw)}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m
	}
	words := mime.WordDecoder{}
	if m.Subject, err = words.DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		m.Subject = parsed.Header.Get("Subject")
	}
	m.From = parsed.Header.Get("X-Envelope-From")
	if to := parsed.Header.Get("X-Envelope-To"); to != "" {
		m.To = strings.Split(to, ", ")
	}
	m.Text = ""
	part(&m, parsed.Header.Get("Content-Type"), parsed.Header.Get("Content-Transfer-Encoding"), parsed.Header.Get("Content-Disposition"), parsed.Body, 0)
	return m
}

// part reads one part, and its parts.
func part(m *message, contentType, encoding, disposition string, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if how, d, err := mime.ParseMediaType(disposition); err == nil && how == "attachment" {
		m.Attachments = append(m.Attachments, d["filename"])
		return
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 5 {
		for r := multipart.NewReader(body, params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err != nil {
				return
			}
			part(m, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p, depth+1)
		}
	}
	if kind != "text/plain" || m.Text != "" {
		return
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, _ := io.ReadAll(io.LimitReader(body, mailLimit))
	m.Text = string(text)
}

// serveMail opens the mail server.
func (w *world) serveMail() error {
	l, err := net.Listen("tcp", loopback(w.smtp))
	if err != nil {
		return fmt.Errorf("port %d: %w", w.smtp, err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: w.mail}, nil }))
	s.Domain = "localhost"
	s.ErrorLog = log.New(io.Discard, "", 0) // a client that hangs up is no news
	s.MaxMessageBytes = mailLimit
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	w.servers = append(w.servers, s)
	go s.Serve(l)
	return nil
}

// delivery is one SMTP session.
type delivery struct {
	box  *mailbox
	from string
	to   []string
}

func (d *delivery) Reset()        { d.from, d.to = "", nil }
func (d *delivery) Logout() error { return nil }

func (d *delivery) Mail(from string, _ *smtp.MailOptions) error {
	d.from = from
	return nil
}

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = append(d.to, to)
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return d.box.keep(d.from, d.to, raw)
}
