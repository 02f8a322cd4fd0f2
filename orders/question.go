package orders

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
)

// Question is a text of a commune's own with which its clerks ask people something, beside
// the program's Templates. Each language of the commune's pages may have its words; the
// official ones must.
type Question struct {
	ID      string // UUID; "" of one that is new
	Version int64  // of the row that was read
	Label   map[i18n.Language]string
	Text    map[i18n.Language]string
}

const (
	// MaxQuestions is how many a commune keeps at most: they are chosen from one list.
	MaxQuestions = 50
	// MaxLabel is the longest label, in characters.
	MaxLabel = 80
	// ReferenceMark stands in a text where the order's reference comes.
	ReferenceMark = "{reference}"
)

// LabelIn is the label in l, in the commune's first language where there is none in l.
func (q Question) LabelIn(of *commune.Commune, l i18n.Language) string {
	label, _ := inLanguage(q.Label, of, l)
	return label
}

// TextFor is what is asked about an order, in the person's language or, where the commune
// has no words in it, in its first: in says which.
func (q Question) TextFor(of *commune.Commune, o Order) (text string, in i18n.Language) {
	text, in = inLanguage(q.Text, of, o.Language)
	return strings.ReplaceAll(text, ReferenceMark, o.Reference), in
}

func inLanguage(words map[i18n.Language]string, of *commune.Commune, l i18n.Language) (string, i18n.Language) {
	if words[l] != "" {
		return words[l], l
	}
	l = of.Languages()[0]
	return words[l], l
}

// QuestionFault is what is wrong with a field of a Question.
type QuestionFault struct {
	Language i18n.Language
	Label    bool   // of the label, else of the text
	Key      string // of the reader's words: one of form.Text's, or question.half
}

// Checked trims a question as it was typed, keeps the languages of the commune's pages, and
// tells what is wrong with it. A language has both label and text, or neither.
func (q Question) Checked(of *commune.Commune) (Question, []QuestionFault) {
	clean := Question{ID: q.ID, Version: q.Version, Label: map[i18n.Language]string{}, Text: map[i18n.Language]string{}}
	var faults []QuestionFault
	for _, l := range of.Languages() {
		label, wrongLabel := form.Text(strings.Join(strings.Fields(q.Label[l]), " "), 0, MaxLabel)
		text, wrongText := form.Text(q.Text[l], 0, MaxMessage)
		official := slices.Contains(of.Official(), l)
		missing := func(wrong, have, other string) string {
			switch {
			case wrong != "" || have != "":
				return wrong
			case official:
				return "orders.form.missing"
			case other != "":
				return "question.half"
			}
			return ""
		}
		if key := missing(wrongLabel, label, q.Text[l]); key != "" {
			faults = append(faults, QuestionFault{l, true, key})
		}
		if key := missing(wrongText, text, q.Label[l]); key != "" {
			faults = append(faults, QuestionFault{l, false, key})
		}
		if label != "" && text != "" {
			clean.Label[l], clean.Text[l] = label, text
		}
	}
	return clean, faults
}

