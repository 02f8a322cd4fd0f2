package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/kv"
	"github.com/belfry-eid/belfry/internal/kv/redis"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
)

type restoreCmd struct {
	settingsFlag
	From string `arg:"" help:"The backup; - reads it from the standard input."`
	Try  bool   `help:"Restore into a folder of its own, look whether all is there, and remove it again."`
	Gap  int64  `default:"1000" help:"How many numbers of papers are skipped at least: more than were given since the backup was made."`
}

// Run restores a backup into the empty database and data folder of the settings. All
// sign-ins, tokens and invitations end, and numbers that may have been given since the
// backup are never given again.
func (c *restoreCmd) Run() error {
	if c.Gap < 1 {
		return errors.New("--gap: at least 1")
	}
	ctx := context.Background()
	s, err := c.load()
	if err != nil {
		return err
	}
	if err := s.notAsRoot(); err != nil {
		return err
	}
	r := &restore{settings: s}
	if c.Try {
		s.Redis, s.S3 = nil, nil // people are signed in there, and read their papers
		dir, err := os.MkdirTemp("", "belfry-try-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.Server.Data = filepath.Join(dir, "data")
		if r.shelved = !strings.HasPrefix(s.Database.URL, "sqlite:"); !r.shelved {
			s.Database.URL = "sqlite:" + filepath.Join(dir, "belfry.db")
		}
	}
	from := os.Stdin
	if c.From != "-" {
		if from, err = os.Open(c.From); err != nil {
			return err
		}
		defer from.Close()
	}
	if err := r.run(ctx, from); err != nil {
		r.undo()
		return err
	}
	if r.shelved {
		fmt.Printf("whole: the backup of %s, with %d documents. Each file is as it was; the database's archive can be read, and was not loaded: that needs an empty database (restore without --try).\n",
			r.manifest.MadeAt.Format(backupTime), r.seen)
		return nil
	}
	return r.finish(ctx, c)
}

const backupTime = "2006-01-02 15:04:05 MST"

// restore is a backup on its way back.
type restore struct {
	settings *Settings
	manifest manifest
	stage    string   // where the database waits until all has been read; see stageOf
	made     []string // what undo removes
	blobs    blob.Store
	seen     int  // documents
	shelved  bool // the database is looked at and not loaded: a server has no spare one
}

// run puts the documents in their places and then, when all sums are right, the database.
func (r *restore) run(ctx context.Context, from io.Reader) error {
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.read(ctx, tar.NewReader(from)); err != nil {
		return err
	}
	database := filepath.Join(r.stage, backupDatabase)
	if r.shelved {
		return sqldb.Readable(ctx, database)
	}
	if err := sqldb.Load(ctx, r.settings.Database.URL, database); err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(r.settings.Database.URL, "sqlite:"); ok {
		r.made = append(r.made, path)
	}
	return os.Remove(database)
}

// stageOf is where a restore works. It is there until what was restored can be gone on
// from: before that, numbers that were given since the backup would be given again.
func (s *Settings) stageOf() string { return filepath.Join(s.Server.Data, ".restore") }

// restoredWhole refuses data among which a restore has stopped half-way.
func (s *Settings) restoredWhole() error {
	if _, err := os.Stat(s.stageOf()); err == nil {
		return fmt.Errorf("%s: a restore was not finished here: empty this folder and the database, and restore again", s.Server.Data)
	}
	return nil
}

// prepare refuses to mix two lives: nothing may be there yet.
func (r *restore) prepare() error {
	data := r.settings.Server.Data
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a restore needs a data folder of its own (server.data)", data)
	}
	if path, ok := strings.CutPrefix(r.settings.Database.URL, "sqlite:"); ok {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: a restore needs a database of its own (database.url)", path)
		}
	}
	r.stage = r.settings.stageOf()
	r.made = append(r.made, r.stage, filepath.Join(data, backupBlobs))
	if err := os.MkdirAll(r.stage, 0o700); err != nil {
		return err
	}
	r.blobs, err = r.settings.openBlobs()
	return err
}

// undo leaves nothing behind, but documents in an S3 store, which nothing names.
func (r *restore) undo() {
	for _, path := range r.made {
		os.RemoveAll(path)
	}
}

// read takes the archive apart, and believes it only at its end.
func (r *restore) read(ctx context.Context, in *tar.Reader) error {
	var sums strings.Builder
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the backup is not whole: its end is missing")
		}
		if err != nil {
			return notWhole(err)
		}
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("this is no backup of belfry: it holds %q", h.Name)
		}
		if h.Name == backupSums {
			text, err := io.ReadAll(io.LimitReader(in, h.Size))
			if err != nil || string(text) != sums.String() {
				return errors.Join(errors.New("the backup is damaged: its sums are not those of its files"), err)
			}
			return nil
		}
		sum := sha256.New()
		err = r.entry(ctx, h.Name, io.TeeReader(in, sum))
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return notWhole(err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sum.Sum(nil), h.Name)
	}
}

func notWhole(err error) error { return fmt.Errorf("this is no backup, or not a whole one: %w", err) }

