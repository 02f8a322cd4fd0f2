package orders

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/jobs"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/delegation"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/register"
	"github.com/belfry-eid/belfry/signing"
)

// Addresses that stand on papers and in mails; the portal answers there, below the
// commune's origin. A paper lives for decades, so these do not change.
const (
	VerifyPath = "/verify"        // a page to type number and code; VerifyPath/TOKEN leads to one paper
	OrderPath  = "/orders/"       // OrderPath followed by an order's ID: the person's own page of it
	DraftsPath = "/orders#drafts" // a person's forms that are not yet sent
	FollowPath = "/follow"        // where an order is followed by its reference, without signing in
)

// Sealer seals what a clerk approved. signing/seal offers it; see there for the
// promises (a grant is durable before the key is called, Seal goes on where it stopped).
type Sealer interface {
	// Grant records that these bytes may be sealed, in the caller's transaction.
	Grant(tx *sqldb.Tx, g signing.Grant) error
	// Seal brings a grant further. record runs in the transaction of each stage reached.
	Seal(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error)
	// Due lists grants whose documents are to be renewed; those of skip are left out.
	Due(ctx context.Context, c commune.ID, limit int, skip ...string) ([]string, error)
	// Renew puts another file in the place of a finished one, which begins with the old
	// one's bytes. record runs in the transaction of the change.
	Renew(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error)
	// Describe says whose seal the commune's papers carry.
	Describe(c commune.ID) (signing.Seal, error)
}

// Blobs keeps files; blob.Store is one.
type Blobs interface {
	Put(ctx context.Context, c commune.ID, data []byte) (blob.Digest, error)
	PutFrom(ctx context.Context, c commune.ID, write func(io.Writer) error) (blob.Digest, error)
	Open(ctx context.Context, c commune.ID, d blob.Digest) (blob.File, error)
	Read(ctx context.Context, c commune.ID, d blob.Digest) ([]byte, error)
}

// Auditor writes and reads the audit log; audit.Log is one.
type Auditor interface {
	Append(tx *sqldb.Tx, e audit.Entry) error
	// Since returns what was done to these subjects since a time, the oldest first.
	Since(ctx context.Context, c commune.ID, subjects []string, since time.Time) ([]audit.Entry, error)
}

// Config is what a Service works with. Everything is needed but where it says so.
type Config struct {
	DB       *sqldb.DB
	Blobs    Blobs
	Audit    Auditor
	Jobs     *jobs.Queue // not yet started
	Clock    clock.Clock
	Communes *commune.Communes
	// Register says where people live. nil where no register can be asked: a clerk then
	// attaches every paper that would rest on it.
	Register register.Source
	// Sources give papers that they have sealed themselves, by catalogue.Product.Source.
	Sources  map[string]Source
	Renderer document.Renderer
	Sealer   Sealer
	// Proofs seals what people take away of their orders, with another key than papers have;
	// nil where that is never sealed, and so it is in a commune whose Describe is seal.no_key.
	Proofs Sealer
	// Papers reads and marks files that clerks attach; nil where none are taken.
	Papers PaperReader
	// Signatures are clerks' own; nil where no commune has them.
	Signatures Signatures
	// Secret has at least 32 random bytes, the same for the life of the install: the
	// keys that keep national numbers are derived from it.
	Secret []byte
	// Mailer sends notices; nil sends none.
	Mailer notice.Mailer
	// Catalogue of products; the standard one where nil.
	Catalogue *catalogue.Catalogue
}

// Service is the domain's door. It is safe for concurrent use. Its errors are
// faults where a reader can do something; the comment of each method names them.
type Service struct {
	Config
	vault       vault
	delegations *delegation.Register
}

//go:embed migrations
var migrations embed.FS

// New brings the tables up to date and registers the jobs.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Catalogue == nil {
		cfg.Catalogue = catalogue.Standard()
	}
	for name, missing := range map[string]bool{
		"DB": cfg.DB == nil, "Blobs": cfg.Blobs == nil, "Audit": cfg.Audit == nil, "Jobs": cfg.Jobs == nil,
		"Clock": cfg.Clock == nil, "Communes": cfg.Communes == nil,
		"Renderer": cfg.Renderer == nil, "Sealer": cfg.Sealer == nil,
	} {
		if missing {
			return nil, fmt.Errorf("orders: Config.%s is missing", name)
		}
	}
	vault, err := newVault(cfg.Secret)
	if err != nil {
		return nil, err
	}
	if err := Migrate(ctx, cfg.DB); err != nil {
		return nil, err
	}
	delegations, err := delegation.New(ctx, cfg.DB, cfg.Audit, cfg.Clock)
	if err != nil {
		return nil, err
	}
	s := &Service{Config: cfg, vault: vault, delegations: delegations}
	jobs.Handle(cfg.Jobs, unlessGone(s.seal))
	jobs.Handle(cfg.Jobs, unlessGone(s.relay))
	jobs.Handle(cfg.Jobs, unlessGone(s.notify))
	jobs.Handle(cfg.Jobs, s.sendCodes)
	jobs.Handle(cfg.Jobs, s.renew, jobs.Timeout(renewFor))
	jobs.Every(cfg.Jobs, RenewJob{}, renewEvery)
	jobs.Handle(cfg.Jobs, s.sweep)
	jobs.Every(cfg.Jobs, SweepJob{}, sweepEvery)
	jobs.Handle(cfg.Jobs, s.remind)
	jobs.Every(cfg.Jobs, RemindJob{}, remindEvery)
	return s, nil
}

// unlessGone ends a job whose order is there no more: that of a training commune, emptied since.
func unlessGone[A jobs.Args](work func(context.Context, A) error) func(context.Context, A) error {
	return func(ctx context.Context, a A) error {
		if err := work(ctx, a); !errors.Is(err, errNotFound) {
			return err
		}
		return nil
	}
}

var (
	errUnknownCommune = errors.New("orders: no such commune")
	errNotFound       = fault.New(fault.NotFound, "orders.not_found", nil)
)

func (s *Service) commune(c commune.ID) (*commune.Commune, error) {
	found, ok := s.Communes.ByID(c)
	if !ok {
		return nil, errUnknownCommune
	}
	return found, nil
}

// Products are the papers that people of a commune can order, each in its newest version.
func (s *Service) Products(c commune.ID) []*catalogue.Product {
	of, err := s.commune(c)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(s.Catalogue.Current(), func(p *catalogue.Product) bool { return !p.Of(of.Country) })
}

// Product is one of Products; fault orders.no_product (NotFound) where it is not offered.
func (s *Service) Product(c commune.ID, id string) (*catalogue.Product, error) {
	of, err := s.commune(c)
	if err != nil {
		return nil, err
	}
	p, ok := s.Catalogue.Newest(id)
	if !ok || !p.Of(of.Country) {
		return nil, fault.New(fault.NotFound, "orders.no_product", nil)
	}
	return p, nil
}
