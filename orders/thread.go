package orders

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/attachment"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
)

// What clerks and the person write to each other about an order. A question of a clerk
// has the order wait for the person, and the promised day waits with it.

// MessageKind says what a message is.
type MessageKind string

const (
	MessageQuestion MessageKind = "question" // of a clerk
	MessageAnswer   MessageKind = "answer"   // to one
	MessageAddition MessageKind = "addition" // what the person wrote unasked
)

// Message is one piece of an order's correspondence.
type Message struct {
	Seq   int
	At    time.Time
	Kind  MessageKind
	By    Colleague // who wrote; clerks' names are for clerks
	Text  string
	Files []Attachment
}

// FromPerson says whether the person wrote it.
func (m Message) FromPerson() bool { return m.Kind != MessageQuestion }

// Attachment is a file of a message, without its content.
type Attachment struct {
	N      int // 1 is the message's first
	Name   string
	Type   attachment.Kind
	Size   int64
	Digest blob.Digest
}

// Upload is a file that a person sends. Content stays open until the method it is given to
// returns.
type Upload struct {
	Name    string // as the sender calls it
	Size    int64
	Content io.ReaderAt
}

// AttachedFile is an attachment with its content, which the caller closes.
type AttachedFile struct {
	Attachment
	Content blob.File
}

const (
	// MaxMessage is the longest message, in characters.
	MaxMessage = 4000
	// MaxFiles is how many files one message may have.
	MaxFiles = 5
	// maxMessages is how many a person may write about one order.
	maxMessages = 30
)

// Template is a question that clerks ask often. Its words, in each of the four languages,
// are "orders.question.NAME.label" and "orders.question.NAME.text".
type Template string

// Templates lists every one, in the order of the page.
var Templates = []Template{"identity", "proof", "address", "purpose", "legible", "call"}

// Known says whether there is such a template.
func (t Template) Known() bool { return slices.Contains(Templates, t) }

// LabelKey and TextKey are the message keys of its words; the text is put in the person's language.
func (t Template) LabelKey() string { return "orders.question." + string(t) + ".label" }

// TextKey is the message key of what is asked.
func (t Template) TextKey() string { return "orders.question." + string(t) + ".text" }

// Ask has an order wait for the person's answer to a question. Its text has 1 to MaxMessage
// characters, in the person's language. Faults: orders.not_found; orders.own (Forbidden);
// orders.moved (Conflict); orders.form.invalid (Invalid).
func (s *Service) Ask(ctx context.Context, c commune.ID, id string, clerk Clerk, text string) (Order, error) {
	r, err := s.decidable(ctx, c, id, clerk, AwaitingCitizen)
	if err != nil {
		return Order{}, err
	}
	if text, err = messageText(text, 1); err != nil {
		return Order{}, err
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, AwaitingCitizen, by, at); err != nil {
			return err
		}
		if err := take(tx, r, by, at); err != nil {
			return err
		}
		seq, err := addMessage(tx, r, Message{At: at, Kind: MessageQuestion, By: Colleague{by.Subject, by.Name}, Text: text})
		if err != nil {
			return err
		}
		if err := s.happened(tx, r, by, EventAsked, at, true); err != nil {
			return err
		}
		if s.Mailer == nil || r.Email() == "" {
			return nil
		}
		return s.Jobs.Insert(tx, NoticeJob{Commune: c, Order: id, About: notice.Asked, Seq: seq})
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// Resume goes on with an order without the person's answer. Faults: orders.not_found;
// orders.own (Forbidden); orders.moved (Conflict) where it does not wait for one.
func (s *Service) Resume(ctx context.Context, c commune.ID, id string, clerk Clerk) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if r.State != AwaitingCitizen {
		return Order{}, movedFault(r)
	}
	if r, err = s.decidable(ctx, c, id, clerk, before(r)); err != nil {
		return Order{}, err
	}
	at, by := s.now(), clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, before(r), by, at); err != nil {
			return err
		}
		return s.happened(tx, r, by, EventResumed, at, true)
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// before is the state in which an order was before it waited for the person.
func before(r row) State {
	if r.Paper == nil {
		return Submitted
	}
	return InReview
}

// Reply adds what a person writes about their own order: the answer it waits for, which
// lets it go on, or something they thought of. It has a text, files, or both. seen is the
// number of messages that the person's page showed: one that is sent twice counts once.
// Faults: orders.not_found; orders.thread_closed (Conflict) once it is approved or closed;
// orders.thread_moved (Conflict) where the commune has written meanwhile;
// orders.message_missing, orders.form.invalid, orders.files_many and those of
// attachment.Check, with Arg File (Invalid); orders.messages_many (TooMany).
func (s *Service) Reply(ctx context.Context, c commune.ID, id, subject string, seen int, text string, files []Upload) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if r.Subject != subject {
		return Order{}, errNotFound
	}
	m, err := message(text, files)
	if err != nil {
		return Order{}, err
	}
	m.At, m.By = s.now(), Colleague{subject, r.Name()}
	have, err := s.messages(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if twice, err := again(have, seen, m, files); err != nil {
		return Order{}, err
	} else if twice {
		return s.ForCitizen(ctx, c, id, subject)
	}
	if err := mayReply(r, have, seen); err != nil {
		return Order{}, err
	}
	if m.Files, err = s.keep(ctx, c, files); err != nil {
		return Order{}, err
	}
	if err := s.reply(ctx, r, seen, m); err != nil {
		return Order{}, err
	}
	return s.ForCitizen(ctx, c, id, subject)
}

func message(text string, files []Upload) (Message, error) {
	min := 1
	if len(files) > 0 {
		min = 0
	}
	if len(files) > MaxFiles {
		return Message{}, fault.New(fault.Invalid, "orders.files_many", nil).With("Count", MaxFiles)
	}
	text, err := messageText(text, min)
	return Message{Text: text}, err
}

