package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/internal/blob/s3"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv/redis"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/seal"
)

type checkCmd struct {
	settingsFlag
}

// question is one thing an install needs; ask returns what was seen, for the line.
type question struct {
	what string
	ask  func(context.Context) (string, error)
}

// Run asks the world and prints a line for each answer; it exits 1 where one is bad.
func (c *checkCmd) Run() error {
	in, err := c.open(context.Background())
	if err != nil {
		return err
	}
	defer in.Close()
	fmt.Printf("ok      settings: %s\n", in.settings.file)
	bad := 0
	list := in.questions()
	more, err := in.upstreamQuestions()
	if err != nil {
		return err
	}
	for _, q := range append(list, more...) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		seen, err := q.ask(ctx)
		cancel()
		if err != nil {
			bad++
			fmt.Printf("NOT OK  %s: %v\n", q.what, err)
			continue
		}
		fmt.Printf("ok      %s: %s\n", q.what, seen)
	}
	if bad > 0 {
		return exitCode(1)
	}
	return nil
}

func (in *install) questions() []question {
	list := []question{
		{"database", in.checkDatabase},
		{"cards", in.checkCards},
		{"timestamps", in.checkStamps},
		{"register", in.checkRegister},
		{"documents", in.checkRenderer},
		{"provider " + in.settings.Provider.Issuers[0], in.checkProvider},
	}
	if store, ok := in.blobs.(*s3.Store); ok {
		list = append(list, question{"s3", func(ctx context.Context) (string, error) { return in.settings.S3.Bucket, store.Ping(ctx) }})
	}
	if store, ok := in.kv.(*redis.Store); ok {
		list = append(list, question{"redis", func(ctx context.Context) (string, error) {
			return strings.Join(in.settings.Redis.Addresses, ", "), store.Ping(ctx)
		}})
	}
	for _, f := range in.settings.Federal {
		list = append(list, question{fmt.Sprintf("sign-in of %s by %s", f.Commune, f.Provider), func(ctx context.Context) (string, error) { return in.checkFederal(ctx, f) }})
	}
	if len(in.settings.Lasting.Hosts) > 0 {
		list = append(list, question{"lasting", in.checkLasting})
	}
	if len(in.settings.Clients) > 0 {
		list = append(list, question{"applications", in.checkClients})
	}
	if in.settings.Lists.LOTL != "" {
		list = append(list, question{"trusted lists", in.checkLists})
	}
	if in.settings.Mail.SMTP != "" {
		list = append(list, question{"mail " + in.settings.Mail.SMTP, in.checkMail})
	}
	if in.settings.Server.TLS != nil {
		list = append(list, question{"server.tls", func(context.Context) (string, error) { return in.settings.checkTLS() }})
	}
	for _, id := range in.settings.missingSeals() {
		list = append(list, question{"seal of " + string(id), checkNoSeal})
	}
	list = append(list, in.sourceQuestions()...)
	for _, k := range in.settings.Seals {
		list = append(list, question{fmt.Sprintf("seal of %s, key %q", k.Commune, k.Key), func(ctx context.Context) (string, error) { return in.checkSeal(ctx, k) }})
	}
	for _, c := range in.communes.All() {
		list = append(list, question{"languages of " + string(c.ID), func(context.Context) (string, error) { return c.SpeaksOf(), nil }})
		list = append(list, question{"fees of " + string(c.ID), func(context.Context) (string, error) { return feesOf(c) }})
		if c.Theme.Logo != "" {
			list = append(list, question{"logo of " + string(c.ID), func(context.Context) (string, error) { return checkLogo(c.Theme.Logo) }})
		}
		if len(c.Closed) > 0 {
			list = append(list, question{"closed days of " + string(c.ID), func(context.Context) (string, error) { return closedNext(c), nil }})
		}
		if c.ClerksMaySign() {
			list = append(list, question{"clerks of " + string(c.ID), func(context.Context) (string, error) {
				return fmt.Sprintf("sign with their own cards (%s): the papers hold their national numbers", c.ClerkSignature), nil
			}})
		}
		list = append(list, question{"journal of " + string(c.ID), func(ctx context.Context) (string, error) {
			return "the chain holds", in.audit.Verify(ctx, c.ID)
		}})
	}
	return list
}

