// Package orderstest holds orders to its promises, on any database, and lends others
// a complete orders.Service to test with.
//
// It owns a small world (two communes, their people, a register, a renderer and a
// sealer that can be told to fail or to die at a stated point) and the suite Run. It
// refuses to know real keys, PDF and HTTP. The sealer keeps its grants in the same
// database, so that what is rolled back is gone there too.
package orderstest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/register"
)

// A and B are the two communes of the world: a French one, and one that issues in two languages.
const (
	A commune.ID = "beaumarais"
	B commune.ID = "zandvoorde"
)

// Noon is where the clock stands at first: Tuesday 3 February 2026, 12:00 in Brussels.
var Noon = time.Date(2026, 2, 3, 11, 0, 0, 0, time.UTC)

// World is an install in miniature.
type World struct {
	Service  *orders.Service
	DB       *sqldb.DB
	Clock    *clock.Hand
	Communes *commune.Communes
	Audit    *audit.Log
	Auditor  *Auditor
	Blobs    *Blobs
	Jobs     *jobs.Queue
	Register *Register
	Renderer *Renderer
	Sealer   *Sealer
	Proofs   *Sealer // another key
	Cards    *Cards
	Source   *Source
	Files    *Files
	Mail     *Mail
	// Delegations are of Clerk(0) to Clerk(9), for every paper, and of whom Delegate adds.
	Delegations *delegation.Register
	Log         *Log
}

// New makes a world upon an empty database. Its jobs run in Work and only there. change
// may put real parts in the place of those that stand in.
func New(t testing.TB, db *sqldb.DB, change ...func(*World, *orders.Config)) *World {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &World{
		DB: db, Clock: clock.NewHand(Noon), Register: &Register{people: map[eid.NationalNumber]register.Residence{}},
		Renderer: &Renderer{}, Source: &Source{}, Files: &Files{}, Mail: &Mail{}, Log: &Log{},
	}
	var err error
	w.Communes, err = commune.NewCommunes(communes())
	must(err)
	dir := t.TempDir()
	files, err := blob.NewDir(filepath.Join(dir, "blobs"))
	must(err)
	w.Blobs = &Blobs{Store: files}
	w.Audit, err = audit.New(db, filepath.Join(dir, "heads"))
	must(err)
	w.Auditor = &Auditor{log: w.Audit}
	w.Jobs, err = jobs.New(db, slog.New(slog.NewTextHandler(w.Log, nil)))
	must(err)
	w.Sealer, err = newSealer(ctx, db, w.Blobs)
	must(err)
	w.Proofs, err = newSealer(ctx, db, w.Blobs)
	must(err)
	w.Cards = &Cards{db: db, blobs: w.Blobs, asked: map[string]*asked{}}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	cfg := orders.Config{
		DB: db, Blobs: w.Blobs, Audit: w.Auditor, Jobs: w.Jobs, Clock: w.Clock.Now, Communes: w.Communes,
		Register: w.Register, Renderer: w.Renderer, Sealer: w.Sealer, Proofs: w.Proofs, Signatures: w.Cards,
		Sources: map[string]orders.Source{"rn": {Documents: w.Source, Seal: w.Source.Seal}}, Papers: w.Files, Secret: secret, Mailer: w.Mail,
	}
	for _, f := range change {
		f(w, &cfg)
	}
	w.Service, err = orders.New(ctx, cfg)
	must(err)
	w.Delegations, err = delegation.New(ctx, db, w.Audit, w.Clock.Now)
	must(err)
	for _, c := range []commune.ID{A, B} {
		var clerks []orders.Clerk
		for n := range 10 {
			clerks = append(clerks, Clerk(n))
		}
		w.Delegate(t, c, clerks...)
	}
	return w
}

func communes() []*commune.Commune {
	return []*commune.Commune{
		{
			ID: A, NIS: "99001", Name: map[i18n.Language]string{i18n.French: "Beaumarais"},
			Origins: []string{"https://guichet.beaumarais.example"}, LanguageRegime: "fr", EnglishPages: true,
			Contact: commune.Contact{Street: "Place du Beffroi 1", City: "9901 Beaumarais", Email: "population@beaumarais.example"},
		},
		{
			ID: B, NIS: "99002", Name: map[i18n.Language]string{i18n.Dutch: "Zandvoorde", i18n.French: "Sablevoorde"},
			Origins: []string{"https://loket.zandvoorde.example"}, LanguageRegime: "nl-fr", EnglishPages: true,
		},
	}
}

// Person makes somebody who lives in a commune, known to the register. n tells people apart.
func (w *World) Person(c commune.ID, n int) orders.Person {
	p := orders.Person{
		Subject: fmt.Sprintf("subject-%s-%d", c, n), Number: Number(n), GivenNames: "Luc Marie", Surname: fmt.Sprintf("Lambert%c", 'a'+rune(n%26)),
	}
	w.Register.Move(p, w.Home(c, p))
	return p
}

