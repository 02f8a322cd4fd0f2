package citizen

import (
	"errors"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/attachment"
	"github.com/belfry-eid/belfry/portal/visit"
)

// What a person and the commune write to each other about an order.

const (
	maxReply = orders.MaxFiles*attachment.MaxSize + 64<<10 // of a whole message, in bytes
	inMemory = 64 << 10                                    // of it; the rest waits on disk
	sendFor  = 3 * time.Minute                             // for all of it
)

// thread is the part of an order's page that shows it.
type thread struct {
	Messages []orders.Message
	Language i18n.Language // of the clerks' messages
	Waiting  bool          // the commune waits for the person
	Question string
	Form     string // where a message is posted; no form where empty
	Seen     int
	File     string // what a file's address begins with
	Accept   string
	Text     string
	Errors   []page.Fault
	TextBad  string
	FilesBad string
}

func threadOf(v *visit.Visit, o orders.Order) thread {
	to := v.To("/orders/" + o.ID)
	c := thread{Messages: o.Messages, Language: o.Language, Waiting: o.State == orders.AwaitingCitizen, Seen: len(o.Messages), File: to + "/files/", Accept: attachment.Accept}
	if c.Waiting || o.State == orders.Submitted || o.State == orders.InReview {
		c.Form = to + "/message"
	}
	for _, m := range o.Messages {
		if c.Waiting && !m.FromPerson() {
			c.Question = m.Text
		}
	}
	return c
}

// message takes what a person writes, with files or without.
func (p *Pages) message(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	// Who sends slowly must not keep a connection for ever. A test's writer has no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendFor))
	err = r.ParseMultipartForm(inMemory)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return p.replyFailed(w, r, o, "", fault.New(fault.Invalid, "thread.too_large", nil))
	}
	if err != nil {
		return fault.New(fault.Invalid, "orders.message_missing", err)
	}
	defer r.MultipartForm.RemoveAll()
	text := r.PostForm.Get("text")
	seen, err := strconv.Atoi(r.PostForm.Get("seen"))
	if err != nil {
		seen = -1
	}
	files, shut, err := uploads(r.MultipartForm.File["files"])
	defer shut()
	if err != nil {
		return err
	}
	if _, err := p.orders.Reply(r.Context(), v.Commune.ID, o.ID, o.Subject, seen, text, files); err != nil {
		return p.replyFailed(w, r, o, text, err)
	}
	return web.See(w, r, v.To("/orders/"+o.ID)+"#thread")
}

// uploads opens the files of a form. A field that was left empty sends a file without name and content.
func uploads(sent []*multipart.FileHeader) (list []orders.Upload, shut func(), err error) {
	var open []multipart.File
	shut = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for _, h := range sent {
		if h.Filename == "" && h.Size == 0 {
			continue
		}
		f, err := h.Open()
		if err != nil {
			return nil, shut, err
		}
		open = append(open, f)
		list = append(list, orders.Upload{Name: h.Filename, Size: h.Size, Content: f})
	}
	return list, shut, nil
}

// replyFailed shows the page again with what is wrong, and what was typed.
func (p *Pages) replyFailed(w http.ResponseWriter, r *http.Request, o orders.Order, text string, problem error) error {
	e, ok := errors.AsType[*fault.Error](problem)
	if !ok || e.Kind != fault.Invalid && e.Key != "orders.thread_moved" {
		return problem
	}
	v := visit.Of(r)
	fresh, err := p.load(r) // where the commune has written meanwhile, it is shown
	if err != nil {
		return err
	}
	c := p.view(v, fresh)
	c.Thread.Text = text
	said := i18n.Message(v.Language, e.Key, e.Args)
	switch e.Key {
	case "orders.message_missing", "orders.thread_moved", "orders.form.too_long", "orders.form.characters":
		c.Thread.TextBad = said
		c.Thread.Errors = []page.Fault{{Field: "message", Text: said}}
	default:
		c.Thread.FilesBad = said
		c.Thread.Errors = []page.Fault{{Field: "files", Text: said}}
	}
	web.Note(r, "key", e.Key)
	frame := v.Frame(w, r, v.T("portal.order.title", "Product", o.Product.Label.In(v.Language), "Reference", o.Reference))
	frame.Back, frame.Failed = v.To("/orders"), true
	return p.render(w, "order", frame, c)
}

// toOrder is where a message's address leads that is opened: after signing in again.
func (p *Pages) toOrder(w http.ResponseWriter, r *http.Request) error {
	return web.See(w, r, visit.Of(r).To("/orders/"+r.PathValue("id")))
}

// file hands a person's own file back, to be saved.
func (p *Pages) file(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	o, err := p.load(r)
	if err != nil {
		return err
	}
	seq, err1 := strconv.Atoi(r.PathValue("seq"))
	n, err2 := strconv.Atoi(r.PathValue("n"))
	if err1 != nil || err2 != nil {
		return web.NotFound(w, r)
	}
	f, err := p.orders.Attachment(r.Context(), v.Commune.ID, o.ID, o.Subject, seq, n)
	if err != nil {
		return err
	}
	return visit.Attachment(w, f.Name, string(f.Type), f.Content)
}
