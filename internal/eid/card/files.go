package card

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/belfry-eid/belfry/internal/eid/idfile"
	"github.com/belfry-eid/belfry/internal/p11"
)

// The labels under which the official middleware shows a card's files, as data objects that
// need no PIN. OpenSC shows none of them.
const (
	identityFile      = "DATA_FILE"
	identitySignature = "SIGN_DATA_FILE"
	addressFile       = "ADDRESS_FILE"
	addressSignature  = "SIGN_ADDRESS_FILE"
	photoFile         = "PHOTO_FILE"
	registryFile      = "CERT_RN_FILE"
)

// Read returns what is written on the card, with the photo where it is wanted. It needs no
// PIN, and proves nothing: idfile.Verifier says whether the National Register signed it.
// ErrNoFiles where the module does not show the files.
func (c *Card) Read(photo bool) (idfile.Files, error) {
	token, err := c.module.Open(c.selector(), p11.PIN{}, p11.WithoutLogin())
	if err != nil {
		return idfile.Files{}, c.meaning(err)
	}
	defer token.Close()
	files, err := c.read(token, photo)
	if err != nil {
		return idfile.Files{}, c.meaning(err)
	}
	return files, nil
}

func (c *Card) read(token *p11.Token, photo bool) (idfile.Files, error) {
	labels := []string{identityFile, identitySignature, addressFile, addressSignature, registryFile}
	if photo {
		labels = append(labels, photoFile)
	}
	got, err := token.Data(labels...)
	if err != nil {
		return idfile.Files{}, err
	}
	if len(got[identityFile]) == 0 || len(got[identitySignature]) == 0 || len(got[registryFile]) == 0 {
		return idfile.Files{}, ErrNoFiles
	}
	written, err := idfile.Parse(got[identityFile], nil)
	if err != nil {
		return idfile.Files{}, err
	}
	// The module takes the serial number from the chip's: its last sixteen digits.
	if chip := hex.EncodeToString(written.ChipNumber); !strings.HasSuffix(chip, strings.ToLower(c.serial)) {
		return idfile.Files{}, ErrRemoved.Because(errors.New("the files are of another chip than the card's"))
	}
	return idfile.Files{
		Identity: got[identityFile], IdentitySignature: got[identitySignature], Address: got[addressFile], AddressSignature: got[addressSignature],
		Photo: got[photoFile], Registry: trimmed(got[registryFile]),
	}, nil
}

// trimmed cuts off the padding behind a certificate of a card file.
func trimmed(file []byte) []byte {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(file, &outer); err != nil {
		return file
	}
	return outer.FullBytes
}
