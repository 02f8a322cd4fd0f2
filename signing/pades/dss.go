package pades

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/belfry-eid/belfry/internal/pdf"
)

// Material is validation material: DER encodings of certificates (X.509), OCSP
// answers (OCSPResponse, RFC 6960) and revocation lists (CertificateList, RFC 5280).
type Material struct {
	Certificates, OCSPs, CRLs [][]byte
	// Password opens the file that it is appended to, where that is encrypted.
	Password string
}

// IsEmpty says whether there is none.
func (m Material) IsEmpty() bool { return len(m.Certificates)+len(m.OCSPs)+len(m.CRLs) == 0 }

const (
	maxMaterial      = 500      // streams of one kind in a document security store
	maxMaterialBytes = 64 << 20 // of all of them together
)

// store is the document security store (ISO 32000-2, 12.8.4.3) of one revision.
type store struct {
	dict  pdf.Dict // nil without one
	lists map[pdf.Name]pdf.Array
	held  map[pdf.Name][][]byte
}

var storeKeys = []pdf.Name{"Certs", "OCSPs", "CRLs"}

func readStore(f *pdf.File) (*store, error) {
	s := &store{lists: map[pdf.Name]pdf.Array{}, held: map[pdf.Name][][]byte{}}
	catalog, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	if s.dict, err = f.Dict(catalog["DSS"]); err != nil || s.dict == nil {
		return s, err
	}
	total := 0
	for _, key := range storeKeys {
		list, err := f.Array(s.dict[key])
		if err != nil {
			return nil, err
		}
		if len(list) > maxMaterial {
			return nil, fmt.Errorf("%w: more than %d streams in the document security store", pdf.ErrLimit, maxMaterial)
		}
		s.lists[key] = list
		for _, o := range list {
			v, err := f.Resolve(o)
			if err != nil {
				return nil, err
			}
			stream, ok := v.(*pdf.Stream)
			if !ok {
				continue // a hole in the list says nothing
			}
			b, err := f.Data(stream)
			if err != nil {
				return nil, err
			}
			if total += len(b); total > maxMaterialBytes {
				return nil, fmt.Errorf("%w: a document security store of more than %d bytes", pdf.ErrLimit, maxMaterialBytes)
			}
			s.held[key] = append(s.held[key], b)
		}
	}
	return s, nil
}

// ReadMaterial is what the document security store of a file holds. It is to be
// believed as little as the file itself: each piece is signed by somebody.
func ReadMaterial(f *pdf.File) (Material, error) {
	s, err := readStore(f)
	if err != nil {
		return Material{}, err
	}
	return Material{s.held["Certs"], s.held["OCSPs"], s.held["CRLs"], ""}, nil
}

// AppendMaterial returns the bytes that, appended to a file, add m to its document
// security store: EN 319 142-1, clause 5.4. What the store holds already is left
// as it is and not added again; where nothing is new there is nothing to append.
// There is no VRI dictionary, which the standard makes optional: what belongs to
// which signature is seen from the material itself.
func AppendMaterial(content io.ReaderAt, size int64, m Material) ([]byte, error) {
	f, err := openToExtend(content, size, m.Password)
	if err != nil {
		return nil, err
	}
	held, err := readStore(f)
	if err != nil {
		return nil, readFault(err)
	}
	u := f.Update()
	dict, added := pdf.Dict{}, false
	maps.Copy(dict, held.dict)
	for key, list := range map[pdf.Name][][]byte{"Certs": m.Certificates, "OCSPs": m.OCSPs, "CRLs": m.CRLs} {
		fresh := missing(list, held.held[key])
		if len(fresh) == 0 {
			continue
		}
		added = true
		dict[key] = append(slices.Clone(held.lists[key]), make(pdf.Array, len(fresh))...)
		for i := range fresh { // the numbers are given below, in the order of the keys
			dict[key].(pdf.Array)[len(held.lists[key])+i] = pdf.String(fresh[i])
		}
	}
	if !added {
		return nil, nil
	}
	for _, key := range storeKeys {
		list, _ := dict[key].(pdf.Array)
		for i := len(held.lists[key]); i < len(list); i++ {
			list[i] = u.Add(pdf.NewStream(pdf.Dict{}, []byte(list[i].(pdf.String))))
		}
	}
	if err := setStore(f, u, dict); err != nil {
		return nil, readFault(err)
	}
	tail, err := u.Encode()
	if err != nil {
		return nil, readFault(err)
	}
	return tail, nil
}

// setStore writes the store where it was, or names it in the catalog.
func setStore(f *pdf.File, u *pdf.Update, dict pdf.Dict) error {
	catalog, err := f.Catalog()
	if err != nil {
		return err
	}
	catalog = maps.Clone(catalog)
	extended, err := extension(f, catalog)
	if err != nil {
		return err
	}
	r, indirect := catalog["DSS"].(pdf.Ref)
	if indirect {
		u.Set(r, dict)
	} else {
		catalog["DSS"] = u.Add(dict)
	}
	if extended || !indirect {
		u.Set(f.Root(), catalog)
	}
	return nil
}

// missing is what of list is not in held, each once.
func missing(list, held [][]byte) (fresh [][]byte) {
	seen := map[[32]byte]bool{}
	for _, b := range held {
		seen[sha256.Sum256(b)] = true
	}
	for _, b := range list {
		if sum := sha256.Sum256(b); !seen[sum] && len(b) > 0 {
			seen[sum] = true
			fresh = append(fresh, b)
		}
	}
	return fresh
}

// openToExtend opens a file whose last revision is complete.
func openToExtend(content io.ReaderAt, size int64, password string) (*pdf.File, error) {
	f, err := pdf.OpenWith(content, size, password)
	if err != nil {
		return nil, readFault(err)
	}
	if !f.Closed() {
		return nil, broken(fmt.Errorf("pades: bytes behind the end of the file"))
	}
	if catalog, err := f.Catalog(); err != nil || catalog == nil {
		return nil, broken(fmt.Errorf("pades: no catalog: %w", err))
	}
	return f, nil
}