// Questions lists a commune's own, the oldest first.
func (s *Service) Questions(ctx context.Context, c commune.ID) ([]Question, error) {
	if _, err := s.commune(c); err != nil {
		return nil, err
	}
	rows, err := s.DB.Query(ctx, `SELECT id, version, label, text FROM orders_question WHERE commune = $1 ORDER BY id`, string(c))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Question
	for rows.Next() {
		var q Question
		var label, text string
		if err := rows.Scan(&q.ID, &q.Version, &label, &text); err != nil {
			return nil, err
		}
		if err := errors.Join(json.Unmarshal([]byte(label), &q.Label), json.Unmarshal([]byte(text), &q.Text)); err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	return list, rows.Err()
}

var (
	errNoQuestion    = fault.New(fault.NotFound, "question.gone", nil)
	errQuestionMoved = fault.New(fault.Conflict, "question.moved", nil)
)

// SaveQuestion keeps a question, a new one where it has no ID. Only who administers the
// commune may. Faults: question.administrators (Forbidden); orders.form.invalid
// (Invalid) for what Checked refuses; question.gone (NotFound); question.moved
// (Conflict) where somebody else has changed it since; question.many (TooMany).
func (s *Service) SaveQuestion(ctx context.Context, c commune.ID, by Clerk, q Question) (Question, error) {
	of, err := s.commune(c)
	if err != nil {
		return Question{}, err
	}
	if !by.Administers {
		return Question{}, fault.New(fault.Forbidden, "question.administrators", nil)
	}
	q, faults := q.Checked(of)
	if len(faults) > 0 {
		return Question{}, fault.New(fault.Invalid, "orders.form.invalid", errors.New(faults[0].Key))
	}
	made := q.ID == ""
	if made {
		id, err := uuid.NewV7()
		if err != nil {
			return Question{}, err
		}
		q.ID = id.String()
	}
	label, text, err := q.written()
	if err != nil {
		return Question{}, err
	}
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if !made {
			err := one(tx.Exec(`UPDATE orders_question SET version = version + 1, label = $1, text = $2, changed_at = $3, changed_by = $4
				WHERE commune = $5 AND id = $6 AND version = $7`, label, text, sqldb.Micros(s.now()), by.Subject, string(c), q.ID, q.Version))
			if errors.Is(err, errMoved) {
				return questionMoved(tx, c, q.ID)
			}
			if err != nil {
				return err
			}
			return s.noteQuestion(tx, c, by, "orders.question.changed", q)
		}
		var have int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_question WHERE commune = $1`, string(c)).Scan(&have); err != nil {
			return err
		}
		if have >= MaxQuestions {
			return fault.New(fault.TooMany, "question.many", nil).With("Count", MaxQuestions)
		}
		if _, err := tx.Exec(`INSERT INTO orders_question (commune, id, version, label, text, changed_at, changed_by) VALUES ($1, $2, 1, $3, $4, $5, $6)`,
			string(c), q.ID, label, text, sqldb.Micros(s.now()), by.Subject); err != nil {
			return err
		}
		return s.noteQuestion(tx, c, by, "orders.question.made", q)
	})
	q.Version++
	return q, err
}

// written is label and text as the row has them.
func (q Question) written() (label, text string, err error) {
	l, err1 := json.Marshal(q.Label)
	t, err2 := json.Marshal(q.Text)
	return string(l), string(t), errors.Join(err1, err2)
}

// questionMoved tells a question that is gone from one that somebody else has changed.
func questionMoved(tx *sqldb.Tx, c commune.ID, id string) error {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_question WHERE commune = $1 AND id = $2`, string(c), id).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errNoQuestion
	}
	return errQuestionMoved
}

// DropQuestion takes a question away, of the version that was read; messages that were
// written with it stay as they are. Faults: those of SaveQuestion.
func (s *Service) DropQuestion(ctx context.Context, c commune.ID, by Clerk, id string, version int64) error {
	if _, err := s.commune(c); err != nil {
		return err
	}
	if !by.Administers {
		return fault.New(fault.Forbidden, "question.administrators", nil)
	}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		err := one(tx.Exec(`DELETE FROM orders_question WHERE commune = $1 AND id = $2 AND version = $3`, string(c), id, version))
		if errors.Is(err, errMoved) {
			return questionMoved(tx, c, id)
		}
		if err != nil {
			return err
		}
		return s.noteQuestion(tx, c, by, "orders.question.dropped", Question{ID: id})
	})
}

// noteQuestion writes a line of the audit log, with what clerks choose the question by.
func (s *Service) noteQuestion(tx *sqldb.Tx, c commune.ID, by Clerk, action string, q Question) error {
	detail := map[string]string{}
	for l, label := range q.Label {
		detail["label."+string(l)] = label
	}
	return s.Audit.Append(tx, audit.Entry{Commune: c, At: s.now(), Actor: by.Subject, Action: action, Subject: q.ID, Detail: detail})
}
