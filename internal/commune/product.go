package commune

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Product is what a commune sets about one of its products.
type Product struct {
	// Demand is what it asks of the sign-in of whoever orders it.
	Demand
	// Way is how the paper is made; the catalogue's where empty.
	Way Way `toml:"way"`
	// Tariff is what it costs and how it is delivered.
	Tariff Tariff `toml:"tariff"`
}

// Tariff is what a commune has decided about the fee of a product, by a regulation of its
// council. The fee is (price + surcharge of the purpose) × copies + post; a download in the
// person's own space is free unless DownloadCosts. Amounts are euro cents. Names of purposes
// and deliveries are those of orders/fee.
type Tariff struct {
	PriceCents     *int64           `toml:"price_cents"`     // of a copy; the catalogue's where it is not there
	SurchargeCents map[string]int64 `toml:"surcharge_cents"` // by purpose
	PostCents      int64            `toml:"post_cents"`      // of a letter with all its copies
	Deliveries     []string         `toml:"deliveries"`      // offered: "download", "post", "counter"; the first alone where empty
	DownloadCosts  bool             `toml:"download_costs"`  // has a download cost what a copy does
	MaxCopies      int              `toml:"max_copies"`      // in one letter; 10 where 0
	Regulation     string           `toml:"regulation"`      // https address of the council's regulation
	// Payment says how a fee is paid, by language; in general words where empty. Nothing is
	// paid through this program.
	Payment map[i18n.Language]string `toml:"payment"`
}

// The most that a tariff may say: whatever is above is a slip of the keyboard.
const (
	MaxCents  = 100_000 // 1000 euro
	MaxCopies = 100
)

// Check returns what is wrong with it.
func (t Tariff) Check() error {
	var faults []error
	amount := func(key string, cents int64) {
		if cents < 0 || cents > MaxCents {
			faults = append(faults, fmt.Errorf("%s = %d: euro cents, 0 to %d", key, cents, MaxCents))
		}
	}
	if t.PriceCents != nil {
		amount("price_cents", *t.PriceCents)
	}
	for purpose, cents := range t.SurchargeCents {
		amount("surcharge_cents."+purpose, cents)
	}
	amount("post_cents", t.PostCents)
	if t.MaxCopies < 0 || t.MaxCopies > MaxCopies {
		faults = append(faults, fmt.Errorf("max_copies = %d: 1 to %d", t.MaxCopies, MaxCopies))
	}
	if u, err := url.Parse(t.Regulation); t.Regulation != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		faults = append(faults, fmt.Errorf("regulation %q: an https address", t.Regulation))
	}
	return errors.Join(faults...)
}

// Way is how a commune comes by a paper.
type Way string

const (
	Made       Way = "made"     // set by this program from the register's answer
	FromSource Way = "source"   // fetched as the register has sealed it, and relayed as it is
	Attached   Way = "attached" // made by the commune's own software, attached by a clerk
)

// Ways lists them.
var Ways = []Way{Made, FromSource, Attached}

// Check returns an error where w is set and is none of Ways.
func (w Way) Check() error {
	if w != "" && !slices.Contains(Ways, w) {
		return fmt.Errorf("way %q: made, source or attached", w)
	}
	return nil
}
