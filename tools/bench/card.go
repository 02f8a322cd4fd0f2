package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math/big"
	"net/url"
	"regexp"
	"strings"
)

// reader holds the cards that are put into it one after the other. They share a key:
// what the provider does is the same.
type reader struct {
	key   *ecdsa.PrivateKey
	cards [][]byte
}

func newReader(s service) (*reader, error) {
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || len(s.Cards) == 0 {
		return nil, errors.New("no cards with a key of ECDSA")
	}
	return &reader{ec, s.Cards}, nil
}

// token is the card's answer, of format web-eid:1.0.
func (r *reader) token(n int64, origin, nonce string) ([]byte, error) {
	o, c := sha512.Sum384([]byte(origin)), sha512.Sum384([]byte(nonce))
	digest := sha512.Sum384(append(o[:], c[:]...))
	der, err := r.key.Sign(rand.Reader, digest[:], nil)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	size := (r.key.Params().BitSize + 7) / 8
	return json.Marshal(map[string]any{
		"format": "web-eid:1.0", "algorithm": "ES384", "appVersion": "bench", "unverifiedCertificate": r.cards[n%int64(len(r.cards))],
		"signature": append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...),
	})
}

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]*\bdata-card\b[^>]*>.*?</form>`)
	action   = regexp.MustCompile(`\baction="([^"]*)"`)
	inputTag = regexp.MustCompile(`<input[^>]*\bname="([^"]*)"[^>]*\bvalue="([^"]*)"`)
	nonce    = regexp.MustCompile(`\bdata-nonce="([^"]*)"`)
)

// cardLogin is the sign-in of a browser that nobody knows, with the nth card: to the
// page of the card step, the card's answer, and then as always.
func (c *caller) cardLogin(reader *reader, n int64) error {
	f := c.flow()
	jar := cookies{}
	at, a, err := c.follow(f.path, jar)
	if err != nil {
		return err
	}
	form := formTag.Find(a.body)
	if form == nil {
		return fmt.Errorf("no card step: %d at %s: %.200s", a.status, at, a.body)
	}
	values := url.Values{}
	for _, in := range inputTag.FindAllSubmatch(form, -1) {
		values.Set(html.UnescapeString(string(in[1])), html.UnescapeString(string(in[2])))
	}
	origin := "http://" + c.Host
	challenge := nonce.FindSubmatch(form)
	if challenge == nil {
		return errors.New("no challenge")
	}
	token, err := reader.token(n, origin, html.UnescapeString(string(challenge[1])))
	if err != nil {
		return err
	}
	values.Set("token", string(token))
	path, err := url.Parse(at)
	if err != nil {
		return err
	}
	to, err := path.Parse(html.UnescapeString(string(action.FindSubmatch(form)[1])))
	if err != nil {
		return err
	}
	r := c.request("POST", to.RequestURI(), values, jar.header())
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if a, err = c.send(r); err != nil {
		return err
	}
	jar.take(a)
	for strings.HasPrefix(a.header.Get("Location"), "/") || strings.HasPrefix(a.header.Get("Location"), origin) {
		if _, a, err = c.follow(strings.TrimPrefix(a.header.Get("Location"), origin), jar); err != nil {
			return err
		}
	}
	return c.finish(f, a)
}

// follow gets a page of the provider, through its own redirects.
func (c *caller) follow(path string, jar cookies) (string, answer, error) {
	for range 5 {
		r := c.request("GET", path, nil, jar.header())
		a, err := c.send(r)
		if err != nil {
			return path, a, err
		}
		jar.take(a)
		to := strings.TrimPrefix(a.header.Get("Location"), "http://"+c.Host)
		if !strings.HasPrefix(to, "/") {
			return path, a, nil
		}
		path = to
	}
	return path, answer{}, errors.New("redirects without end")
}

// cookies of one browser at one provider.
type cookies map[string]string

func (j cookies) take(a answer) {
	for _, line := range a.header.Values("Set-Cookie") {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		j[name] = value
	}
}

func (j cookies) header() string {
	var b bytes.Buffer
	for name, value := range j {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(name + "=" + value)
	}
	return b.String()
}
