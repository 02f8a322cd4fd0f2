package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing/verify"
	"github.com/belfry-eid/belfry/testcerts/softcard"
)

// The tests of these files break the whole stack (pages, database, files, token, time
// stamps) and look at what is left. BELFRY_TORTURE=1 makes each of them long.
var torture = os.Getenv("BELFRY_TORTURE") != ""

// stuckAfter is how long an order may take, from a restart to its paper, on a slow machine.
const stuckAfter = 60 * time.Second

// broken is a world in which the test itself starts belfry, and ends it as it likes.
type broken struct {
	*world
	token  *softcard.Faulty
	signed int // signatures of the token before this world
	config string
	server *server
	deals  []*deal
}

// server is one life of belfry.
type server struct {
	*trap
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// startBroken starts a world whose seals are reached through a token that can fail, and
// belfry in it. change, where not nil, alters the settings.
func startBroken(t testing.TB, change func(*belfryFile), args ...string) *broken {
	t.Helper()
	b := &broken{token: softcard.NewFaulty(t)}
	b.signed = b.token.Signatures()
	b.world = startOutside(t, append(args, "--alone")...)
	b.config = filepath.Join(b.dir, "broken.toml")
	b.settle(change)
	b.start()
	return b
}

// belfryFile is belfry.toml as far as these tests change it.
type belfryFile map[string]any

func (f belfryFile) table(name string) map[string]any { return f[name].(map[string]any) }

// settle copies the world's settings, with the failing module in the place of the good one.
func (b *broken) settle(change func(*belfryFile)) {
	b.t.Helper()
	text, err := os.ReadFile(b.Belfry.Config)
	if err != nil {
		b.t.Fatal(err)
	}
	f := belfryFile{}
	if err := toml.Unmarshal(text, &f); err != nil {
		b.t.Fatal(err)
	}
	for _, s := range f["seal"].([]any) {
		s.(map[string]any)["module"] = b.token.Module
	}
	if change != nil {
		change(&f)
	}
	if text, err = toml.Marshal(f); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.config, text, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Belfry.Config = b.config
}

// launch starts a new life of belfry and does not wait for it.
func (b *broken) launch() *server {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.Belfry.Log), 0o700); err != nil {
		b.t.Fatal(err)
	}
	log, err := os.OpenFile(b.Belfry.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	s := &server{cmd: exec.Command(b.belfry, "serve", "--config", b.config), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = os.Environ()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.trap = startTrapped(b.t, s.cmd)
	go func() { s.cmd.Wait(); close(s.done) }()
	b.t.Cleanup(s.kill)
	b.server = s
	return s
}

// start starts a new life of belfry and waits until it is ready.
func (b *broken) start() {
	b.t.Helper()
	s := b.launch()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(b.Belfry.Operator + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if s.ended() || time.Now().After(end) {
			b.t.Fatalf("belfry does not get ready: %v\n%s", err, b.log(20))
		}
	}
}

func (s *server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.done
}

func (b *broken) restart() {
	b.t.Helper()
	b.server.kill()
	b.start()
}

func (b *broken) log(lines int) string {
	text, _ := os.ReadFile(b.Belfry.Log)
	return tail(string(text), lines)
}

// calls is how many signatures the token has made in this world.
func (b *broken) calls() int { return b.token.Signatures() - b.signed }

// deal is one order on its way: somebody who orders and a clerk who decides, both of
// whom try again when they are not answered.
type deal struct {
	b       *broken
	citizen *person
	desk    *person
	from    *place // where the citizen sends the order from
	address string // of the order, once it was acknowledged
	pdf     []byte
}

// place is where somebody stands, to come back to.
type place struct{ p person }

func (p *person) here() *place    { return &place{*p} }
func (p *person) back(at *place)  { *p = at.p }
func (p *person) also() *person   { q := *p; return &q } // another window of the same browser
func (p *person) answered() bool  { return p.status > 0 && p.status < 500 }
func (p *person) sentOff() bool   { return p.answered() && strings.HasSuffix(p.at.Path, "/sent") }
func (p *person) downloads() bool { return p.status == 200 && bytes.HasPrefix(p.body, []byte("%PDF-")) }

// insist does f from where p stands until the answer is good.
func (p *person) insist(patience time.Duration, f func() error, good func() bool) error {
	from := p.here()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		p.back(from)
		p.status = 0
		err := f()
		if err == nil && good() {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not in %v: %v; %s answered %d: %s", patience, err, p.at, p.status, p.text())
		}
	}
}

// signedIn is a citizen of beaumarais who stands at the commune's first page.
func (b *broken) signedIn(name string) *person { b.t.Helper(); return b.signedInAt("beaumarais", name) }

