package smtp_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/notice/smtp"
)

// office is a mail server that keeps one message, or refuses every recipient.
type office struct {
	refusal error
	got     chan string
}

func (o *office) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return o, nil }
func (o *office) Mail(string, *gosmtp.MailOptions) error          { return nil }
func (o *office) Rcpt(string, *gosmtp.RcptOptions) error          { return o.refusal }
func (o *office) Reset()                                          {}
func (o *office) Logout() error                                   { return nil }
func (o *office) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	o.got <- string(text)
	return err
}

func open(t *testing.T, refusal error) (*office, *smtp.Server) {
	t.Helper()
	o := &office{refusal, make(chan string, 1)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gosmtp.NewServer(o)
	server.Domain = "localhost"
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	s, err := smtp.New(l.Addr().String(), "no-reply@beaumarais.example")
	if err != nil {
		t.Fatal(err)
	}
	return o, s
}

var message = notice.Message{ID: "0192", To: "luc@example.org", From: "Commune d’Élouges", Language: i18n.French, Subject: "Votre demande est prête", Text: "Bonjour,\nà bientôt\n"}

func TestSend(t *testing.T) {
	o, s := open(t, nil)
	if err := s.Send(context.Background(), message); err != nil {
		t.Fatal(err)
	}
	got := <-o.got
	for _, want := range []string{"Message-ID: <0192@beaumarais.example>", "luc@example.org", "Content-Language: fr", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestARefusalForGoodIsNotTriedAgain(t *testing.T) {
	for code, want := range map[int]fault.Kind{550: fault.Invalid, 451: fault.Unreachable} {
		_, s := open(t, &gosmtp.SMTPError{Code: code, Message: "no"})
		if err := s.Send(context.Background(), message); fault.KindOf(err) != want {
			t.Errorf("%d: %v, want %v", code, err, want)
		}
	}
}

func TestAServerThatIsAwayMayComeBack(t *testing.T) {
	s, err := smtp.New("127.0.0.1:1", "no-reply@beaumarais.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), message); fault.KindOf(err) != fault.Unreachable {
		t.Errorf("%v", err)
	}
}
