package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

var day = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func newLog(t testing.TB, db *sqldb.DB) *Log {
	t.Helper()
	l, err := New(db, filepath.Join(t.TempDir(), "heads"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t testing.TB, l *Log, c commune.ID, n int) {
	t.Helper()
	for i := range n {
		err := l.db.Write(context.Background(), func(tx *sqldb.Tx) error {
			return l.Append(tx, Entry{c, day.Add(time.Duration(i) * time.Second), "claire", "order.approved", fmt.Sprint("order-", i%3), map[string]string{"n": fmt.Sprint(i)}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func change(t testing.TB, db *sqldb.DB, query string) {
	t.Helper()
	if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestAppendListVerify(t *testing.T) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) {
			l, ctx := newLog(t, open(t)), context.Background()
			if err := l.Verify(ctx, "beaumarais"); err != nil {
				t.Errorf("an empty chain: %v", err)
			}
			var wg sync.WaitGroup
			for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
				for range 4 {
					wg.Go(func() { add(t, l, c, 10) })
				}
			}
			wg.Wait()
			for _, c := range []commune.ID{"beaumarais", "zandvoorde"} {
				if err := l.Verify(ctx, c); err != nil {
					t.Errorf("%v", err)
				}
				if h, err := l.heads.read(c); err != nil || h.seq != 40 {
					t.Errorf("head file of %s: %v, %v", c, h, err)
				}
			}
			list, err := l.List(ctx, "beaumarais", "order-1")
			if err != nil || len(list) != 12 {
				t.Fatalf("%d entries, %v", len(list), err)
			}
			if at, err := l.Last(ctx, "beaumarais"); err != nil || at.Before(day) {
				t.Errorf("last entry at %v, %v", at, err)
			}
			if at, err := l.Last(ctx, "lindenberg"); err != nil || !at.IsZero() {
				t.Errorf("last entry of an empty chain at %v, %v", at, err)
			}
			if e := list[0]; e.Actor != "claire" || e.Action != "order.approved" || e.Subject != "order-1" || e.Detail["n"] != "1" || !e.At.Equal(day.Add(time.Second)) {
				t.Errorf("%+v", e)
			}
			if list, err := l.List(ctx, "lindenberg", "order-1"); err != nil || len(list) != 0 {
				t.Errorf("another commune sees %d entries, %v", len(list), err)
			}
		})
	}
}

func TestAppendGoesWithItsTransaction(t *testing.T) {
	l := newLog(t, sqldbtest.SQLite(t))
	add(t, l, "beaumarais", 2)
	l.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		if err := l.Append(tx, Entry{Commune: "beaumarais", At: day, Action: "undone"}); err != nil {
			t.Error(err)
		}
		return errors.New("no")
	})
	add(t, l, "beaumarais", 1)
	if err := l.Verify(context.Background(), "beaumarais"); err != nil {
		t.Error(err)
	}
	if h, _ := l.heads.read("beaumarais"); h.seq != 3 {
		t.Errorf("head %d", h.seq)
	}
	for _, e := range []Entry{{Commune: "../x", At: day, Action: "a"}, {Commune: "beaumarais", Action: "a"}, {Commune: "beaumarais", At: day}} {
		if err := l.db.Write(context.Background(), func(tx *sqldb.Tx) error { return l.Append(tx, e) }); err == nil {
			t.Errorf("accepted %+v", e)
		}
	}
}

// Whatever is done to the rows, Verify names the place.
func TestVerifyNamesThePlace(t *testing.T) {
	for name, test := range map[string]struct {
		sql  string
		file func(t *testing.T, path string)
		seq  int64
		word string
	}{
		"detail changed":          {sql: `UPDATE audit_entry SET detail = '{"n":"99"}' WHERE seq = 7`, seq: 7, word: "changed"},
		"time changed":            {sql: `UPDATE audit_entry SET at = at + 1 WHERE seq = 1`, seq: 1, word: "changed"},
		"actor changed":           {sql: `UPDATE audit_entry SET actor = 'wim' WHERE seq = 20`, seq: 20, word: "changed"},
		"hash changed":            {sql: `UPDATE audit_entry SET hash = 'x' || substr(hash, 2) WHERE seq = 3`, seq: 3, word: "changed"},
		"row removed":             {sql: `DELETE FROM audit_entry WHERE seq = 5`, seq: 5, word: "missing"},
		"first removed":           {sql: `DELETE FROM audit_entry WHERE seq = 1`, seq: 1, word: "missing"},
		"renumbered":              {sql: `UPDATE audit_entry SET seq = 100 WHERE seq = 4`, seq: 4, word: "missing"},
		"two swapped":             {sql: `UPDATE audit_entry SET seq = CASE seq WHEN 8 THEN 1009 ELSE 1008 END WHERE seq IN (8, 9); UPDATE audit_entry SET seq = seq - 1000 WHERE seq > 1000`, seq: 8, word: "changed"},
		"tail cut":                {sql: `DELETE FROM audit_entry WHERE seq > 15`, seq: 16, word: "head file knows 20"},
		"tail cut neatly":         {sql: `DELETE FROM audit_entry WHERE seq > 15; UPDATE audit_head SET seq = 15, hash = (SELECT hash FROM audit_entry WHERE seq = 15)`, seq: 16, word: "head file knows 20"},
		"all removed":             {sql: `DELETE FROM audit_entry; DELETE FROM audit_head`, seq: 1, word: "head file knows 20"},
		"head row gone":           {sql: `DELETE FROM audit_head`, seq: 1, word: "missing"},
		"head row gone, file too": {sql: `DELETE FROM audit_head`, file: func(t *testing.T, path string) { os.Remove(path) }, seq: 1, word: "head row is gone"},
		"head row changed":        {sql: `UPDATE audit_head SET hash = 'x'`, seq: 20, word: "head row"},
		"head row ahead":          {sql: `UPDATE audit_head SET seq = 22`, seq: 21, word: "head row knows 22"},
		"file of another chain": {sql: `SELECT 1`, file: func(t *testing.T, path string) {
			os.WriteFile(path, []byte("9 "+strings.Repeat("a", 64)+"\n"), 0o600)
		}, seq: 9, word: "written again"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, sqldbtest.SQLite(t))
			add(t, l, "beaumarais", 20)
			change(t, l.db, test.sql)
			if test.file != nil {
				test.file(t, l.heads.path("beaumarais"))
			}
			err := l.Verify(context.Background(), "beaumarais")
			broken, ok := errors.AsType[*Broken](err)
			if !ok || broken.Seq != test.seq || !strings.Contains(err.Error(), test.word) {
				t.Fatalf("%v; want entry %d, %q", err, test.seq, test.word)
			}
		})
	}
}

