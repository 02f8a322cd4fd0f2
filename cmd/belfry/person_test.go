package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/belfry-eid/belfry/internal/loopback"
)

// person is somebody with a browser that has no script: pages are read, links
// followed and forms filled by their names, as they stand in the HTML.
type person struct {
	t      testing.TB
	client *http.Client
	at     *url.URL
	status int
	header http.Header
	body   []byte
	page   *html.Node
}

func newPerson(t testing.TB) *person {
	jar, _ := cookiejar.New(nil)
	return &person{t: t, client: &http.Client{Jar: jar, Timeout: 60 * time.Second, Transport: &http.Transport{DialContext: loopback.DialContext}}}
}

// trusting adds a CA, from a PEM file, to those the browser believes.
func (p *person) trusting(ca string) *person {
	p.t.Helper()
	list, err := readCertificates(ca)
	if err != nil {
		p.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AddCert(c)
	}
	p.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	return p
}

// try is get without a failing test: for requests whose server may just have died.
func (p *person) try(r *http.Request) error {
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 32<<20))
	if err != nil {
		return err
	}
	p.at, p.status, p.header, p.body = answer.Request.URL, answer.StatusCode, answer.Header, body
	if p.page, err = html.Parse(bytes.NewReader(body)); err != nil {
		return err
	}
	if _, on, ok := strings.Cut(answer.Header.Get("Refresh"), "url="); ok { // browsers go on by themselves
		return p.tryGet(on)
	}
	return nil
}

func (p *person) tryGet(address string) error {
	r, err := http.NewRequest("GET", p.resolve(address), nil)
	if err != nil {
		return err
	}
	return p.try(r)
}

func (p *person) get(address string) {
	p.t.Helper()
	if err := p.tryGet(address); err != nil {
		p.t.Fatalf("open %s: %v", address, err)
	}
}

func (p *person) resolve(address string) string {
	u, err := url.Parse(address)
	if err != nil || p.at == nil {
		return address
	}
	return p.at.ResolveReference(u).String()
}

// send submits the form whose action holds part, with its own values and these.
func (p *person) send(part string, values ...string) {
	p.t.Helper()
	if err := p.trySend(part, values...); err != nil {
		p.t.Fatalf("%v", err)
	}
}

func (p *person) trySend(part string, values ...string) error {
	form := p.form(part)
	if form == nil {
		return fmt.Errorf("no form with action %q at %s (%d):\n%s", part, p.at, p.status, p.text())
	}
	fields := fieldsOf(form)
	for i := 0; i+1 < len(values); i += 2 {
		fields.Set(values[i], values[i+1])
	}
	action := p.resolve(attr(form, "action"))
	if !strings.EqualFold(attr(form, "method"), "post") {
		return p.tryGet(action + "?" + fields.Encode())
	}
	r, err := http.NewRequest("POST", action, strings.NewReader(fields.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.at.Scheme+"://"+p.at.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if r.URL.Host != p.at.Host {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return p.try(r)
}

func (p *person) form(part string) *html.Node {
	return find(p.page, func(n *html.Node) bool { return n.Data == "form" && strings.Contains(attr(n, "action"), part) })
}

// follow goes where the first link whose address holds part leads: of the content, or
// where that has none, of the page's head and foot.
func (p *person) follow(part string) {
	p.t.Helper()
	link := func(n *html.Node) bool { return n.Data == "a" && strings.Contains(attr(n, "href"), part) }
	a := find(find(p.page, func(n *html.Node) bool { return n.Data == "main" }), link)
	if a == nil {
		a = find(p.page, link)
	}
	if a == nil {
		p.t.Fatalf("no link to %q at %s (%d):\n%s", part, p.at, p.status, p.text())
	}
	p.get(attr(a, "href"))
}

// want fails the test unless the page was answered with status and holds every text.
func (p *person) want(status int, texts ...string) {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("%s answered %d, want %d:\n%s", p.at, p.status, status, p.text())
	}
	for _, s := range texts {
		if !strings.Contains(p.text(), s) {
			p.t.Fatalf("%s does not say %q:\n%s", p.at, s, p.text())
		}
	}
}

// text is what the page says, spaces folded.
func (p *person) text() string {
	if p.page == nil {
		return ""
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style" || n.Data == "head") {
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(p.page)
	return strings.Join(strings.Fields(b.String()), " ")
}

func find(n *html.Node, ok func(*html.Node) bool) *html.Node {
	if n == nil {
		return nil
	}
	if n.Type == html.ElementNode && ok(n) {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if found := find(c, ok); found != nil {
			return found
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// fieldsOf are the values a browser would send if the person only pressed the button.
func fieldsOf(form *html.Node) url.Values {
	values := url.Values{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && attr(n, "name") != "" {
			switch n.Data {
			case "input":
				kind := attr(n, "type")
				if (kind != "radio" && kind != "checkbox") || has(n, "checked") {
					values.Add(attr(n, "name"), attr(n, "value"))
				}
			case "textarea":
				if n.FirstChild != nil {
					values.Add(attr(n, "name"), n.FirstChild.Data)
				}
			case "select":
				if o := find(n, func(o *html.Node) bool { return o.Data == "option" && has(o, "selected") }); o != nil {
					values.Add(attr(n, "name"), attr(o, "value"))
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(form)
	return values
}
