package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
)

// A backup is made while orders go on, the house burns down, and the backup is restored in
// another folder: papers from before are there, those withdrawn still are, no number is given twice, nobody is still
// signed in, and no invitation that was used is good again.
func TestBackupAndRestore(t *testing.T) {
	for engine, address := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "belfry.db") },
		"postgres": sqldbtest.PostgresDatabase,
	} {
		t.Run(engine, func(t *testing.T) { backupAndRestore(t, address(t), address(t)) })
	}
}

func backupAndRestore(t *testing.T, before, after string) {
	b := startBroken(t, nil, "--database", before)
	citizen, desk := b.signedIn("luc"), b.clerk("beaumarais", "claire")
	first := b.newDeal(citizen, desk)
	b.through([]*deal{first}, (*deal).all)
	gone := b.newDeal(citizen, desk)
	b.through([]*deal{gone}, (*deal).all)
	desk.get(gone.deskPage() + "/withdrawal")
	desk.send("/withdrawal", "cause", "facts_wrong", "words", "Une erreur.")
	desk.want(200, "Document retiré")
	b.invite("beaumarais", "Wim Janssens")

	// The second order's number is given after the backup, and lost with the house.
	file := filepath.Join(t.TempDir(), "backup.tar")
	var busy []*deal
	for range 4 {
		busy = append(busy, b.newDeal(citizen, desk))
	}
	done := make(chan struct{})
	go func() { defer close(done); b.through(busy, (*deal).all) }()
	acknowledged := b.heads(b.database())
	b.command(0, "backup", file, "--config", b.config)
	<-done
	lost := b.newDeal(citizen, desk)
	b.through([]*deal{lost}, (*deal).all)
	b.command(1, "backup", file, "--config", b.config) // never over another
	given := b.column(b.database(), `SELECT number FROM orders_paper`)
	b.command(0, "restore", "--try", file, "--config", b.config)
	b.server.kill()
	chains := b.chains(b.database())
	b.command(1, "restore", file, "--config", b.config) // over a living install
	config := b.config

	fresh := filepath.Join(t.TempDir(), "data")
	b.config = filepath.Join(t.TempDir(), "restored.toml")
	b.settle(func(f *belfryFile) {
		f.table("server")["data"] = fresh
		f.table("database")["url"] = after
		f.table("server")["key_file"] = absolute(config, f.table("server")["key_file"].(string))
	})
	b.refusesDamaged(file, fresh)
	told := b.command(0, "restore", file, "--config", b.config)
	if !strings.Contains(told, "the next is") {
		t.Errorf("it does not say which numbers are skipped:\n%s", told)
	}
	b.sameJournal(acknowledged, chains)
	b.start()

	citizen.get(first.address + "/document")
	if citizen.downloads() {
		t.Error("a citizen is still signed in")
	}
	open := b.column(b.database(), `SELECT CAST(COUNT(*) AS TEXT) FROM staff_invitation WHERE used_at IS NULL AND expires_at > `+fmt.Sprint(time.Now().UnixMicro()))
	if open[0] != "0" {
		t.Errorf("%s invitations from before are open", open[0])
	}
	citizen, desk = b.signedIn("luc"), newPerson(t)
	desk.get(b.origin("beaumarais") + "/desk")
	desk.signIn(b.world, b.card("claire"))
	desk.want(200)
	citizen.get(first.address + "/document")
	if !bytes.Equal(citizen.body, first.pdf) {
		t.Errorf("the first paper is answered with %d and %d bytes", citizen.status, len(citizen.body))
	}
	citizen.uploadFile(b.origin("beaumarais")+"/fr/verify", gone.pdf)
	citizen.want(200, "Document retiré : il ne vaut plus")
	b.deals = nil
	b.through([]*deal{b.newDeal(citizen, desk)}, (*deal).all)
	db := b.database()
	seen := map[string]int{}
	for _, n := range append(given, b.column(db, `SELECT number FROM orders_paper WHERE allocated_at = (SELECT MAX(allocated_at) FROM orders_paper)`)...) {
		if seen[n]++; seen[n] > 1 {
			t.Errorf("number %s was given twice", n)
		}
	}
	b.command(0, "journal", "beaumarais", "--config", b.config)
	t.Logf("numbers before %v, after %v", given, b.column(db, `SELECT number FROM orders_paper`))
}