// Home is the register's answer for somebody who lives in a commune.
func (w *World) Home(c commune.ID, p orders.Person) register.Residence {
	of, _ := w.Communes.ByID(c)
	return register.Residence{
		Status: register.Registered, NIS: of.NIS, Commune: of.Name, Street: "Rue du Beffroi", House: "12", Box: "3", PostalCode: "9901",
		Locality: "Beaumarais", Since: "2019-05-01", GivenNames: p.GivenNames, Surname: p.Surname, BirthDate: "1985-07-30",
	}
}

// Number is the n-th national number with a month that does not exist.
func Number(n int) eid.NationalNumber {
	head := 857300000 + n
	number, err := eid.ParseNationalNumber(fmt.Sprintf("%09d%02d", head, 97-head%97))
	if err != nil {
		panic(err)
	}
	return number
}

// Clerk is somebody of a commune's staff.
func Clerk(n int) orders.Clerk {
	return orders.Clerk{Subject: fmt.Sprintf("clerk-%d", n), Name: fmt.Sprintf("Claire %d", n), Number: Number(90000 + n)}
}

// Delegate has clerks sign every paper of a commune in the mayor's place, from Noon on.
func (w *World) Delegate(t testing.TB, c commune.ID, clerks ...orders.Clerk) {
	t.Helper()
	var wg sync.WaitGroup
	for _, clerk := range clerks {
		wg.Go(func() { // at once, so that they share their commits
			if _, err := w.Delegations.Record(context.Background(), c, Decision(clerk), "operator"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Decision is a delegation of a clerk for every paper.
func Decision(clerk orders.Clerk) delegation.Delegation {
	return delegation.Delegation{Subject: clerk.Subject, Name: clerk.Name, Office: delegation.Mayor, From: Noon.Format(time.DateOnly), Decision: "arrêté 12"}
}

// Form is a form filled in for the residence paper.
func (w *World) Form(c commune.ID) orders.Submission {
	of, _ := w.Communes.ByID(c)
	return orders.Submission{
		Product: "residence", Version: 1, Language: of.Languages()[0], Key: orders.NewKey(),
		Answers: form.Answers{form.DocumentLanguage: string(of.DocumentLanguages()[0]), form.Email: "somebody@example.be"},
	}
}

// FormOf is a form filled in for another paper, in a language.
func (w *World) FormOf(c commune.ID, product string, l i18n.Language) orders.Submission {
	f := w.Form(c)
	f.Product = product
	f.Answers[form.DocumentLanguage] = string(l)
	return f
}

// Order makes an order by a new person n.
func (w *World) Order(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	o, err := w.Service.Submit(context.Background(), c, w.Person(c, n), w.Form(c))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Prepared is Order, prepared by Clerk(1) or another, in their own name.
func (w *World) Prepared(t testing.TB, c commune.ID, n int, by ...orders.Clerk) orders.Order {
	t.Helper()
	clerk := Clerk(1)
	if len(by) > 0 {
		clerk = by[0]
	}
	o, err := w.Service.Prepare(context.Background(), c, w.Order(t, c, n).ID, clerk)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Approved is Prepared, approved by Clerk(1) and not yet sealed.
func (w *World) Approved(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	o := w.Prepared(t, c, n)
	o, err := w.Service.Approve(context.Background(), c, o.ID, Clerk(1), o.Paper.Content)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Issued is Approved, sealed and delivered.
func (w *World) Issued(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	o := w.Approved(t, c, n)
	w.Work(t)
	return w.Get(t, c, o.ID)
}

// Withdrawn is Issued, and withdrawn by Clerk(1).
func (w *World) Withdrawn(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	o, err := w.Service.Withdraw(context.Background(), c, w.Issued(t, c, n).ID, Clerk(1), orders.FactsWrong, "L’adresse n’était plus la bonne.")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Get is an order as it stands.
func (w *World) Get(t testing.TB, c commune.ID, id string) orders.Order {
	t.Helper()
	o, err := w.Service.Get(context.Background(), c, id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Work runs every job there is, also those that wait for another try, until none is
// due; it does so as a process that starts and stops.
func (w *World) Work(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, step := range []func(context.Context) error{w.Jobs.Hurry, w.Jobs.Start, w.Jobs.Idle, w.Jobs.Stop} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Register is a National Register of people who were moved in.
type Register struct {
	mu     sync.Mutex
	people map[eid.NationalNumber]register.Residence
	houses map[eid.NationalNumber][]register.Member
	stays  map[eid.NationalNumber][]register.Stay
	other  map[eid.NationalNumber][]register.Nationality
	fail   error
}

// Move has a person live somewhere from now on.
func (r *Register) Move(p orders.Person, to register.Residence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people[p.Number] = to
}

// House has people be registered as one household from now on, the first of whom is the
// reference person. Somebody who was never housed lives alone.
func (r *Register) House(members ...register.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.houses == nil {
		r.houses = map[eid.NationalNumber][]register.Member{}
	}
	for _, m := range members {
		r.houses[m.Number] = members
	}
}

// Member is a person as one of a household.
func Member(p orders.Person, to register.Relation) register.Member {
	return register.Member{Number: p.Number, GivenNames: p.GivenNames, Surname: p.Surname, BirthDate: "1985-07-30", Relation: to, Since: "2019-05-01"}
}

// Household implements register.Source.
func (r *Register) Household(ctx context.Context, n eid.NationalNumber) ([]register.Member, error) {
	alone, err := r.Residence(ctx, n)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if house := r.houses[n]; len(house) > 0 {
		return house, nil
	}
	return []register.Member{{Number: n, GivenNames: alone.GivenNames, Surname: alone.Surname, BirthDate: alone.BirthDate, Relation: "reference", Since: alone.Since}}, nil
}

// Lived tells where a person was registered, instead of where they live alone.
func (r *Register) Lived(p orders.Person, stays ...register.Stay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stays == nil {
		r.stays = map[eid.NationalNumber][]register.Stay{}
	}
	r.stays[p.Number] = stays
}

// Belongs gives a person other nationalities than the Belgian one.
func (r *Register) Belongs(p orders.Person, to ...register.Nationality) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.other == nil {
		r.other = map[eid.NationalNumber][]register.Nationality{}
	}
	r.other[p.Number] = to
}

// History implements register.Source.
func (r *Register) History(ctx context.Context, n eid.NationalNumber) ([]register.Stay, error) {
	at, err := r.Residence(ctx, n)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if stays := r.stays[n]; len(stays) > 0 {
		return stays, nil
	}
	return []register.Stay{{From: at.Since, Country: register.Belgian, NIS: at.NIS, Commune: at.Commune, Street: at.Street, House: at.House, Box: at.Box, PostalCode: at.PostalCode, Locality: at.Locality}}, nil
}

// Nationality implements register.Source.
func (r *Register) Nationality(ctx context.Context, n eid.NationalNumber) ([]register.Nationality, error) {
	if _, err := r.Residence(ctx, n); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.other[n]; len(other) > 0 {
		return other, nil
	}
	return []register.Nationality{{Code: register.Belgian, Since: "1985-07-30"}}, nil
}

// Fail has every answer be err from now on, until it is nil.
func (r *Register) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Residence implements register.Source.
func (r *Register) Residence(_ context.Context, n eid.NationalNumber) (register.Residence, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return register.Residence{}, r.fail
	}
	found, ok := r.people[n]
	if !ok {
		return register.Residence{}, fault.New(fault.NotFound, "register.unknown_person", nil)
	}
	return found, nil
}

// Renderer writes a Document as JSON behind the first line of a PDF.
type Renderer struct {
	mu   sync.Mutex
	fail error
	last document.Document
}

// Fail has every drawing be err from now on, until it is nil.
func (r *Renderer) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Last is what was drawn last.
func (r *Renderer) Last() document.Document {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Render implements document.Renderer.
func (r *Renderer) Render(_ context.Context, d document.Document) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	r.last = d
	b, err := json.Marshal(d)
	return append([]byte("%PDF-1.7\n"), b...), err
}

// Blobs is a store that can be full.
type Blobs struct {
	blob.Store
	mu   sync.Mutex
	fail error
}

// Fail has every Put be err from now on, until it is nil.
func (b *Blobs) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// Put implements blob.Store.
func (b *Blobs) Put(ctx context.Context, c commune.ID, data []byte) (blob.Digest, error) {
	b.mu.Lock()
	err := b.fail
	b.mu.Unlock()
	if err != nil {
		return blob.Digest{}, err
	}
	return b.Store.Put(ctx, c, data)
}

// PutFrom implements blob.Store.
func (b *Blobs) PutFrom(ctx context.Context, c commune.ID, write func(io.Writer) error) (blob.Digest, error) {
	b.mu.Lock()
	err := b.fail
	b.mu.Unlock()
	if err != nil {
		return blob.Digest{}, err
	}
	return b.Store.PutFrom(ctx, c, write)
}

// Auditor is the audit log, and can refuse an entry.
type Auditor struct {
	log  *audit.Log
	mu   sync.Mutex
	fail error
}

// Fail has every entry be refused with err from now on, until it is nil.
func (a *Auditor) Fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = err
}

// Append implements orders.Auditor. It refuses after it has written, which is worse.
func (a *Auditor) Append(tx *sqldb.Tx, e audit.Entry) error {
	if err := a.log.Append(tx, e); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fail
}

// Since implements orders.Auditor.
func (a *Auditor) Since(ctx context.Context, c commune.ID, subjects []string, since time.Time) ([]audit.Entry, error) {
	return a.log.Since(ctx, c, subjects, since)
}

// Mail is what was sent.
type Mail struct {
	mu   sync.Mutex
	sent []notice.Message
	fail error
}

// Fail has every message be err from now on, until it is nil.
func (m *Mail) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Send implements notice.Mailer.
func (m *Mail) Send(_ context.Context, msg notice.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.sent = append(m.sent, msg)
	return nil
}

// Sent lists what was sent.
func (m *Mail) Sent() []notice.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]notice.Message(nil), m.sent...)
}

// Log is what was logged.
type Log struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
