package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// Somebody changes what lies on the disk. The commands of an operator end with 1 and name
// the place: the entry of the journal, or the document, and with it the commune.
func TestWhatIsDamagedIsNamed(t *testing.T) {
	b := startBroken(t, nil)
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	b.through([]*deal{b.newDeal(citizen, desk)}, (*deal).all)
	b.server.kill()
	s, err := loadSettings(b.config)
	if err != nil {
		t.Fatal(err)
	}
	heads := filepath.Join(s.Server.Data, "audit")
	b.command(0, "journal", "beaumarais", "--config", b.config)
	var last int
	var papers, contents []string
	b.opened(func(db *sqldb.DB) {
		last = b.heads(db)["beaumarais"]
		papers = b.column(db, `SELECT document FROM orders_paper WHERE document <> ''`)
		contents = b.column(db, `SELECT content FROM orders_paper WHERE content <> ''`)
	})
	if last < 8 {
		t.Fatalf("the journal has %d entries", last)
	}
	file := strings.TrimPrefix(s.Database.URL, "sqlite:")
	whole := b.kept(file, heads)

	named := 0
	for name, c := range map[string]struct{ sql, says string }{
		"a byte of a row":           {`UPDATE audit_entry SET actor = 'x' || substr(actor, 2) WHERE seq = 5`, "entry 5"},
		"its time":                  {`UPDATE audit_entry SET at = at - 1 WHERE seq = 2`, "entry 2"},
		"its hash":                  {`UPDATE audit_entry SET hash = 'x' || substr(hash, 2) WHERE seq = 4`, "entry 4"},
		"a row removed":             {`DELETE FROM audit_entry WHERE seq = 3`, "entry 3"},
		"two rows swapped":          {`UPDATE audit_entry SET seq = CASE seq WHEN 6 THEN 1007 ELSE 1006 END WHERE seq IN (6, 7); UPDATE audit_entry SET seq = seq - 1000 WHERE seq > 1000`, "entry 6"},
		"the tail cut":              {fmt.Sprintf(`DELETE FROM audit_entry WHERE seq > %d`, last-2), fmt.Sprint("entry ", last-1)},
		"the tail cut with its end": {fmt.Sprintf(`DELETE FROM audit_entry WHERE seq > %d; UPDATE audit_head SET seq = %d, hash = (SELECT hash FROM audit_entry e WHERE e.commune = audit_head.commune AND seq = %d) WHERE commune = 'beaumarais'`, last-2, last-2, last-2), fmt.Sprint("entry ", last-1)},
		"all of it":                 {`DELETE FROM audit_entry; DELETE FROM audit_head`, "entry 1"},
	} {
		b.change(strings.ReplaceAll(c.sql, "WHERE seq", "WHERE commune = 'beaumarais' AND seq"))
		for _, command := range [][]string{{"journal", "beaumarais"}, {"check"}} {
			said := b.command(1, append(command, "--config", b.config)...)
			if !strings.Contains(said, "beaumarais") || !strings.Contains(said, c.says) {
				t.Errorf("%s: belfry %s does not name %q: %s", name, command[0], c.says, said)
			}
		}
		named++
		whole.restore()
	}
	b.command(0, "journal", "beaumarais", "--config", b.config)

	// Documents: changed, cut short, away, and one in the place of another.
	paper, other := b.blobFile(papers[0]), b.blobFile(contents[0])
	good, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	another, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	for name, bad := range map[string][]byte{"a byte changed": flipped, "cut short": good[:len(good)-1], "longer": append(bytes.Clone(good), '\n'), "another document": another, "empty": {}} {
		b.overwrite(paper, bad)
		said := b.command(1, "backup", filepath.Join(t.TempDir(), "backup.tar"), "--config", b.config)
		if !strings.Contains(said, "beaumarais") || !strings.Contains(said, papers[0][:12]) {
			t.Errorf("%s: belfry backup does not name the document: %s", name, said)
		}
		named++
	}
	b.overwrite(paper, good)
	b.command(0, "backup", filepath.Join(t.TempDir(), "backup.tar"), "--config", b.config)
	t.Logf("%d kinds of damage, each named with its place by exit 1", named)
}

// change runs statements on the database of a service that does not run.
func (b *broken) change(statements string) {
	b.t.Helper()
	b.opened(func(db *sqldb.DB) {
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			for statement := range strings.SplitSeq(statements, ";") {
				if _, err := tx.Exec(statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	})
}

// opened does something with the database, of which nothing is open afterwards.
func (b *broken) opened(do func(*sqldb.DB)) {
	b.t.Helper()
	s, err := loadSettings(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), s.Database.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	do(db)
}

// copies are files and folders as they were.
type copies struct {
	b     *broken
	files map[string][]byte
}

func (b *broken) kept(paths ...string) *copies {
	b.t.Helper()
	c := &copies{b, map[string][]byte{}}
	for _, p := range paths {
		for _, file := range []string{p, p + "-wal", p + "-shm"} {
			if content, err := os.ReadFile(file); err == nil {
				c.files[file] = content
			} else {
				c.files[file] = nil
			}
		}
	}
	return c
}

func (c *copies) restore() {
	c.b.t.Helper()
	for file, content := range c.files {
		if content == nil {
			if info, err := os.Stat(file); err == nil && !info.IsDir() {
				os.Remove(file)
			}
			continue
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			c.b.t.Fatal(err)
		}
	}
}

// blobFile is the file of a document.
func (b *broken) blobFile(digest string) (found string) {
	b.t.Helper()
	filepath.WalkDir(b.data(), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(strings.ReplaceAll(path, string(filepath.Separator), ""), digest) {
			found = path
		}
		return nil
	})
	if found == "" {
		b.t.Fatalf("no file for %s", digest)
	}
	return found
}

func (b *broken) overwrite(file string, content []byte) {
	b.t.Helper()
	os.Chmod(file, 0o600)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
