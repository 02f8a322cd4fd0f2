package orderstest

import (
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
)

// emptied: a training commune loses its orders and everything of them, and no other anything.
func emptied(t *testing.T, w *World) {
	s := w.Service
	for _, c := range []commune.ID{A, B} {
		issued := w.Issued(t, c, 1)
		_, err := s.Withdraw(ctx, c, issued.ID, Clerk(1), orders.FactsWrong, "faux")
		ok(t, err)
		w.Prepared(t, c, 2)
		o := w.Order(t, c, 3)
		_, err = s.Reply(ctx, c, o.ID, o.Subject, 0, "", []orders.Upload{Picture("a.png")})
		ok(t, err)
		ok(t, s.AddNote(ctx, c, o.ID, Clerk(1), "Note."))
		_, err = s.Proof(ctx, c, o.ID, o.Subject, i18n.French)
		ok(t, err)
		_, err = s.KeepDraft(ctx, c, w.Person(c, 4), DraftOf(nil))
		ok(t, err)
		_, err = s.Receive(ctx, c, w.Owed(t, c, 5).ID, Clerk(1), orders.Cash, "1")
		ok(t, err)
		w.Charge(t, c, commune.Tariff{})
		_, err = s.AllowReading(ctx, c, Clerk(1), "session")
		ok(t, err)
		words := map[i18n.Language]string{i18n.French: "Bail", i18n.Dutch: "Huur"}
		_, err = s.SaveQuestion(ctx, c, boss(1), orders.Question{Label: words, Text: words})
		ok(t, err)
	}
	home, _ := w.Communes.ByID(A)
	before := rowsOf(t, w.DB)
	for table, n := range before {
		if table != "orders_entry" && table != "orders_came" && table != "orders_shown" && (n[A] == 0 || n[B] == 0) {
			t.Errorf("%s has %v rows: nothing to lose", table, n)
		}
	}
	reset := func() (gone orders.Emptied, err error) {
		err = w.DB.Write(ctx, func(tx *sqldb.Tx) error { gone, err = orders.Reset(tx, home); return err })
		return gone, err
	}
	if _, err := reset(); err == nil || !strings.Contains(err.Error(), "no training commune") {
		t.Errorf("a commune that is none: %v", err)
	}
	home.Training = true
	set := func(specimen int) {
		ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE orders_paper SET specimen = $1 WHERE commune = $2 AND document <> ''`, specimen, string(A))
			return err
		}))
	}
	set(0)
	if _, err := reset(); err == nil || !strings.Contains(err.Error(), "no specimens") {
		t.Errorf("a commune with a good paper: %v", err)
	}
	set(1)
	for table, n := range rowsOf(t, w.DB) {
		if n[A] != before[table][A] {
			t.Errorf("refused, and %s has %d rows of %d", table, n[A], before[table][A])
		}
	}
	gone, err := reset()
	ok(t, err)
	if gone != (orders.Emptied{Orders: 4, Papers: 2, Messages: 2, Drafts: 1}) {
		t.Errorf("it says %+v", gone)
	}
	for table, n := range rowsOf(t, w.DB) {
		if want := map[bool]int{true: before[table][A]}[table == "orders_question"]; n[A] != want || n[B] != before[table][B] {
			t.Errorf("%s has %v rows and had %v", table, n, before[table])
		}
	}
	if o := w.Issued(t, A, 1); o.Paper.Number != "2026-000001" {
		t.Errorf("its first number then is %s", o.Paper.Number)
	}
}

// rowsOf counts the rows of each table of orders, by commune.
func rowsOf(t *testing.T, db *sqldb.DB) map[string]map[commune.ID]int {
	t.Helper()
	all := map[string]map[commune.ID]int{}
	for name := range dump(t, db) {
		table, ours := strings.CutPrefix(name, "table ")
		if !ours || !strings.HasPrefix(table, "orders_") {
			continue
		}
		all[table] = map[commune.ID]int{}
		for _, c := range []commune.ID{A, B} {
			var n int
			ok(t, db.QueryRow(ctx, `SELECT COUNT(*) FROM `+table+` WHERE commune = $1`, string(c)).Scan(&n))
			all[table][c] = n
		}
	}
	return all
}

// practised: in a training commune nothing is asked of a register that seals, and mails say what they are.
func practised(t *testing.T, w *World) {
	home, _ := w.Communes.ByID(A)
	w.Goes(t, A, commune.FromSource)
	home.Training = true
	if way, err := w.Service.Way(A, "residence"); err != nil || way != commune.Attached {
		t.Errorf("the way is %s, %v", way, err)
	}
	w.Order(t, A, 2)
	w.Work(t)
	if asked := w.Source.Asked(); len(asked) != 0 {
		t.Errorf("a register that seals was asked %d times", len(asked))
	}
	w.Goes(t, A, commune.Made)
	w.Issued(t, A, 1)
	sent := w.Mail.Sent()
	if len(sent) == 0 {
		t.Fatal("no mail")
	}
	for _, m := range sent {
		if !strings.HasPrefix(m.Subject, "[Exercice] ") || !strings.HasPrefix(m.Text, "Ceci est un exercice") {
			t.Errorf("a mail begins with %q, %.40q", m.Subject, m.Text)
		}
	}
}