// heads are how far the journal of each commune has come.
func (b *broken) heads(db *sqldb.DB) map[string]int {
	b.t.Helper()
	heads := map[string]int{}
	for _, line := range b.column(db, `SELECT commune || ' ' || CAST(seq AS TEXT) FROM audit_head`) {
		commune, seq, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(seq)
		if err != nil {
			b.t.Fatal(err)
		}
		heads[commune] = n
	}
	return heads
}

// chains are the hashes of the journals, by commune and number.
func (b *broken) chains(db *sqldb.DB) map[string]string {
	b.t.Helper()
	chains := map[string]string{}
	for _, line := range b.column(db, `SELECT commune || ' ' || CAST(seq AS TEXT) || ' ' || hash FROM audit_entry`) {
		at := strings.LastIndex(line, " ")
		chains[line[:at]] = line[at+1:]
	}
	return chains
}

// sameJournal compares the journals of a restored install with those of the house that burnt
// down: all that was there when the backup began is there with the same hashes, and what the
// restore itself notes stands behind it.
func (b *broken) sameJournal(acknowledged map[string]int, before map[string]string) {
	b.t.Helper()
	db := b.database()
	after := b.chains(db)
	same := 0
	for commune, last := range acknowledged {
		for n := 1; n <= last; n++ {
			place := fmt.Sprint(commune, " ", n)
			if before[place] == "" || after[place] != before[place] {
				b.t.Errorf("entry %s is %.8q after the restore, before it was %.8q", place, after[place], before[place])
			}
			same++
		}
	}
	beyond := 0
	for commune, head := range b.heads(db) {
		for n := acknowledged[commune] + 1; n <= head; n++ {
			if place := fmt.Sprint(commune, " ", n); after[place] == before[place] {
				beyond++
			}
		}
		b.command(0, "journal", commune, "--config", b.config)
	}
	b.t.Logf("%d entries of the journals that were there when the backup began are there with the same hashes, and %d of those written while it ran", same, beyond)
}

// refusesDamaged tries backups that are not whole, and looks that nothing of them stays.
func (b *broken) refusesDamaged(file, data string) {
	b.t.Helper()
	good, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[bytes.Index(good, []byte("%PDF-"))+1000] ^= 1
	head := bytes.Clone(good)
	head[bytes.Index(good, []byte("blobs/"))] = 'B'
	for want, bad := range map[string][]byte{
		"the document is damaged":     flipped,
		"not a whole one":             good[:len(good)/2],
		"this is no backup":           []byte("a letter"),
		"nothing of that name":        nil,
		"its end is missing":          append(bytes.Clone(good[:bytes.LastIndex(good, []byte("SHA256SUMS"))]), make([]byte, 1024)...),
		"under another key":           good,
		"a restore needs a data fold": good,
	} {
		switch want {
		case "nothing of that name":
			bad = withName(b.t, good, "blobs/", "blobz/")
		case "under another key":
			b.withOtherKey(func() { b.refuses(want, bad) })
			continue
		case "a restore needs a data fold":
			if err := os.MkdirAll(filepath.Join(data, "something"), 0o700); err != nil {
				b.t.Fatal(err)
			}
			b.refuses(want, bad)
			os.RemoveAll(data)
			continue
		}
		b.refuses(want, bad)
		if left, _ := filepath.Glob(filepath.Join(data, "*")); len(left) > 0 {
			b.t.Errorf("%s: %v is left", want, left)
		}
	}
}

func (b *broken) refuses(want string, backup []byte) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "bad.tar")
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if told := b.command(1, "restore", file, "--config", b.config); !strings.Contains(told, want) {
		b.t.Errorf("%q is not in what it says:\n%s", want, told)
	}
}

// withOtherKey does f while the settings name another server.key_file.
func (b *broken) withOtherKey(f func()) {
	b.t.Helper()
	kept := b.config
	b.config = filepath.Join(b.t.TempDir(), "other.toml")
	key := filepath.Join(b.t.TempDir(), "other.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o400); err != nil {
		b.t.Fatal(err)
	}
	b.settle(func(f *belfryFile) { f.table("server")["key_file"] = key })
	f()
	b.config, b.Belfry.Config = kept, kept
}

// withName changes a name in the first header of a tar file that has it, and its checksum.
func withName(t testing.TB, file []byte, from, to string) []byte {
	t.Helper()
	out := bytes.Clone(file)
	at := bytes.Index(out, []byte(from))
	if at%512 != 0 {
		t.Fatalf("%q is not in a header", from)
	}
	copy(out[at:], to)
	header := out[at : at+512]
	copy(header[148:], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return out
}

// absolute is a path of a settings file in another folder.
func absolute(settings, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(settings), path)
}