// entry takes one file of the archive.
func (r *restore) entry(ctx context.Context, name string, content io.Reader) error {
	switch {
	case name == backupManifest:
		return r.readManifest(content)
	case r.manifest.Format == 0:
		return errors.New("this is no backup of belfry: its manifest does not come first")
	case name == backupSettings:
		_, err := io.Copy(io.Discard, content)
		return err
	case name == backupDatabase:
		return writeSynced(filepath.Join(r.stage, backupDatabase), content)
	}
	rest, inBlobs := strings.CutPrefix(name, backupBlobs+"/")
	c, d, ok := blob.ParseName(rest)
	if !inBlobs || !ok { // nothing else finds its way to the disk
		return errors.New("nothing of that name belongs into a backup")
	}
	r.seen++
	put, err := r.blobs.PutFrom(ctx, c, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
	if err == nil && put != d {
		err = errors.New("the document is damaged")
	}
	return err
}

func (r *restore) readManifest(content io.Reader) error {
	if err := json.NewDecoder(content).Decode(&r.manifest); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil { // to its end, for the sum
		return err
	}
	if r.manifest.Format != backupFormat {
		return fmt.Errorf("the backup is of format %d, this program reads %d: use the version that made it", r.manifest.Format, backupFormat)
	}
	secret, err := r.settings.installKey()
	if err != nil {
		return fmt.Errorf("server.key_file: %w", err)
	}
	if check, err := keyCheck(secret); err != nil || check != r.manifest.Key {
		return errors.Join(fmt.Errorf("the backup was made under another key than %s holds: put the right file there first", r.settings.Server.KeyFile), err)
	}
	engine := sqldb.SQLite
	if !strings.HasPrefix(r.settings.Database.URL, "sqlite:") {
		engine = sqldb.Postgres
	}
	if r.manifest.Engine != engine {
		return fmt.Errorf("the backup is of a database of kind %s, database.url is of kind %s", r.manifest.Engine, engine)
	}
	return nil
}

// writeSynced writes a new file.
func writeSynced(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// finish opens what was restored, ends what must not live twice, and looks whether all is there.
func (r *restore) finish(ctx context.Context, c *restoreCmd) error {
	in, err := openParts(ctx, r.settings, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer in.Close()
	skipped, err := in.afterRestore(ctx, r.manifest, c.Gap)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(r.stage); err != nil {
		return err
	}
	for _, home := range in.settings.Communes {
		if err := in.audit.Verify(ctx, home.ID); err != nil {
			return fmt.Errorf("the journal of %s does not hold: %w", home.ID, err)
		}
	}
	if err := in.checkDocuments(ctx); err != nil {
		return err
	}
	what := "restored"
	if c.Try {
		what = "good"
	}
	fmt.Printf("%s: the backup of %s, with %d documents. The journals hold, and each paper's file is there.\n", what, r.manifest.MadeAt.Format(backupTime), r.seen)
	if c.Try {
		return nil
	}
	for id, list := range skipped {
		for _, s := range list {
			fmt.Printf("%s: numbers after %s are skipped, the next is %s\n", id, s.After, s.Next)
		}
	}
	fmt.Println("Everybody signs in anew, and open invitations are to be made again.")
	return nil
}

// afterRestore does, in one transaction, what makes an older state safe to go on from.
func (in *install) afterRestore(ctx context.Context, m manifest, gap int64) (map[commune.ID][]orders.Skipped, error) {
	if err := in.migrateAll(ctx); err != nil {
		return nil, err
	}
	if store, ok := in.kv.(*redis.Store); ok {
		if err := store.Forget(ctx); err != nil {
			return nil, err
		}
	}
	skipped := map[commune.ID][]orders.Skipped{}
	now := clock.System()
	err := in.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := errors.Join(in.forgetValues(tx), idpsql.EndAll(tx), staff.EndInvitations(tx, now)); err != nil {
			return err
		}
		for _, home := range in.settings.Communes {
			list, err := orders.SkipNumbers(tx, home.ID, now, gap)
			if err != nil {
				return err
			}
			skipped[home.ID] = list
			detail := map[string]string{"backup": m.MadeAt.Format("2006-01-02T15:04:05Z07:00")}
			for _, s := range list {
				detail["year "+strconv.Itoa(s.Year)] = fmt.Sprintf("numbers after %s are skipped, the next is %s", s.After, s.Next)
			}
			err = in.audit.Append(tx, audit.Entry{Commune: home.ID, At: now, Actor: operatorName(), Action: "belfry.restored", Subject: string(home.ID), Detail: detail})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return skipped, err
}

// forgetValues ends the sessions that the database keeps.
func (in *install) forgetValues(tx *sqldb.Tx) error {
	if in.settings.Redis != nil {
		return nil
	}
	return kv.Forget(tx)
}

// migrateAll brings the tables of every room up to date: the backup may be of an older version.
func (in *install) migrateAll(ctx context.Context) error {
	if _, err := idpsql.New(ctx, in.db, clock.System); err != nil {
		return err
	}
	return errors.Join(orders.Migrate(ctx, in.db), staff.Migrate(ctx, in.db))
}

// checkDocuments reads every file that a paper names, or that people have sent.
func (in *install) checkDocuments(ctx context.Context) error {
	var missing []error
	for _, home := range in.settings.Communes {
		err := orders.EachFile(ctx, in.db, home.ID, func(number orders.Number, file blob.Digest) error {
			if _, err := in.blobs.Read(ctx, home.ID, file); err != nil {
				missing = append(missing, fmt.Errorf("paper %s of %s: %w", number, home.ID, err))
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = orders.EachAttachment(ctx, in.db, home.ID, func(order string, file blob.Digest) error {
			if _, err := in.blobs.Read(ctx, home.ID, file); err != nil {
				missing = append(missing, fmt.Errorf("attachment of order %s of %s: %w", order, home.ID, err))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(missing...)
}