func checkLogo(path string) (string, error) {
	l, err := readLogo(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d by %d pixels", path, l.Width, l.Height), nil
}

// closedNext tells the closed days of the year to come, as they are counted.
func closedNext(c *commune.Commune) string {
	now := clock.System()
	var all []string
	for _, g := range c.Calendar().Closures(now, now.AddDate(1, 0, -1)) {
		all = append(all, fmt.Sprintf("%s to %s, work goes on %s", g.First.Format(time.DateOnly), g.Last.Format(time.DateOnly), g.Resumes.Format(time.DateOnly)))
	}
	if len(all) == 0 {
		return "those of the settings are over"
	}
	return strings.Join(all, "; ")
}

func (in *install) checkDatabase(ctx context.Context) (string, error) {
	return in.settings.databaseName(), in.db.Write(ctx, func(tx *sqldb.Tx) error {
		var one int
		return tx.QueryRow(`SELECT 1`).Scan(&one)
	})
}

// databaseName is the address without what may be a password.
func (s *Settings) databaseName() string {
	scheme, rest, _ := strings.Cut(s.Database.URL, ":")
	if scheme == "sqlite" {
		return rest
	}
	return scheme
}

// checkClients names the applications of the settings, and those that are told the
// national number: until when, and by which exception.
func (in *install) checkClients(context.Context) (string, error) {
	registry, err := in.clients()
	if err != nil {
		return "", err
	}
	var all []string
	for _, s := range in.settings.Clients {
		line := s.ID
		if c, ok := registry.ByID(s.ID); ok && c.MayKnowNumber(clock.System()) {
			line += " (is told the national number until " + c.NationalNumber.Until.Format(time.DateOnly)
			if c.Profile != client.High {
				line += ", by exception: " + c.NationalNumber.Exception
			}
			line += ")"
		}
		all = append(all, line)
	}
	return strings.Join(all, ", "), nil
}

func (in *install) checkCards(context.Context) (string, error) {
	if _, err := in.cards(); err != nil {
		return "", err
	}
	roots, err := readCertificates(in.settings.Cards.Roots)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d roots", len(roots)), nil
}

func (in *install) checkStamps(ctx context.Context) (string, error) {
	client, err := in.stamper()
	if err != nil {
		return "", err
	}
	policy, err := in.settings.Lasting.policy()
	if err != nil {
		return "", err
	}
	stamp, err := client.Stamp(ctx, signing.ImprintOf(policy.Hash(), []byte("belfry check")))
	if err != nil {
		return "", err
	}
	return "stamped by " + stamp.Authority, nil
}

// checkSeal tries the key in each of its tokens and reads how long its certificate is good.
func (in *install) checkSeal(ctx context.Context, k SealSettings) (string, error) {
	kind := signing.Approval
	if k.Operator {
		kind = signing.Operator
	}
	key, err := in.sealKey(k, kind)
	if err != nil {
		return "", err
	}
	var seen []string
	for i, t := range key.Tokens {
		line, err := in.checkToken(ctx, k.Level, t)
		if err != nil {
			return "", fmt.Errorf("token %q: %w", k.tokens()[i].Token, err)
		}
		if i > 0 {
			line = "spare: " + line
		}
		seen = append(seen, line)
	}
	return strings.Join(seen, "; ") + ", level " + k.Level, nil
}

func (in *install) checkToken(ctx context.Context, level string, t seal.Token) (string, error) {
	if err := tryKey(t); err != nil {
		return "", err
	}
	leaf, now := t.Chain[0], clock.System()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return "", fmt.Errorf("the certificate is not valid today: %s to %s", leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))
	}
	if signing.Reaches(level, signing.LevelBLT) {
		extender, err := in.extender(nil)
		if err != nil {
			return "", err
		}
		if err := extender.Confirm(ctx, leaf, t.Chain[1:]); err != nil {
			return "", fmt.Errorf("nobody proves the certificate valid: %w", err)
		}
	}
	seen := fmt.Sprintf("%s, valid until %s", leaf.Subject.CommonName, leaf.NotAfter.Format(time.DateOnly))
	if leaf.NotAfter.Sub(now) < soon {
		seen += " – RENEW IT SOON"
	}
	return seen, nil
}

