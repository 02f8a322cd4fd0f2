package blob

import (
	"fmt"
	"path"
	"strings"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Name is how every store, and a backup, calls a file: "beaumarais/ab/abcd…".
func Name(c commune.ID, d Digest) (string, error) {
	if err := c.Check(); err != nil {
		return "", fmt.Errorf("blob: %w", err)
	}
	name := d.String()
	return path.Join(string(c), name[:2], name), nil
}

// ParseName reads what Name writes; false where it is another's.
func ParseName(name string) (c commune.ID, d Digest, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return "", Digest{}, false
	}
	c = commune.ID(parts[0])
	d, err := ParseDigest(parts[2])
	if err != nil || c.Check() != nil || parts[1] != parts[2][:2] {
		return "", Digest{}, false
	}
	return c, d, true
}
