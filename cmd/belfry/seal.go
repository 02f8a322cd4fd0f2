package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// sealLimit is the largest file this command takes, in bytes.
const sealLimit = 4 << 30

type sealCmd struct {
	settingsFlag
	In           string     `arg:"" type:"path" help:"The PDF to seal, or the folder of PDFs."`
	Out          string     `arg:"" type:"path" help:"Where the sealed PDF goes; never over a file that is there."`
	Commune      commune.ID `help:"Whose key; may be left out where only one commune has a key for operators."`
	Level        string     `default:"B-T" enum:"B-B,B-T,B-LT,B-LTA" help:"B-B is the signature alone, B-T adds a timestamp, B-LT what proves its certificates valid, B-LTA a timestamp upon all of it."`
	Plain        bool       `xor:"form" help:"Sign in the form that came before PAdES (adbe.pkcs7.detached), without timestamp, for receivers that know no other. Takes files without form and signature."`
	Field        string     `xor:"form" help:"The empty signature field to fill; \".\" is the only one there is. Without it a field is added that nobody sees."`
	PasswordFile string     `type:"existingfile" placeholder:"FILE" help:"File with the password of an encrypted PDF, its user's or its owner's; mode 0400."`
	Reason       string     `default:"sealed on the command line" help:"Why; the journal keeps it."`

	Batch    bool          `help:"Seal every PDF below the folder IN into the folder OUT. Run again, it goes on where it stopped."`
	Parallel int           `default:"4" help:"How many files of a batch are sealed at once."`
	Patience time.Duration `default:"5m" help:"How long a file of a batch waits for a token or a timestamp that is away."`
	Report   string        `type:"path" placeholder:"FILE" help:"Where a batch writes a line for each file, as CSV."`
	Lang     i18n.Language `default:"en" enum:"fr,nl,de,en" help:"Language of the reasons in a batch's report."`
}

// Run seals one file. A grant that names the operator, the file's hash and the reason is
// durable before the key is used; the key that issues documents is another (docs/adr/0004).
func (c *sealCmd) Run() error {
	ctx := context.Background()
	in, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.Commune, err = in.settings.operatorOf(c.Commune); err != nil {
		return err
	}
	if c.Plain {
		c.Level = signing.Plain
	}
	if c.Batch {
		if c.Field != "" || c.PasswordFile != "" {
			return errors.New("--field and --password-file are for one file, not for a batch")
		}
		return c.runBatch(ctx, in)
	}
	receipt, err := in.sealFile(ctx, c)
	if err != nil {
		return err
	}
	if err := in.handOut(ctx, c.Commune, receipt.Document, c.Out); err != nil {
		return err
	}
	fmt.Printf("%s: sealed by %s at %s, level %s\n", c.Out, receipt.Signer, receipt.SignedAt.Format(time.RFC3339), receipt.Level)
	return nil
}

// password is that of the file to be sealed, "" where none is named.
func (c *sealCmd) password() (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	return readSecret(c.PasswordFile)
}

// operatorOf is the commune whose operator's key is meant; "" means the only one that has one.
func (s *Settings) operatorOf(id commune.ID) (commune.ID, error) {
	if id != "" {
		if _, ok := s.seal(id, true); !ok {
			return "", fmt.Errorf("commune %s has no [[seal]] with operator = true", id)
		}
		return id, nil
	}
	var all []string
	for _, k := range s.Seals {
		if k.Operator {
			all = append(all, string(k.Commune))
		}
	}
	switch len(all) {
	case 0:
		return "", errors.New("no [[seal]] has operator = true: the keys that issue documents do nothing else")
	case 1:
		return commune.ID(all[0]), nil
	}
	return "", fmt.Errorf("say whose key with --commune: one of %s", strings.Join(all, ", "))
}

func (in *install) sealFile(ctx context.Context, c *sealCmd) (signing.Receipt, error) {
	sealer, err := in.sealer(signing.Operator, c.Level)
	if err != nil {
		return signing.Receipt{}, err
	}
	key := sealer.Keys[c.Commune]
	key.Field = c.Field
	if key.Password, err = c.password(); err != nil {
		return signing.Receipt{}, err
	}
	if sealer.Extender != nil {
		sealer.Extender.Password = key.Password
	}
	sealer.Keys[c.Commune] = key
	digest, err := in.takeIn(ctx, c.Commune, c.In)
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

// takeIn puts a file that is to be sealed into the store.
func (in *install) takeIn(ctx context.Context, c commune.ID, path string) (blob.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return blob.Digest{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return blob.Digest{}, err
	}
	if info.Size() > sealLimit {
		return blob.Digest{}, fmt.Errorf("%s: larger than %d GB", path, sealLimit>>30)
	}
	return in.blobs.PutFrom(ctx, c, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// handOut writes a file of the store to a path: all of it or nothing, and never over
// another. It gets its name when all of it is on disk.
func (in *install) handOut(ctx context.Context, c commune.ID, d blob.Digest, path string) error {
	from, err := in.blobs.Open(ctx, c, d)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.CreateTemp(filepath.Dir(path), ".belfry-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
