package orderstest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
)

// boss is Clerk(n), who administers the commune.
func boss(n int) orders.Clerk {
	c := Clerk(n)
	c.Administers = true
	return c
}

// In French words may be missing in English; of what is there both parts are.
func question(label, text string) orders.Question {
	return orders.Question{Label: map[i18n.Language]string{i18n.French: label}, Text: map[i18n.Language]string{i18n.French: text}}
}

// ownQuestions are made, changed and dropped by whoever administers the commune, each with a line in the journal.
func ownQuestions(t *testing.T, w *World) {
	s := w.Service
	q, err := s.SaveQuestion(ctx, A, boss(1), question("  Bail \n signé ", " Pour {reference} :\r\nenvoyez votre bail. "))
	ok(t, err)
	if q.Label[i18n.French] != "Bail signé" || q.Text[i18n.French] != "Pour {reference} :\nenvoyez votre bail." {
		t.Errorf("kept %+v", q)
	}
	list, err := s.Questions(ctx, A)
	ok(t, err)
	if len(list) != 1 || !reflect.DeepEqual(list[0], q) {
		t.Errorf("listed %+v, kept %+v", list, q)
	}
	other := q
	q.Label[i18n.English], q.Text[i18n.English] = "Lease", "Your lease for {reference}, please."
	changed, err := s.SaveQuestion(ctx, A, boss(2), q)
	ok(t, err)
	of, _ := w.Communes.ByID(A)
	for l, want := range map[i18n.Language]string{i18n.French: "fr Pour 7K2M-QX4P :\nenvoyez votre bail.", i18n.English: "en Your lease for 7K2M-QX4P, please.", i18n.Dutch: "fr Pour 7K2M-QX4P :\nenvoyez votre bail."} {
		text, in := changed.TextFor(of, orders.Order{Reference: "7K2M-QX4P", Language: l})
		if got := string(in) + " " + text; got != want {
			t.Errorf("in %s: %q", l, got)
		}
	}
	// Whoever read it before hears that it has changed.
	_, err = s.SaveQuestion(ctx, A, boss(1), other)
	wants(t, err, fault.Conflict, "question.moved")
	wants(t, s.DropQuestion(ctx, A, boss(1), other.ID, other.Version), fault.Conflict, "question.moved")
	ok(t, s.DropQuestion(ctx, A, boss(1), changed.ID, changed.Version))
	wants(t, s.DropQuestion(ctx, A, boss(1), changed.ID, changed.Version), fault.NotFound, "question.gone")
	_, err = s.SaveQuestion(ctx, A, boss(1), changed)
	wants(t, err, fault.NotFound, "question.gone")
	var told []string
	entries, err := w.Audit.Since(ctx, A, []string{q.ID}, Noon.AddDate(0, 0, -1))
	ok(t, err)
	for _, e := range entries {
		told = append(told, e.Action+" "+e.Actor+" "+e.Detail["label.fr"])
	}
	if got := strings.Join(told, ", "); got != "orders.question.made "+boss(1).Subject+" Bail signé, orders.question.changed "+boss(2).Subject+" Bail signé, orders.question.dropped "+boss(1).Subject+" " {
		t.Errorf("the journal says %q", got)
	}
}

func questionsRefused(t *testing.T, w *World) {
	s := w.Service
	for name, k := range map[string]struct {
		q    orders.Question
		want string // language, part and key of the only fault
	}{
		"no words":         {orders.Question{}, "fr label orders.form.missing, fr text orders.form.missing"},
		"no text":          {question("Bail", " \n"), "fr text orders.form.missing"},
		"no label":         {question("", "Votre bail ?"), "fr label orders.form.missing"},
		"a long label":     {question(strings.Repeat("a", orders.MaxLabel+1), "Votre bail ?"), "fr label orders.form.too_long"},
		"a long text":      {question("Bail", strings.Repeat("a", orders.MaxMessage+1)), "fr text orders.form.too_long"},
		"what cannot show": {question("Bail", "Votre \u202ebail ?"), "fr text orders.form.characters"},
		"half a language": {orders.Question{
			Label: map[i18n.Language]string{i18n.French: "Bail", i18n.English: "Lease"}, Text: map[i18n.Language]string{i18n.French: "Votre bail ?"},
		}, "en text question.half"},
	} {
		of, _ := w.Communes.ByID(A)
		_, faults := k.q.Checked(of)
		var got []string
		for _, f := range faults {
			part := "text"
			if f.Label {
				part = "label"
			}
			got = append(got, fmt.Sprintf("%s %s %s", f.Language, part, f.Key))
		}
		if strings.Join(got, ", ") != k.want {
			t.Errorf("%s: %q", name, got)
		}
		_, err := s.SaveQuestion(ctx, A, boss(1), k.q)
		wants(t, err, fault.Invalid, "orders.form.invalid")
	}
	_, err := s.SaveQuestion(ctx, A, Clerk(1), question("Bail", "Votre bail ?"))
	wants(t, err, fault.Forbidden, "question.administrators")
	for range orders.MaxQuestions {
		_, err := s.SaveQuestion(ctx, A, boss(1), question("Bail", "Votre bail ?"))
		ok(t, err)
	}
	_, err = s.SaveQuestion(ctx, A, boss(1), question("Bail", "Votre bail ?"))
	wants(t, err, fault.TooMany, "question.many")
	list, err := s.Questions(ctx, A)
	ok(t, err)
	if len(list) != orders.MaxQuestions {
		t.Errorf("%d are kept", len(list))
	}
	wants(t, s.DropQuestion(ctx, A, Clerk(1), list[0].ID, list[0].Version), fault.Forbidden, "question.administrators")
}
