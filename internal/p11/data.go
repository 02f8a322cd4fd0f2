package p11

import (
	"fmt"

	"github.com/miekg/pkcs11"
)

// maxData bounds what is taken of one data object: the largest on an eID card is the
// photo, of some 3,000 bytes.
const maxData = 64 << 10

// Data reads data objects that the token shows, by label. Those that are not there, are
// empty or too large are left out: OpenSC shows none of a card, the official middleware all.
// A card is read only for the labels that are asked for.
func (t *Token) Data(labels ...string) (map[string][]byte, error) {
	values := map[string][]byte{}
	err := t.with(func(s *session) error {
		for _, label := range labels {
			found, err := t.find(s, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
			if err != nil {
				return err
			}
			if len(found) != 1 {
				continue
			}
			if value := t.attribute(s, found[0], pkcs11.CKA_VALUE); len(value) > 0 && len(value) <= maxData {
				values[label] = value
			}
		}
		return nil
	})
	return values, err
}

// ImportData stores a data object of this label that everybody may read, and the group
// that it belongs to (CKA_OBJECT_ID).
func (t *Token) ImportData(label, group string, value []byte) error {
	return t.writing(func(s *session) error {
		_, err := t.lib.ctx.CreateObject(s.h, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA),
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
			pkcs11.NewAttribute(pkcs11.CKA_OBJECT_ID, []byte(group)),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE, value),
		})
		if err != nil {
			return fmt.Errorf("data %q: %w", label, callError("C_CreateObject", err))
		}
		return nil
	})
}
