package clerk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Several orders decided at once. A batch is no more than the list of what a clerk
// chose and why something of it failed: how far each order is, the order itself says,
// so that a batch can be stopped anywhere and gone on with.

// batchKept is how long a batch can be gone on with and its report read.
const batchKept = 12 * time.Hour

// batchMax bounds what is chosen at once, to be approved or given away; no list shows more.
const batchMax = 100

type batch struct {
	ID    string
	Clerk string // subject
	Sign  bool   // with the clerk's card
	Items []item
}

// item is an order and the content of it that was shown.
type item struct {
	Order   string
	Content blob.Digest
}

// failed is why an item was not decided, for the reader.
type failed struct {
	Key  string
	Args map[string]any
}

func batchKey(v *visit.Visit, id string) string {
	return "clerk/batch/" + string(v.Commune.ID) + "/" + id
}

func (b batch) failedKey(v *visit.Visit, order string) string {
	return batchKey(v, b.ID) + "/" + order
}

// ready lists what can be approved, before anything is.
func (p *Pages) ready(w http.ResponseWriter, r *http.Request) error {
	return p.showReady(w, r, http.StatusOK, "")
}

type readyPage struct {
	Rows    []readyRow
	Errors  []page.Fault
	Problem string
	All     bool // every one is ticked
	AllTo   string
	Action  string
	Sign    bool // the commune's clerks may sign with their cards
	Approve bool // and may do without
	Again   bool // the card was just used again; nothing has been decided yet
	Inbox   string
}

type readyRow struct {
	Order    orders.Order
	Value    string // "ORDER HASH"
	Href     string
	Preview  string
	Selected bool
}

func (p *Pages) showReady(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	v := visit.Of(r)
	list, err := p.orders.Ready(r.Context(), v.Commune.ID, me(v))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	c := readyPage{
		Problem: problem, All: q.Has("all"), AllTo: v.To("/desk/ready?all=1"), Action: v.To("/desk/ready/begin"), Again: q.Has("again"),
		Sign: v.Commune.ClerksMaySign(), Approve: !v.Commune.ClerksMustSign(), Inbox: v.To("/desk"),
	}
	for _, o := range list {
		href := v.To("/desk/orders/" + o.ID)
		c.Rows = append(c.Rows, readyRow{Order: o, Value: o.ID + " " + o.Paper.Content.String(), Href: href, Preview: href + "/preview", Selected: c.All})
	}
	frame := v.Frame(w, r, v.T("clerk.ready.title"))
	frame.Back = c.Inbox
	if problem != "" {
		frame.Failed = true
		c.Errors = []page.Fault{{Field: "order-0", Text: problem}}
	}
	return p.render(w, status, "ready", frame, c)
}

// begin makes a batch of what was ticked. Without card it is approved at once; with it
// the batch's page goes on.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	b := batch{ID: rand.Text(), Clerk: v.Person.Subject, Sign: r.PostForm.Get("way") == "sign"}
	for _, value := range r.PostForm["order"] {
		id, hash, _ := strings.Cut(value, " ")
		content, err := blob.ParseDigest(hash)
		if err != nil || id == "" || strings.ContainsAny(id, "/ ") {
			return fault.New(fault.Invalid, "clerk.order.hash_missing", err)
		}
		if !slices.ContainsFunc(b.Items, func(i item) bool { return i.Order == id }) {
			b.Items = append(b.Items, item{id, content})
		}
	}
	if len(b.Items) == 0 {
		return p.showReady(w, r, http.StatusUnprocessableEntity, v.T("clerk.ready.none_ticked"))
	}
	if len(b.Items) > batchMax {
		return fault.New(fault.Invalid, "clerk.ready.too_many", nil)
	}
	if err := p.keepBatch(r.Context(), v, b); err != nil {
		return err
	}
	if !b.Sign {
		for _, i := range b.Items {
			_, err := p.orders.Approve(r.Context(), v.Commune.ID, i.Order, me(v), i.Content)
			if err := p.noteFailure(r, b, i.Order, err); err != nil {
				return err
			}
		}
	}
	return web.See(w, r, v.To("/desk/batches/"+b.ID))
}

func (p *Pages) keepBatch(ctx context.Context, v *visit.Visit, b batch) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return p.kv.Put(ctx, batchKey(v, b.ID), text, batchKept)
}

// batchOf returns a clerk's own batch. Others' do not exist.
func (p *Pages) batchOf(r *http.Request) (batch, error) {
	v := visit.Of(r)
	missing := fault.New(fault.NotFound, "clerk.batch.missing", nil)
	text, err := p.kv.Get(r.Context(), batchKey(v, r.PathValue("id")))
	if errors.Is(err, kv.ErrMissing) {
		return batch{}, missing
	}
	if err != nil {
		return batch{}, err
	}
	var b batch
	if err := json.Unmarshal(text, &b); err != nil {
		return batch{}, err
	}
	if b.Clerk != v.Person.Subject {
		return batch{}, missing
	}
	return b, nil
}