// tryKey signs random bytes with the key and verifies them with the certificate: a key and
// a certificate that do not belong together are found here and not at the first order.
func tryKey(t seal.Token) error {
	var random [32]byte
	rand.Read(random[:])
	u, err := cms.Prepare(hashed(random[:], t), t.Chain)
	if err != nil {
		return err
	}
	u.PSS = t.PSS
	signature, err := t.Signer.Sign(rand.Reader, u.Digest(), u.Options())
	if err != nil {
		return err
	}
	return u.Check(signature)
}

// hashed is as long as the hash that goes with the key.
func hashed(random []byte, t seal.Token) []byte {
	h, err := cms.HashFor(t.Chain[0].PublicKey)
	if err != nil {
		return nil // Prepare says why
	}
	sum := h.New()
	sum.Write(random)
	return sum.Sum(nil)
}

// checkLasting says how many documents wait to be stamped again.
func (in *install) checkLasting(ctx context.Context) (string, error) {
	sealer, err := in.lasting()
	if err != nil {
		return "", err
	}
	var all, due int
	var first time.Time
	for _, c := range in.communes.All() {
		l, err := sealer.Lasting(ctx, c.ID)
		if err != nil {
			return "", err
		}
		all, due = all+l.Documents, due+l.Due
		if first.IsZero() || !l.FirstEnds.IsZero() && l.FirstEnds.Before(first) {
			first = l.FirstEnds
		}
	}
	seen := fmt.Sprintf("%d documents, %d wait for renewal", all, due)
	if !first.IsZero() {
		seen += ", the first timestamp ends on " + first.Format(time.DateOnly)
	}
	return seen, nil
}

// checkRegister only asks whether somebody answers: a question about a person needs a reason.
func (in *install) checkRegister(ctx context.Context) (string, error) {
	if in.settings.Register.URL == "" {
		return "none: clerks look people up in the commune's own software", nil
	}
	if in.settings.Register.TokenFile != "" {
		if _, err := readSecret(in.settings.Register.TokenFile); err != nil {
			return "", fmt.Errorf("register.token_file: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, "GET", in.settings.Register.URL, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	return "somebody answers", nil
}

func (in *install) checkRenderer(ctx context.Context) (string, error) {
	typst, err := in.renderer()
	if err != nil {
		return "", err
	}
	began := time.Now()
	pdf, err := typst.Render(ctx, document.Document{
		Template: "residence", Language: i18n.French, Commune: document.Commune{Name: "belfry check"}, Title: "belfry check",
		Number: "0000-000000", Date: clock.System(), Intro: "belfry check", Facts: []document.Fact{{Label: "belfry", Value: "check"}}, Legal: "belfry check",
		Seal: document.Seal{Name: "belfry check"}, Verify: document.Verify{URL: "https://localhost/v/check", Page: "https://localhost/verify", Code: "CHECK-CHECK"}, Specimen: true,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("a page of %d KB in %d ms", len(pdf)>>10, time.Since(began).Milliseconds()), nil
}

// checkProvider asks for the discovery document by the public address, as a citizen's
// commune would: a proxy that forgets the host name is found here.
func (in *install) checkProvider(ctx context.Context) (string, error) {
	issuer := in.settings.Provider.Issuers[0]
	r, err := http.NewRequestWithContext(ctx, "GET", issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", err
	}
	roots, err := in.providerRoots()
	if err != nil {
		return "", err
	}
	answer, err := backChannel(roots).Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var found struct{ Issuer string }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&found); err != nil || answer.StatusCode != http.StatusOK {
		return "", errors.Join(fmt.Errorf("%s instead of a discovery document: is the service running, and does the proxy keep the Host header?", answer.Status), err)
	}
	if found.Issuer != issuer {
		return "", fmt.Errorf("it calls itself %s: does the proxy set X-Forwarded-Proto, and is it in server.proxies?", found.Issuer)
	}
	return "answers as itself", nil
}

func (in *install) checkMail(ctx context.Context) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", in.settings.Mail.SMTP)
	if err != nil {
		return "", err
	}
	return "somebody answers", conn.Close()
}
