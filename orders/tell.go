package orders

import (
	"context"
	"fmt"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/notice"
)

// NoticeJob sends a person a mail about an order.
type NoticeJob struct {
	Commune commune.ID  `json:"commune"`
	Order   string      `json:"order"`
	About   notice.Kind `json:"about"`
	Seq     int         `json:"seq,omitempty"` // of the message it is about; 0 where about none
}

// Kind implements jobs.Args.
func (NoticeJob) Kind() string { return "orders.notice" }

// tell has a mail sent about the state reached, where the person gave an address.
func (s *Service) tell(tx *sqldb.Tx, r row, reached State) error {
	return s.tellOf(tx, r, notice.Kind(reached))
}

func (s *Service) tellOf(tx *sqldb.Tx, r row, about notice.Kind) error {
	if s.Mailer == nil || r.Email() == "" {
		return nil
	}
	return s.Jobs.Insert(tx, NoticeJob{Commune: r.Commune, Order: r.ID, About: about})
}

// received has a mail sent that the order has arrived; not where its paper comes at once, of
// which there is one to tell.
func (s *Service) received(tx *sqldb.Tx, r row) error {
	if r.Way == commune.FromSource && r.Attention == NoAttention && !r.Fee.Owed() {
		return nil
	}
	return s.tellOf(tx, r, notice.Received)
}

// notify sends one notice. A crash after sending and before noting it sends it again,
// under the same ID.
func (s *Service) notify(ctx context.Context, j NoticeJob) error {
	r, err := s.load(ctx, j.Commune, j.Order)
	if err != nil {
		return err
	}
	of, err := s.commune(j.Commune)
	if err != nil {
		return err
	}
	l := pageLanguage(of, r.Language) // what the person chose for this order, while it is offered
	m := notice.Message{
		ID: string(j.About) + "." + r.ID, To: r.Email(), From: of.NameIn(l), ReplyTo: of.Contact.Email, Language: l,
	}
	if j.Seq > 0 {
		m.ID = fmt.Sprintf("%s.%d.%s", j.About, j.Seq, r.ID)
	}
	m.Subject, m.Text = notice.Words(j.About, l, m.From, r.Reference, of.Origin()+"/"+string(l)+OrderPath+r.ID, followLink(of, l))
	if text := feeText(of, r, l); j.About == notice.Received && text != "" {
		cut := strings.LastIndex(strings.TrimRight(m.Text, "\n"), "\n\n") // above the commune's name
		m.Text = m.Text[:cut] + "\n\n" + text + m.Text[cut:]
	}
	inTraining(of, &m)
	kind := EventNotified
	if err := s.Mailer.Send(ctx, m); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		kind = EventUnnotified
	}
	at := s.now()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return addEvent(tx, j.Commune, j.Order, Event{At: at, Actor: Actor{Kind: ByService}, Kind: kind, Public: true, Detail: map[string]string{"About": string(j.About)}})
	})
}

// inTraining says of a message of a training commune that nothing in it is real.
func inTraining(of *commune.Commune, m *notice.Message) {
	if of.Training {
		m.Subject, m.Text = i18n.T(m.Language, "training.subject", "Subject", m.Subject), i18n.T(m.Language, "training.text")+"\n\n"+m.Text
	}
}