// noteFailure keeps why an item was not decided. An error that has no words for a
// reader comes back: the batch stops there and can be gone on with.
func (p *Pages) noteFailure(r *http.Request, b batch, order string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind == fault.Internal {
		return err
	}
	web.Note(r, "key", e.Key)
	text, lost := json.Marshal(failed{e.Key, e.Args})
	if lost != nil {
		return lost
	}
	v := visit.Of(r)
	return p.kv.Put(r.Context(), b.failedKey(v, order), text, batchKept)
}

// standing is what became of an item; the texts are "clerk.batch.standing.NAME".
type standing string

const (
	decided   standing = "decided"   // by this clerk
	elsewhere standing = "elsewhere" // by somebody else, or it changed
	failing   standing = "failed"    // tried, and still to be decided
	left      standing = "left"      // not tried yet
	unknown   standing = "unknown"   // no order of this commune
)

type batchRow struct {
	Order    orders.Order // zero where it is unknown
	Standing standing
	Reason   string
	Href     string
	Preview  string
}

type batchPage struct {
	Sign                  bool // something is left that the clerk's card can sign
	Rows                  []batchRow
	Decided, Failed, Left int
	Elsewhere             int
	ID, To, Ready         string
	Waiting               []string // the orders to sign, as the script goes through them
	Again                 bool
	Commune, Ports, Host  string
}

// showBatch is the list before the PINs, and the report behind them.
func (p *Pages) showBatch(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	b, err := p.batchOf(r)
	if err != nil {
		return err
	}
	c := batchPage{ID: b.ID, To: v.To("/desk/batches/" + b.ID), Ready: v.To("/desk/ready"), Again: r.URL.Query().Has("again"),
		Commune: v.Commune.NameIn(v.Language), Ports: p.agentPorts(), Host: r.Host}
	for _, i := range b.Items {
		row, err := p.row(r, b, i)
		if err != nil {
			return err
		}
		c.add(row)
	}
	c.Sign = b.Sign && len(c.Waiting) > 0
	title := v.T("clerk.batch.report")
	if c.Sign && c.Decided+c.Failed+c.Elsewhere == 0 {
		title = v.T("clerk.batch.title", "Count", len(c.Rows))
	}
	frame := v.Frame(w, r, title)
	frame.Back = c.Ready
	if c.Sign {
		frame.Scripts = []string{script.Address()}
		web.Allow(w, "connect-src", append([]string{"'self'"}, p.agents()...)...)
	}
	return p.render(w, http.StatusOK, "batch", frame, c)
}

func (c *batchPage) add(row batchRow) {
	c.Rows = append(c.Rows, row)
	switch row.Standing {
	case decided:
		c.Decided++
	case elsewhere:
		c.Elsewhere++
	case failing, unknown:
		c.Failed++
	case left:
		c.Left++
	}
	if row.Standing == failing || row.Standing == left {
		c.Waiting = append(c.Waiting, row.Order.ID)
	}
}

func (p *Pages) row(r *http.Request, b batch, i item) (batchRow, error) {
	v := visit.Of(r)
	o, err := p.orders.Get(r.Context(), v.Commune.ID, i.Order)
	if fault.KindOf(err) == fault.NotFound {
		return batchRow{Standing: unknown, Reason: v.T("clerk.batch.unknown_text")}, nil
	}
	if err != nil {
		return batchRow{}, err
	}
	href := v.To("/desk/orders/" + o.ID)
	made := batchRow{Order: o, Href: href, Preview: href + "/preview", Standing: standingOf(o, i, b.Clerk)}
	if made.Standing != left {
		return made, nil
	}
	text, err := p.kv.Get(r.Context(), b.failedKey(v, o.ID))
	switch {
	case errors.Is(err, kv.ErrMissing):
		return made, nil
	case err != nil:
		return batchRow{}, err
	}
	var f failed
	if err := json.Unmarshal(text, &f); err != nil {
		return batchRow{}, err
	}
	made.Standing, made.Reason = failing, reason(v, f)
	return made, nil
}

// standingOf reads it from the order alone.
func standingOf(o orders.Order, i item, clerk string) standing {
	for _, e := range o.Events {
		if e.Kind == orders.EventApproved && e.Actor.Subject == clerk {
			return decided
		}
	}
	if o.State == orders.InReview && o.Paper != nil && o.Paper.Content == i.Content {
		return left
	}
	return elsewhere
}

// aboutSigning are the texts on cards that say something else at the desk than where
// somebody signs in.
var aboutSigning = []string{
	"card.revoked", "card.expired", "card.not_yet_valid", "card.wrong_use", "card.no_certificate", "card.no_reader_software", "card.cancelled", "card.timeout",
}

// reason is what a clerk reads of a failure.
func reason(v *visit.Visit, f failed) string {
	if slices.Contains(aboutSigning, f.Key) {
		f.Key = "clerk.sign." + strings.TrimPrefix(f.Key, "card.")
	}
	if n, ok := f.Args["Count"].(float64); ok { // as JSON keeps numbers
		f.Args["Count"] = int(n)
	}
	return i18n.Message(v.Language, f.Key, f.Args)
}