// A chain written again from the changed row on, head row and all, is given away
// by the file.
func TestVerifyNoticesARewrittenChain(t *testing.T) {
	l := newLog(t, sqldbtest.SQLite(t))
	add(t, l, "beaumarais", 10)
	page, err := l.page(context.Background(), "beaumarais", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	page[3].actor = "wim"
	prev := ""
	for _, r := range page {
		r.hash = r.chained(prev)
		prev = r.hash
		change(t, l.db, fmt.Sprintf(`UPDATE audit_entry SET actor = '%s', hash = '%s' WHERE seq = %d`, r.actor, r.hash, r.seq))
	}
	change(t, l.db, fmt.Sprintf(`UPDATE audit_head SET hash = '%s'`, prev))
	if err := l.Verify(context.Background(), "beaumarais"); err == nil || !strings.Contains(err.Error(), "written again") {
		t.Fatal(err)
	}
}

func TestHeadFileAfterARestartAndAPowerCut(t *testing.T) {
	db, dir := sqldbtest.SQLite(t), t.TempDir()
	l, err := New(db, dir)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, "beaumarais", 3)
	f, _ := os.OpenFile(l.heads.path("beaumarais"), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("4 abc\x00\x00") // half a line
	f.Close()
	if l, err = New(db, dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(context.Background(), "beaumarais"); err != nil {
		t.Error(err)
	}
	add(t, l, "beaumarais", 2)
	if h, err := l.heads.read("beaumarais"); err != nil || h.seq != 5 {
		t.Errorf("%v, %v", h, err)
	}
	l.heads.shorten("beaumarais", head{5, strings.Repeat("0", 64)})
	if h, err := l.heads.read("beaumarais"); err != nil || h.seq != 5 {
		t.Errorf("shortened: %v, %v", h, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, open := range sqldbtest.Engines(b) {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				l := newLog(b, open(b))
				var wg sync.WaitGroup
				b.ResetTimer()
				for range callers {
					wg.Go(func() { add(b, l, "beaumarais", (b.N+callers-1)/callers) })
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	l := newLog(b, sqldbtest.SQLite(b))
	l.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		for i := range 10_000 {
			if err := l.Append(tx, Entry{"beaumarais", day, "claire", "order.approved", fmt.Sprint(i), nil}); err != nil {
				return err
			}
		}
		return nil
	})
	for b.Loop() {
		if err := l.Verify(context.Background(), "beaumarais"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(10_000*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
