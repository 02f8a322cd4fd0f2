package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// service is what a provider that is measured says of itself, in a line of JSON.
type service struct {
	Address  string // to dial
	Host     string // to ask for
	Client   string
	Secret   string
	Redirect string
	Cookie   string   // NAME=VALUE of a browser that is signed in
	Key      []byte   // PKCS #8, of all cards
	Cards    [][]byte // their certificates, DER
}

// load is an order to the generator.
type load struct {
	Service     service
	PID         int // of the server, whose processor time is counted
	Cards       bool
	Connections int
	Warm, For   time.Duration
}

// loaded is what came of it.
type loaded struct {
	Done, Failed int64
	CPU          time.Duration
	Failure      string // the first
}

// generate reads a load from standard input, puts it on and prints what came of it.
func generate() error {
	var l load
	if err := json.NewDecoder(os.Stdin).Decode(&l); err != nil {
		return err
	}
	c := newCaller(l.Service, l.Connections)
	once := func(int64) error { return c.login(l.Service.Cookie) }
	if l.Cards {
		reader, err := newReader(l.Service)
		if err != nil {
			return err
		}
		once = func(n int64) error { return c.cardLogin(reader, n) }
	}
	if first := run(l.Connections, func(from time.Time, n int64) bool {
		return time.Since(from) < l.Warm || n < int64(len(l.Service.Cards)) // each card is seen once
	}, once); first.Failed > 0 {
		return fmt.Errorf("before the measurement: %d of %d failed: %s", first.Failed, first.Failed+first.Done, first.Failure)
	}
	before, err := cpuOf(l.PID)
	if err != nil {
		return err
	}
	out := run(l.Connections, func(from time.Time, _ int64) bool { return time.Since(from) < l.For }, once)
	after, err := cpuOf(l.PID)
	if err != nil {
		return err
	}
	out.CPU = after - before
	return json.NewEncoder(os.Stdout).Encode(out)
}

// run does the work over and over, from as many goroutines as there are connections.
func run(connections int, more func(from time.Time, n int64) bool, once func(n int64) error) loaded {
	var out loaded
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	from := time.Now()
	for range connections {
		all.Go(func() {
			for n := next.Add(1) - 1; more(from, n); n = next.Add(1) - 1 {
				err := once(n)
				mu.Lock()
				if err == nil {
					out.Done++
				} else if out.Failed++; out.Failed == 1 {
					out.Failure = err.Error()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return out
}

// caller is browsers and the relying party at once.
type caller struct {
	service
	http *http.Client
}

func newCaller(s service, connections int) *caller {
	return &caller{s, &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true,
			Dial: func(network, _ string) (net.Conn, error) { return net.Dial(network, s.Address) }},
	}}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *caller) send(r *http.Request) (answer, error) {
	res, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, err
}

func (c *caller) request(method, path string, form url.Values, cookie string) *http.Request {
	r, err := http.NewRequest(method, "http://"+c.Host+path, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err) // our own text
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return r
}

// flow is one sign-in as the relying party remembers it.
type flow struct{ state, verifier, path string }

func (c *caller) flow() flow {
	f := flow{state: rand.Text(), verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(f.verifier))
	f.path = "/authorize?" + url.Values{
		"client_id": {c.Client}, "response_type": {"code"}, "redirect_uri": {c.Redirect}, "scope": {"openid profile"}, "state": {f.state}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	return f
}

// login is a sign-in of a browser that the provider knows: authorize, token, userinfo.
func (c *caller) login(cookie string) error {
	f := c.flow()
	a, err := c.send(c.request("GET", f.path, nil, cookie))
	if err != nil {
		return err
	}
	return c.finish(f, a)
}

// finish takes the code out of the provider's answer, and goes for tokens and the person.
func (c *caller) finish(f flow, a answer) error {
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" || to.Query().Get("state") != f.state {
		return fmt.Errorf("no code: %d to %v: %.200s", a.status, to, a.body)
	}
	r := c.request("POST", "/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {c.Redirect}, "code_verifier": {f.verifier},
	}, "")
	r.SetBasicAuth(url.QueryEscape(c.Client), url.QueryEscape(c.Secret))
	if a, err = c.send(r); err != nil {
		return err
	}
	var tokens struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	if err := json.Unmarshal(a.body, &tokens); err != nil || tokens.IDToken == "" {
		return fmt.Errorf("no tokens: %d: %.200s", a.status, a.body)
	}
	r = c.request("GET", "/userinfo", nil, "")
	r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	if a, err = c.send(r); err != nil {
		return err
	}
	var person struct {
		Family string `json:"family_name"`
	}
	if err := json.Unmarshal(a.body, &person); err != nil || person.Family == "" {
		return fmt.Errorf("no person: %d: %.200s", a.status, a.body)
	}
	return nil
}