func messageText(raw string, min int) (string, error) {
	text, key := form.Text(raw, min, MaxMessage)
	switch key {
	case "":
		return text, nil
	case "orders.form.missing":
		return "", fault.New(fault.Invalid, "orders.message_missing", nil)
	}
	return "", fault.New(fault.Invalid, key, nil)
}

// again says whether a message is the last one, sent once more with the same files.
func again(have []Message, seen int, m Message, files []Upload) (bool, error) {
	if len(have) == 0 || seen >= len(have) {
		return false, nil
	}
	last := have[len(have)-1]
	if !last.FromPerson() || last.Text != m.Text || m.At.Sub(last.At) >= 10*time.Minute || len(last.Files) != len(files) {
		return false, nil
	}
	for i, f := range files {
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(f.Content, 0, min(f.Size, attachment.MaxSize+1))); err != nil {
			return false, err
		}
		if blob.Digest(sum.Sum(nil)) != last.Files[i].Digest {
			return false, nil
		}
	}
	return true, nil
}

func mayReply(r row, have []Message, seen int) error {
	switch {
	case r.State != AwaitingCitizen && r.State != Submitted && r.State != InReview:
		return fault.New(fault.Conflict, "orders.thread_closed", nil)
	case seen != len(have):
		return fault.New(fault.Conflict, "orders.thread_moved", nil)
	}
	written := 0
	for _, m := range have {
		if m.FromPerson() {
			written++
		}
	}
	if written >= maxMessages {
		return fault.New(fault.TooMany, "orders.messages_many", nil)
	}
	return nil
}

// keep checks each file and keeps it; nothing refers to it yet.
func (s *Service) keep(ctx context.Context, c commune.ID, files []Upload) ([]Attachment, error) {
	var kept []Attachment
	for i, f := range files {
		kind, err := attachment.Check(f.Content, f.Size)
		if e, ok := errors.AsType[*fault.Error](err); ok {
			return nil, e.With("File", attachment.Name(f.Name, ""))
		}
		if err != nil {
			return nil, err
		}
		d, err := s.Blobs.PutFrom(ctx, c, func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(f.Content, 0, f.Size))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("keep an attachment: %w", err)
		}
		kept = append(kept, Attachment{N: i + 1, Name: attachment.Name(f.Name, kind), Type: kind, Size: f.Size, Digest: d})
	}
	return kept, nil
}

func (s *Service) reply(ctx context.Context, r row, seen int, m Message) error {
	by := Actor{ByCitizen, r.Subject, r.Name()}
	kind := EventAdded
	m.Kind = MessageAddition
	if r.State == AwaitingCitizen {
		m.Kind, kind = MessageAnswer, EventAnswered
	}
	err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if r.State == AwaitingCitizen {
			if err := s.step(tx, r, before(r), by, m.At); err != nil {
				return err
			}
		}
		seq, err := addMessage(tx, r, m)
		if err != nil {
			return err
		}
		if seq != seen+1 {
			return errMoved
		}
		if err := one(tx.Exec(`UPDATE orders_order SET answered_at = $1, version = version + 1 WHERE commune = $2 AND id = $3 AND closed_at = 0 AND state IN ($4, $5)`,
			sqldb.Micros(m.At), string(r.Commune), r.ID, string(Submitted), string(InReview))); err != nil {
			return err
		}
		return s.happened(tx, r, by, kind, m.At, true)
	})
	if errors.Is(err, errMoved) {
		return fault.New(fault.Conflict, "orders.thread_moved", nil)
	}
	return err
}

// happened notes a step in the order's journal and in the audit log.
func (s *Service) happened(tx *sqldb.Tx, r row, by Actor, kind EventKind, at time.Time, public bool) error {
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: kind, Public: public}); err != nil {
		return err
	}
	return s.note(tx, r, by, "orders."+string(kind), at, nil)
}

// Attachment is a file of a person's own order, and logs that it was fetched. Fault
// orders.not_found (NotFound), also for an order of somebody else.
func (s *Service) Attachment(ctx context.Context, c commune.ID, id, subject string, seq, n int) (AttachedFile, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return AttachedFile{}, err
	}
	if r.Subject != subject {
		return AttachedFile{}, errNotFound
	}
	return s.attached(ctx, r, Actor{ByCitizen, subject, r.Name()}, seq, n)
}

// AttachmentForClerk is Attachment for a clerk (T11).
func (s *Service) AttachmentForClerk(ctx context.Context, c commune.ID, id string, clerk Clerk, seq, n int) (AttachedFile, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return AttachedFile{}, err
	}
	return s.attached(ctx, r, clerk.actor(), seq, n)
}

func (s *Service) attached(ctx context.Context, r row, by Actor, seq, n int) (AttachedFile, error) {
	have, err := s.messages(ctx, r.Commune, r.ID)
	if err != nil {
		return AttachedFile{}, err
	}
	i := slices.IndexFunc(have, func(m Message) bool { return m.Seq == seq })
	if i < 0 || n < 1 || n > len(have[i].Files) {
		return AttachedFile{}, errNotFound
	}
	f := AttachedFile{Attachment: have[i].Files[n-1]}
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.note(tx, r, by, "orders.attachment_read", s.now(), map[string]string{"file": f.Digest.String()})
	}); err != nil {
		return AttachedFile{}, err
	}
	if f.Content, err = s.Blobs.Open(ctx, r.Commune, f.Digest); err != nil {
		return AttachedFile{}, fmt.Errorf("order %s: attachment: %w", r.ID, err)
	}
	return f, nil
}