func (b *broken) signedInAt(commune, name string) *person {
	b.t.Helper()
	p := atCard(b.world, commune)
	p.signIn(b.world, b.card(name))
	p.want(200)
	return p
}

// newDeal brings an order to the page it is sent from.
func (b *broken) newDeal(citizen, desk *person) *deal {
	b.t.Helper()
	return b.newDealAt("beaumarais", citizen, desk)
}

// ordered are the papers of deals, in turn: of one paper a person has one form at a time,
// whatever browser they fill it in, and the same two people order from several.
var ordered = []string{"residence", "household", "residence_history", "life"}

func (b *broken) newDealAt(commune string, citizen, desk *person) *deal {
	b.t.Helper()
	d := &deal{b: b, citizen: citizen.also(), desk: desk.also()}
	d.citizen.get(fmt.Sprintf("%s/%s/documents/%s/form", b.origin(commune), official[commune], ordered[len(b.deals)/2%len(ordered)]))
	d.citizen.want(200)
	d.citizen.send("/form", "document_language", official[commune], "contact", "none", "delivery", "download")
	d.citizen.want(200)
	d.from = d.citizen.here()
	b.deals = append(b.deals, d)
	return d
}

// submit sends the order until it is acknowledged: always the same form, so the same key.
func (d *deal) submit() error {
	d.citizen.back(d.from)
	if err := d.citizen.insist(stuckAfter, func() error { return d.citizen.trySend("/send") }, d.citizen.sentOff); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	d.address = strings.TrimSuffix(d.citizen.at.String(), "/sent")
	return nil
}

func (d *deal) deskPage() string { return strings.Replace(d.address, "/orders/", "/desk/orders/", 1) }

// decide takes the order through the desk: whatever button is there is pressed.
func (d *deal) decide() error {
	for end := time.Now().Add(stuckAfter); ; time.Sleep(20 * time.Millisecond) {
		err := d.desk.tryGet(d.deskPage())
		switch {
		case err != nil || d.desk.status != 200:
		case d.desk.form("/approve") != nil:
			err = d.desk.trySend("/approve")
		case d.desk.form("/prepare") != nil:
			err = d.desk.trySend("/prepare")
		default:
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("decide: %v; %s answered %d: %s", err, d.desk.at, d.desk.status, d.desk.text())
		}
	}
}

// fetch waits for the paper.
func (d *deal) fetch() error {
	err := d.citizen.insist(stuckAfter, func() error { return d.citizen.tryGet(d.address + "/document") }, d.citizen.downloads)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	d.pdf = d.citizen.body
	return nil
}

