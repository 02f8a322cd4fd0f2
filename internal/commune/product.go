package commune

import (
	"fmt"
	"slices"
)

// Product is what a commune sets about one of its products.
type Product struct {
	// Demand is what it asks of the sign-in of whoever orders it.
	Demand
	// Way is how the paper is made; the catalogue's where empty.
	Way Way `toml:"way"`
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
