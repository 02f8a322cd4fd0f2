package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// sealLimit is the largest file this command takes, in bytes.
const sealLimit = 64 << 20

type sealCmd struct {
	Config  string     `required:"" type:"existingfile" placeholder:"FILE" help:"Settings file."`
	Commune commune.ID `arg:"" help:"Whose key."`
	In      string     `arg:"" type:"existingfile" help:"The PDF to seal."`
	Out     string     `arg:"" type:"path" help:"Where the sealed PDF goes; never over a file that is there."`
	Reason  string     `required:"" help:"Why; the journal keeps it."`
}

// Run seals one file. A grant that names the operator, the file's hash and the reason is
// durable before the key is used; the key that issues documents is another (decision 8).
func (c *sealCmd) Run() error {
	ctx := context.Background()
	s, err := loadSettings(c.Config)
	if err != nil {
		return err
	}
	if _, ok := s.seal(c.Commune, true); !ok {
		return fmt.Errorf("commune %s has no [[seal]] with operator = true", c.Commune)
	}
	content, err := readLimited(c.In, sealLimit)
	if err != nil {
		return err
	}
	in, err := open(ctx, s, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer in.Close()
	receipt, err := in.sealFile(ctx, c, content)
	if err != nil {
		return err
	}
	sealed, err := in.blobs.Read(ctx, c.Commune, receipt.Document)
	if err != nil {
		return err
	}
	if err := writeNew(c.Out, sealed); err != nil {
		return err
	}
	fmt.Printf("%s: sealed by %s, %s, stamped %s\n", c.Out, receipt.Signer, receipt.Level, receipt.StampedAt.Format("2006-01-02 15:04:05Z07:00"))
	return nil
}

func (in *install) sealFile(ctx context.Context, c *sealCmd, content []byte) (signing.Receipt, error) {
	sealer, err := in.sealer(signing.Operator)
	if err != nil {
		return signing.Receipt{}, err
	}
	digest, err := in.blobs.Put(ctx, c.Commune, content)
	if err != nil {
		return signing.Receipt{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return signing.Receipt{}, err
	}
	grant := signing.Grant{
		ID: id.String(), Commune: c.Commune, Kind: signing.Operator, Reference: filepath.Base(c.In), Content: digest,
		By: operatorName(), Reason: c.Reason, At: clock.System(),
	}
	if err := in.db.Write(ctx, func(tx *sqldb.Tx) error { return sealer.Grant(tx, grant) }); err != nil {
		return signing.Receipt{}, err
	}
	return sealer.Seal(ctx, c.Commune, grant.ID, func(*sqldb.Tx, signing.Receipt) error { return nil })
}

// operatorName is the account that runs the command.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return "operator " + u.Username
	}
	return "operator"
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s: larger than %d MB", path, limit>>20)
	}
	return content, err
}

// writeNew writes a whole file or none, and never over another.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}
