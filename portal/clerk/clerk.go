// Package clerk holds the desk: the pages by which a commune's staff handles orders.
//
// It owns the inbox, the order as a clerk sees it, the decision and the pages on
// who works here. It refuses to know how a paper is drawn and sealed. It guarantees
// that what is approved is what was shown, by the hash of its bytes (threat T10);
// that a decision is taken by somebody who used their card a short while ago (T11);
// and that whoever comes second hears who was first, when, and what became of it.
package clerk

import (
	"context"
	"embed"
	"errors"
	"net/http"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/portal/session"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
	"github.com/belfry-eid/belfry/signing"
)

// Orders is what the desk asks of the orders room; *orders.Service answers.
type Orders interface {
	Inbox(ctx context.Context, c commune.ID, f orders.Filter) (orders.Page, error)
	Counts(ctx context.Context, c commune.ID, subjects ...string) (orders.Counts, error)
	Assign(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, seen string, to orders.Colleague) (orders.Order, error)
	ForClerk(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (orders.Order, error)
	Own(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (bool, error)
	PrepareFor(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, signatory string, reason *string) (orders.Order, error)
	Signatories(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) ([]orders.Signatory, error)
	Products(c commune.ID) []*catalogue.Product
	PrefillFor(ctx context.Context, c commune.ID, clerk orders.Clerk, who orders.Applicant, product string) (orders.Prefill, error)
	Enter(ctx context.Context, c commune.ID, clerk orders.Clerk, e orders.Entry, who orders.Applicant, s orders.Submission) (orders.Order, error)
	AllowReading(ctx context.Context, c commune.ID, clerk orders.Clerk, session string) (string, error)
	ReadCard(ctx context.Context, c commune.ID, clerk orders.Clerk, session, permission string, card idfile.Identity, typed eid.NationalNumber) (orders.Reading, error)
	Tariff(c commune.ID, product string) (fee.Tariff, error)
	Receive(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, how orders.Payment, number string) (orders.Order, error)
	UndoReceipt(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, seq int, reason string) (orders.Order, error)
	EndMandate(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) error
	Letters(ctx context.Context, c commune.ID, clerk orders.Clerk) (list []orders.Order, more bool, err error)
	WaitingLetters(ctx context.Context, c commune.ID) (int, error)
	PrintLetters(ctx context.Context, c commune.ID, clerk orders.Clerk, ids []string) (orders.File, error)
	PostLetters(ctx context.Context, c commune.ID, clerk orders.Clerk, ids []string) (int, error)
	Sealed(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (orders.File, error)
	Preview(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (orders.File, error)
	Approve(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, content blob.Digest) (orders.Order, error)
	Ready(ctx context.Context, c commune.ID, clerk orders.Clerk) ([]orders.Order, error)
	Get(ctx context.Context, c commune.ID, id string) (orders.Order, error)
	PrepareSignature(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, content blob.Digest, certificate []byte) (signing.PendingSignature, error)
	ApproveSigned(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, content blob.Digest, request string, signature []byte) (orders.Order, error)
	Ask(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, text string) (orders.Order, error)
	Questions(ctx context.Context, c commune.ID) ([]orders.Question, error)
	SaveQuestion(ctx context.Context, c commune.ID, by orders.Clerk, q orders.Question) (orders.Question, error)
	DropQuestion(ctx context.Context, c commune.ID, by orders.Clerk, id string, version int64) error
	Resume(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (orders.Order, error)
	AddNote(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, text string) error
	AttachmentForClerk(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, seq, n int) (orders.AttachedFile, error)
	Attach(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, a orders.AttachedPaper) (orders.Order, error)
	AskSource(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, reason string) (orders.Order, error)
	Figures(ctx context.Context, c commune.ID, year int) (orders.Figures, error)
	Workloads(ctx context.Context, c commune.ID) ([]orders.Workload, error)
	Refuse(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, reasons orders.Reasons) (orders.Order, error)
	Withdraw(ctx context.Context, c commune.ID, id string, clerk orders.Clerk, cause orders.Cause, words string) (orders.Order, error)
	Replace(ctx context.Context, c commune.ID, id string, clerk orders.Clerk) (orders.Order, error)
}

// Pages serves the desk.
type Pages struct {
	orders      Orders
	staff       *staff.Register
	sessions    *session.Store
	delegations *delegation.Register
	kv          kv.Store
	now         clock.Clock
	cards       CardFiles     // nil where no card is read at the counter
	ports       []int         // of eid-agent
	held        chan struct{} // one place for each attached file in memory
	templates   *page.Templates
}

//go:embed all:templates
var templates embed.FS

// New parses the pages. cards checks what is read from a card, nil where none is; ports are
// those on which a card reading program may answer on a clerk's machine.
func New(o Orders, s *staff.Register, sessions *session.Store, d *delegation.Register, store kv.Store, now clock.Clock, cards CardFiles, ports []int) *Pages {
	return &Pages{orders: o, staff: s, sessions: sessions, delegations: d, kv: store, now: now, cards: cards, ports: ports, held: make(chan struct{}, inMemory), templates: page.Parse(templates)}
}

// Routes adds the desk's addresses, which the portal has freed of their language.
func (p *Pages) Routes(mux *http.ServeMux, site *web.Site) {
	look := func(pattern string, h web.Handler) { mux.Handle(pattern, site.Page(visit.Staff(p.now, h))) }
	decide := func(pattern string, h web.Handler) { mux.Handle(pattern, site.Page(visit.Fresh(p.now, h))) }
	look("GET /desk", p.inbox)
	look("GET /desk/orders/{id}", p.order)
	look("GET /desk/orders/{id}/standing", p.standing)
	look("GET /desk/orders/{id}/paper", p.sealed)
	look("POST /desk/orders/{id}/mandate", p.endMandate)
	look("GET /desk/new", p.askEntry)
	look("POST /desk/new", p.inquire)
	look("POST /desk/new/permission", p.allowReading)
	mux.Handle("POST /desk/new/card", site.Upload(visit.Staff(p.now, p.takeCard), 2*identityMax))
	look("GET "+shownPath, p.askShown)
	look("POST "+shownPath, p.takeShown)
	look("GET /desk/new/check", p.checkEntry)
	look("POST /desk/new/check", p.enterOrder)
	look("POST /desk/orders/{id}/assign", p.assign)
	look("POST /desk/assign", p.assignSome)
	look("GET /desk/orders/{id}/ask", p.askForm)
	look("POST /desk/orders/{id}/ask", p.ask)
	look("POST /desk/orders/{id}/resume", p.resume)
	look("POST /desk/orders/{id}/note", p.note)
	look("GET /desk/orders/{id}/files/{seq}/{n}", p.file)
	look("POST /desk/orders/{id}/prepare", p.prepare)
	look("GET /desk/orders/{id}/preview", p.preview)
	look("GET /desk/letters", p.letters)
	look("POST /desk/letters", p.sendLetters)
	look("POST /desk/orders/{id}/fee", p.receive)
	look("POST /desk/orders/{id}/fee/undo", p.undoReceipt)
	decide("POST /desk/orders/{id}/approve", approver(p.approve))
	look("GET /desk/orders/{id}/refuse", approver(p.asks(refusing)))
	decide("POST /desk/orders/{id}/refuse", approver(p.ends(refusing)))
	look("GET /desk/orders/{id}/withdrawal", approver(p.asks(withdrawing)))
	decide("POST /desk/orders/{id}/withdrawal", approver(p.ends(withdrawing)))
	decide("POST /desk/orders/{id}/replace", p.replace)
	p.attachRoutes(mux, site)
	look("GET /desk/ready", approver(p.ready))
	decide("POST /desk/ready/begin", approver(p.begin))
	decide("GET /desk/batches/{id}", p.showBatch)
	decide("POST /desk/batches/{id}/prepare", approver(p.answering(p.prepareSignature)))
	decide("POST /desk/batches/{id}/finish", approver(p.answering(p.finishSignature)))
	decide("POST /desk/batches/{id}/failed", p.answering(p.cardFailed))

	administer := func(pattern string, h web.Handler) { decide(pattern, administrator(h)) }
	look("GET /desk/staff", administrator(p.members))
	administer("POST /desk/staff/invite", p.invite)
	administer("POST /desk/staff/remove", p.remove)
	administer("POST /desk/staff/role", p.setRole)
	look("GET /desk/figures", p.figures)
	look("GET /desk/figures/file", p.figuresFile)
	look("GET /desk/absence", p.absences)
	look("POST /desk/absence", p.setAbsence)
	look("POST /desk/absence/end", p.endAbsence)
	administer("POST /desk/staff/withdraw", p.withdraw)
	look("GET "+questionsPath, administrator(p.questions))
	look("POST "+questionsPath, administrator(p.saveQuestion))
	look("GET "+questionsPath+"/{id}", administrator(p.question))
	look("POST "+questionsPath+"/{id}", administrator(p.saveQuestion))
	look("POST "+questionsPath+"/{id}/drop", administrator(p.dropQuestion))
	look("GET /desk/delegations", administrator(p.listDelegations))
	administer("POST /desk/delegations", p.recordDelegation)
	administer("POST /desk/delegations/end", p.endDelegation)
	mux.Handle("GET /desk/join", site.Page(p.askJoin))
	mux.Handle("POST /desk/join", site.Page(p.join))
}

// approver lets only those through who may decide about orders.
func approver(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !visit.Of(r).Member.Role.Approves() {
			return fault.New(fault.Forbidden, "staff.approvers_only", nil)
		}
		return h(w, r)
	}
}

// administrator lets only those through who may change who works here.
func administrator(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if visit.Of(r).Member.Role != staff.Administrator {
			return fault.New(fault.Forbidden, "clerk.staff.administrators_only", nil)
		}
		return h(w, r)
	}
}

// me is the clerk at the keyboard, as orders knows clerks.
func me(v *visit.Visit) orders.Clerk {
	return orders.Clerk{Subject: v.Person.Subject, Name: v.Person.Name(), Number: v.Person.Number, Administers: v.Member != nil && v.Member.Role == staff.Administrator}
}

func (p *Pages) render(w http.ResponseWriter, status int, name string, f page.Frame, content any) error {
	return p.templates.Render(w, status, name, f, content)
}

// moved answers whoever came second: who was first, when, and what became of the
// order. Every other error goes on to the error page.
func (p *Pages) moved(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Conflict {
		return err
	}
	v := visit.Of(r)
	id := r.PathValue("id")
	o, lost := p.orders.ForClerk(r.Context(), v.Commune.ID, id, me(v))
	if lost != nil {
		return err
	}
	web.Note(r, "key", e.Key)
	frame := v.Frame(w, r, v.T("clerk.moved.title"))
	return p.render(w, http.StatusConflict, "moved", frame, moved{
		Order: o, Key: e.Key, Text: i18n.Message(v.Language, e.Key, e.Args), By: o.ChangedBy, Again: o.State == orders.InReview, To: v.To("/desk/orders/" + id), Inbox: v.To("/desk"),
	})
}

type moved struct {
	Order orders.Order
	Key   string
	Text  string // of Key
	By    string // "" where the service itself was first
	Again bool   // the order may still be decided
	To    string
	Inbox string
}
