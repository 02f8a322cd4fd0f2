package verify

import "slices"

// Code names a finding. Its words are at the message key Code.Key.
type Code string

// Key is the code's message key in the catalogues.
func (c Code) Key() string { return "verify.code." + string(c) }

// Result is the verdict that a finding alone leads to.
func (c Code) Result() Result { return meaning[c] }

const (
	// About the file.

	NoSignature     Code = "no_signature"
	HiddenSignature Code = "hidden_signature" // an earlier state of the file had one
	BytesBefore     Code = "bytes_before"     // white space before the header
	Polyglot        Code = "polyglot"         // other bytes before the header: the file may be another one for other programs
	NotPDF          Code = "not_pdf"
	Encrypted       Code = "encrypted"
	Broken          Code = "broken"
	TooLarge        Code = "too_large"
	Crashed         Code = "crashed"
	TimedOut        Code = "timed_out"

	// Attacks on what the signature covers.

	ByteRange        Code = "byte_range"        // not from the first byte, with another gap, or outside the file
	Wrapped          Code = "wrapped"           // the signature belongs to another document than the one shown
	Uncovered        Code = "uncovered"         // the signed part does not end where a revision ends
	Appended         Code = "appended"          // bytes behind the end that are no revision
	Changed          Code = "altered"           // a later revision changes what is shown
	Overlay          Code = "overlay"           // a later revision adds something visible
	FieldSet         Code = "field_set"         // a later revision fills or changes the form
	Forbidden        Code = "forbidden"         // a later signature upon a certified document
	Visible          Code = "visible"           // a later signature that shows something, which may hide something else
	LockedField      Code = "locked_field"      // a field that the signature locks was changed
	SignatureRemoved Code = "signature_removed" // a signature that was there is gone
	Content          Code = "content"           // the bytes are not those that were signed

	// The signature itself.

	SignatureMalformed Code = "signature_malformed"
	SignatureWrong     Code = "signature_wrong"
	SignerMissing      Code = "signer_missing"
	AttributesWrong    Code = "attributes_wrong"
	NotBound           Code = "not_bound"
	Weak               Code = "weak"
	Unsupported        Code = "unsupported"
	NotForSigning      Code = "not_for_signing"
	Untrusted          Code = "untrusted"
	NobodyTrusted      Code = "nobody_trusted" // the caller named no root, so nobody can be recognised
	NotGranted         Code = "not_granted"    // the authority was not in good standing in the trusted lists
	OutOfTime          Code = "out_of_time"
	Expired            Code = "expired"        // the certificate has ended, and nothing proves that the signature is older
	Revoked            Code = "revoked"        // the signer's certificate was, before the time that counts
	IssuerRevoked      Code = "issuer_revoked" // a certificate above it was

	// Time stamps.

	StampWrong     Code = "stamp_wrong"
	StampUntrusted Code = "stamp_untrusted"
	StampUnusable  Code = "stamp_unusable"
	StampExpired   Code = "stamp_expired" // its certificate has ended, and nothing proves that the stamp is older
	StampRevoked   Code = "stamp_revoked"
	NoStamp        Code = "no_stamp"

	// Good to know.

	Certified            Code = "certified"
	ValidationDataAdded  Code = "validation_data_added"
	StampAdded           Code = "stamp_added"
	SignatureAdded       Code = "signature_added"
	FieldFilled          Code = "field_filled"  // a field was filled in, as the signer let others do
	Annotated            Code = "annotated"     // somebody wrote a mark on a page, likewise
	FromTemplate         Code = "from_template" // a page was made of one of the file's templates, likewise
	BytesAfter           Code = "bytes_after"   // white space behind what is covered
	SeedValue            Code = "seed_value"    // the signature is not as its field asks
	OldFormat            Code = "old_format"
	RevocationNotChecked Code = "revocation_not_checked"

	// RevocationUnreachable: somebody was asked, and did not answer as they should.
	RevocationUnreachable Code = "revocation_unreachable"
)

// meaning is the verdict each code leads to. Codes that are Valid only inform.
var meaning = map[Code]Result{
	NoSignature: NotValid, HiddenSignature: NotValid, BytesBefore: Valid, Polyglot: Unknown, BytesAfter: Valid, NotPDF: Unknown, Encrypted: Unknown, Broken: Unknown, TooLarge: Unknown, Crashed: Unknown, TimedOut: Unknown,
	ByteRange: NotValid, Wrapped: NotValid, Uncovered: NotValid, Appended: NotValid, Changed: NotValid, Overlay: NotValid, FieldSet: NotValid,
	Forbidden: NotValid, LockedField: NotValid, SignatureRemoved: NotValid, Content: NotValid, Visible: Unknown,
	SignatureMalformed: NotValid, SignatureWrong: NotValid, SignerMissing: NotValid, AttributesWrong: NotValid, NotBound: NotValid,
	Weak: NotValid, Unsupported: Unknown, NotForSigning: NotValid, Untrusted: NotValid, NobodyTrusted: Unknown, NotGranted: Unknown, OutOfTime: NotValid, Expired: Unknown, Revoked: NotValid, IssuerRevoked: NotValid,
	StampWrong: NotValid, StampUntrusted: Valid, StampUnusable: Valid, StampExpired: Valid, StampRevoked: Valid, NoStamp: Valid,
	FieldFilled: Valid, Annotated: Valid, FromTemplate: Valid, SeedValue: Valid,
	Certified: Valid, ValidationDataAdded: Valid, StampAdded: Valid, SignatureAdded: Valid, OldFormat: Valid, RevocationNotChecked: Valid, RevocationUnreachable: Valid,
}

// Codes lists every code, so that tests can hold the catalogues to it.
func Codes() []Code {
	out := make([]Code, 0, len(meaning))
	for c := range meaning {
		out = append(out, c)
	}
	return out
}

func (s *Signature) find(c Code, detail string) { s.add(Finding{Code: c, Detail: detail}) }

func (s *Signature) add(f Finding) {
	if !slices.Contains(s.Findings, f) {
		s.Findings = append(s.Findings, f)
	}
}
