package outside

import (
	"errors"

	"github.com/belfry-eid/belfry/internal/fault"
)

// Inside does every task in this process.
func Inside(file []byte) (faults []error) {
	for _, t := range []task{{Do: doCheck}, {Do: doLook}, {Do: doMark, Mark: Mark{Lines: []string{"n° 1"}, QR: "x", Corner: TopLeft, Specimen: "S"}}} {
		a := do(t, file)
		if err := a.plausible(); err != nil {
			faults = append(faults, errors.New("not plausible: "+err.Error()))
		}
		if a.Refused != "" {
			faults = append(faults, fault.New(fault.Invalid, a.Refused, nil))
		}
	}
	return faults
}
