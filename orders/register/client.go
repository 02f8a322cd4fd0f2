package register

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/loopback"
	"github.com/belfry-eid/belfry/orders/form"
)

// Config of a Client.
type Config struct {
	// URL is the base address, for example "https://register.integrator.example/v1".
	// Plain http is refused unless the host is a loopback one.
	URL string
	// TokenFile holds the bearer token; it is read at each question, so that it can be renewed.
	TokenFile string
	// Timeout of one question; 8 s where it is zero.
	Timeout time.Duration
	// HTTP is the client to use; a plain one where it is nil. Redirects are never followed.
	HTTP *http.Client
}

// Client asks over HTTP. It is safe for concurrent use.
type Client struct {
	address   string
	tokenFile string
	timeout   time.Duration
	http      *http.Client
}

// maxAnswer bounds what is read of an answer; a real one has some 500 bytes, a long history 20 kB.
const maxAnswer = 64 << 10

// New checks the settings; it asks nothing.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("register: url %q is no address of a service", cfg.URL)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback.Is(u.Hostname())) {
		return nil, fmt.Errorf("register: url %q: only https carries national numbers", cfg.URL)
	}
	if cfg.TokenFile == "" {
		return nil, errors.New("register: token_file is missing")
	}
	c := &Client{address: strings.TrimSuffix(cfg.URL, "/"), tokenFile: cfg.TokenFile, timeout: cfg.Timeout}
	if c.timeout == 0 {
		c.timeout = 8 * time.Second
	}
	var h http.Client
	if cfg.HTTP != nil {
		h = *cfg.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	return c, nil
}

// Residence asks for one person. Its errors are faults: register.unknown_person
// (NotFound), register.down (Unreachable), register.refused and
// register.unreadable (Internal: something is to be repaired).
func (c *Client) Residence(ctx context.Context, n eid.NationalNumber) (Residence, error) {
	body, err := c.ask(ctx, "residence", n)
	if err != nil {
		return Residence{}, err
	}
	return parse(body)
}

// ask puts one question about one person, and returns the JSON of the answer.
func (c *Client) ask(ctx context.Context, question string, n eid.NationalNumber) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.question(ctx, question, map[string]string{"number": n.Reveal()})
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, down(err)
	}
	defer resp.Body.Close()
	if err := refusal(resp.StatusCode); err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return nil, unreadable(fmt.Errorf("content type %q", resp.Header.Get("Content-Type")))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, down(err)
	}
	if len(body) > maxAnswer {
		return nil, unreadable(fmt.Errorf("more than %d bytes", maxAnswer))
	}
	return body, nil
}

func (c *Client) question(ctx context.Context, question string, asked map[string]string) (*http.Request, error) {
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return nil, fault.New(fault.Internal, "register.refused", fmt.Errorf("read the token: %w", err))
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, fault.New(fault.Internal, "register.unreadable", errors.New("the question cannot be encoded"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address+"/"+question, bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Internal, "register.unreadable", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func refusal(status int) error {
	cause := fmt.Errorf("the register answered %d", status)
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "register.unknown_person", cause)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.New(fault.Internal, "register.refused", cause)
	case status == http.StatusTooManyRequests || status >= 500:
		return down(cause)
	}
	return unreadable(cause)
}

func down(cause error) error { return fault.New(fault.Unreachable, "register.down", cause) }

func unreadable(cause error) error { return fault.New(fault.Internal, "register.unreadable", cause) }

type answer struct {
	Status     string            `json:"status"`
	NIS        string            `json:"nis"`
	Commune    map[string]string `json:"commune"`
	Website    string            `json:"website"`
	Street     string            `json:"street"`
	House      string            `json:"number"`
	Box        string            `json:"box"`
	PostalCode string            `json:"postal_code"`
	Locality   string            `json:"locality"`
	Since      string            `json:"since"`
	GivenNames string            `json:"given_names"`
	Surname    string            `json:"surname"`
	BirthDate  string            `json:"birth_date"`
	Moves      bool              `json:"declared_move"`
}

var (
	statusWord = regexp.MustCompile(`^[a-z][a-z_]{0,39}$`)
	nisCode    = regexp.MustCompile(`^[0-9]{5}$`)
)

// maxText bounds a name or a street: nothing longer is printed on a paper.
const maxText = 200

func tooLong(s string) bool { return utf8.RuneCountInString(s) > maxText }

// parse reads an answer. Its errors never hold the answer's text, which is about a person.
func parse(body []byte) (Residence, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return Residence{}, unreadable(errors.New("no JSON of the expected shape"))
	}
	if !statusWord.MatchString(a.Status) {
		return Residence{}, unreadable(errors.New("status is missing or no word"))
	}
	if a.NIS != "" && !nisCode.MatchString(a.NIS) || a.NIS == "" && located(Status(a.Status)) {
		return Residence{}, unreadable(errors.New("nis is not five digits"))
	}
	r := Residence{Status: Status(a.Status), NIS: a.NIS, Commune: communeNames(a.Commune), Website: website(a.Website), DeclaredMove: a.Moves}
	for _, f := range []struct {
		to   *string
		name string
		from string
	}{
		{&r.Street, "street", a.Street}, {&r.House, "number", a.House}, {&r.Box, "box", a.Box},
		{&r.PostalCode, "postal_code", a.PostalCode}, {&r.Locality, "locality", a.Locality},
		{&r.GivenNames, "given_names", a.GivenNames}, {&r.Surname, "surname", a.Surname},
	} {
		*f.to = form.Line(f.from)
		if tooLong(*f.to) {
			return Residence{}, unreadable(fmt.Errorf("%s is longer than %d characters", f.name, maxText))
		}
	}
	if r.Surname == "" && r.GivenNames == "" {
		return Residence{}, unreadable(errors.New("the person has no name"))
	}
	if located(r.Status) && r.Address(i18n.French) == "" {
		return Residence{}, unreadable(errors.New("registered without an address"))
	}
	var ok bool
	if r.BirthDate, ok = ParseDay(a.BirthDate); !ok {
		return Residence{}, unreadable(errors.New("birth_date is no date"))
	}
	if a.Since != "" {
		if r.Since, ok = ParseDay(a.Since); !ok {
			return Residence{}, unreadable(errors.New("since is no date"))
		}
	}
	return r, nil
}

// located says whether somebody of this status has a commune and an address.
func located(s Status) bool { return s == Registered || s == ReferenceAddress }

// website keeps an address that a page may link to, and nothing else.
func website(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") || len(s) > maxText || !form.Clean(s) {
		return ""
	}
	return u.String()
}