func (d *deal) all() error {
	for _, step := range []func() error{d.submit, d.decide, d.fetch} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lives is what became of belfry while deals were done.
type lives struct {
	exits   []int         // of each process that ended: -1 for kill -9
	slowest time.Duration // from the last start to the last paper
}

// through does a step of many deals at once, and starts belfry again whenever it has ended.
func (b *broken) through(deals []*deal, step func(*deal) error) (l lives) {
	b.t.Helper()
	var wg sync.WaitGroup
	for _, d := range deals {
		wg.Go(func() {
			if err := step(d); err != nil {
				b.t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for begin := time.Now(); ; {
		select {
		case <-b.server.done:
			l.exits = append(l.exits, b.server.cmd.ProcessState.ExitCode())
			b.start()
			begin = time.Now()
		case <-done:
			if b.t.Failed() {
				b.t.Fatalf("belfry's log:\n%s", b.log(40))
			}
			l.slowest = time.Since(begin)
			return l
		}
	}
}

// database opens belfry's database beside it.
func (b *broken) database() *sqldb.DB {
	b.t.Helper()
	s, err := loadSettings(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), s.Database.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { db.Close() })
	return db
}

// ledger is what the database says of a world, in numbers.
type ledger struct {
	orders, numbers, papers, grants, attempts, answered, void int
}

func (l ledger) String() string {
	return fmt.Sprintf("%d orders, %d numbers, %d papers, %d grants, %d attempts (%d void)", l.orders, l.numbers, l.papers, l.grants, l.attempts, l.void)
}

func (b *broken) ledger(db *sqldb.DB) (l ledger) {
	b.t.Helper()
	for query, n := range map[string]*int{
		`SELECT COUNT(*) FROM orders_order`:                                          &l.orders,
		`SELECT COUNT(*) FROM orders_paper`:                                          &l.numbers,
		`SELECT COUNT(*) FROM orders_paper WHERE document <> '' AND issued_at > 0`:   &l.papers,
		`SELECT COUNT(*) FROM signing_grant`:                                         &l.grants,
		`SELECT COUNT(*) FROM signing_attempt`:                                       &l.attempts,
		`SELECT COUNT(*) FROM signing_attempt WHERE state IN ('signed', 'finished')`: &l.answered,
		`SELECT COUNT(*) FROM signing_attempt WHERE state = 'void'`:                  &l.void,
	} {
		if err := db.QueryRow(context.Background(), query).Scan(n); err != nil {
			b.t.Fatalf("%s: %v", query, err)
		}
	}
	return l
}

// holds checks what must be true whatever happened, given that every deal is done:
// as many orders, numbers and papers as were acknowledged; numbers without a gap that no
// void row explains; one finished attempt for each paper; no call of the token without
// its attempt; every paper valid; no file that is not what its name says; the journal.
func (b *broken) holds() ledger {
	b.t.Helper()
	db := b.database()
	l := b.ledger(db)
	if n := len(b.deals); l.orders != n || l.numbers != n || l.papers != n || l.grants != n {
		b.t.Errorf("%d orders were acknowledged; the database has %v", n, l)
	}
	if calls := b.calls(); calls > l.attempts || calls < l.answered {
		b.t.Errorf("the token signed %d times for %d attempts, of which %d have an answer", calls, l.attempts, l.answered)
	}
	b.numbers(db)
	b.files(db)
	b.papers()
	if b.t.Failed() {
		b.t.Fatalf("belfry's log:\n%s", b.log(40))
	}
	return l
}

// numbers are given from 1 on in each commune, each once.
func (b *broken) numbers(db *sqldb.DB) {
	b.t.Helper()
	for _, commune := range b.column(db, `SELECT DISTINCT commune FROM orders_paper`) {
		given := b.column(db, `SELECT number FROM orders_paper WHERE commune = '`+commune+`' ORDER BY number`)
		for i, n := range given {
			if _, counter, _ := strings.Cut(n, "-"); counter != fmt.Sprintf("%06d", i+1) {
				b.t.Errorf("%s: number %s in place %d: %v", commune, n, i+1, given)
				return
			}
		}
		b.command(0, "journal", "--config", b.config, commune)
	}
	twice := b.column(db, `SELECT grant_id FROM signing_attempt WHERE state = 'finished' GROUP BY commune, grant_id HAVING COUNT(*) <> 1`)
	if len(twice) > 0 {
		b.t.Errorf("two finished attempts: %v", twice)
	}
}

func (b *broken) column(db *sqldb.DB, query string) (list []string) {
	b.t.Helper()
	rows, err := db.Query(context.Background(), query)
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			b.t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// files are what their names say, and those that the database names are there.
func (b *broken) files(db *sqldb.DB) {
	b.t.Helper()
	there := map[string]bool{}
	s, err := loadSettings(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	store, err := s.openBlobs()
	if err != nil {
		b.t.Fatal(err)
	}
	err = store.Each(context.Background(), func(c commune.ID, d blob.Digest) error {
		if _, err := store.Read(context.Background(), c, d); err != nil {
			b.t.Error(err)
		}
		there[d.String()] = true
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, query := range []string{
		`SELECT content FROM orders_paper WHERE content <> ''`, `SELECT document FROM orders_paper WHERE document <> ''`,
		`SELECT content FROM signing_grant`, `SELECT document FROM signing_grant WHERE document IS NOT NULL`,
	} {
		for _, name := range b.column(db, query) {
			if !there[name] {
				b.t.Errorf("the database names %s, which is no file (%s)", name, query)
			}
		}
	}
}

func (b *broken) data() string {
	s, err := loadSettings(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Server.Data
}

// papers are valid and each is another.
func (b *broken) papers() {
	b.t.Helper()
	roots, err := readCertificates(b.PKI.Roots)
	if err != nil {
		b.t.Fatal(err)
	}
	var seen [][]byte
	for _, d := range b.deals {
		if slices.ContainsFunc(seen, func(other []byte) bool { return bytes.Equal(other, d.pdf) }) {
			b.t.Error("two orders have one paper")
		}
		seen = append(seen, d.pdf)
		b.valid(d.pdf, roots)
	}
}

func (b *broken) valid(pdf []byte, roots []*x509.Certificate) {
	b.t.Helper()
	report := verify.File(bytes.NewReader(pdf), int64(len(pdf)), verify.Options{Roots: roots, Now: time.Now()})
	s := report.Signatures // the seal, and the stamp upon all of it
	if report.Result != verify.Valid || len(s) != 2 || s[0].Kind != verify.Signing || s[1].Kind != verify.Stamping || !s[1].WholeFile {
		b.t.Errorf("a paper is %s with %+v", report.Result, s)
	}
}
