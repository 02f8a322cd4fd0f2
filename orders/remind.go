package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
)

// Reminding people of forms that they left half-way: the day after, and before the form is
// forgotten. The mail goes to the address typed into it, else to the one they gave last
// time; where there is none, nobody is reminded. Changing the form begins anew.

const (
	remindAfter  = 20 * time.Hour     // since it was last changed: the next daily round
	remindBefore = 2 * 24 * time.Hour // it is forgotten
	remindEvery  = 6 * time.Hour
	remindMost   = 500 // in one round of a commune
)

// RemindJob reminds those who left a form half-way.
type RemindJob struct{}

// Kind implements jobs.Args.
func (RemindJob) Kind() string { return "orders.remind" }

// left is a draft as it lies in the database.
type left struct {
	person, product string
	sealed          []byte
	kept, until     sqldb.Time
}

func (s *Service) remind(ctx context.Context, _ RemindJob) error {
	if s.Mailer == nil {
		return nil
	}
	var failed error
	for _, of := range s.Communes.All() {
		list, err := s.leftForms(ctx, of.ID)
		if err != nil {
			return err
		}
		for _, l := range list {
			if err := s.remindOf(ctx, of, l); err != nil {
				failed = errors.Join(failed, fmt.Errorf("draft of %s: %w", l.product, err))
			}
		}
	}
	return failed
}

// leftForms are those that somebody may have to be reminded of, the oldest first.
func (s *Service) leftForms(ctx context.Context, c commune.ID) ([]left, error) {
	now := s.now()
	rows, err := s.DB.Query(ctx, `SELECT person, product, sealed, kept_at, until FROM orders_draft WHERE commune = $1 AND until > $2 AND kept_at <= $3 AND reminded < CASE WHEN until <= $4 THEN 2 ELSE 1 END ORDER BY until LIMIT $5`,
		string(c), sqldb.Micros(now), sqldb.Micros(now.Add(-remindAfter)), sqldb.Micros(now.Add(remindBefore)), remindMost)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []left
	for rows.Next() {
		var l left
		if err := rows.Scan(&l.person, &l.product, &l.sealed, &l.kept, &l.until); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, rows.Err()
}

// remindOf sends one mail. A crash after sending and before noting it sends it again, under
// the same ID.
func (s *Service) remindOf(ctx context.Context, of *commune.Commune, l left) error {
	stage := 1
	if l.until.Time.Sub(s.now()) <= remindBefore {
		stage = 2
	}
	to, in, err := s.whereLeft(ctx, of, l)
	if err != nil {
		return err
	}
	if _, err := s.Product(of.ID, l.product); to != "" && err == nil {
		lang := pageLanguage(of, in.Language)
		m := notice.Message{ID: fmt.Sprintf("draft.%d.%s", stage, in.Key), To: to, From: of.NameIn(lang), ReplyTo: of.Contact.Email, Language: lang}
		m.Subject, m.Text = notice.Left(lang, m.From, l.until.Time, of.Origin()+"/"+string(lang)+DraftsPath)
		inTraining(of, &m)
		if err := s.Mailer.Send(ctx, m); err != nil && fault.KindOf(err) != fault.Invalid {
			return err
		}
	}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error { // not where it was changed meanwhile
		_, err := tx.Exec(`UPDATE orders_draft SET reminded = $1 WHERE commune = $2 AND person = $3 AND product = $4 AND kept_at = $5`,
			stage, string(of.ID), l.person, l.product, sqldb.Micros(l.kept.Time))
		return err
	})
}

// whereLeft is the address of whoever left a form; "" where none is known.
func (s *Service) whereLeft(ctx context.Context, of *commune.Commune, l left) (string, drafted, error) {
	var in drafted
	plain, err := s.vault.openText(of.ID, "draft", l.person+"/"+l.product, l.sealed)
	if err != nil {
		return "", in, err
	}
	if err := json.Unmarshal(plain, &in); err != nil {
		return "", in, err
	}
	typed := in.Answers
	if typed[form.Contact] == "" && typed[form.Email] == "" && typed[form.Phone] == "" {
		if typed, err = s.contactNamed(ctx, of.ID, l.person); err != nil {
			return "", in, err
		}
	}
	values := url.Values{}
	for name, v := range contactOf(typed) {
		values.Set(string(name), v)
	}
	answers, faults := form.Parse([]form.Name{form.Email}, values, nil, of.Country)
	if len(faults) > 0 { // half an address is none
		return "", in, nil
	}
	return answers[form.Email], in, nil
}
