package verify

// Indication is the main status of EN 319 102-1, clause 5.1.3.
type Indication string

const (
	TotalPassed   Indication = "TOTAL-PASSED"
	TotalFailed   Indication = "TOTAL-FAILED"
	Indeterminate Indication = "INDETERMINATE"
)

// SubIndication is the reason, EN 319 102-1, tables 5 and 6.
type SubIndication string

const (
	FormatFailure        SubIndication = "FORMAT_FAILURE"
	HashFailure          SubIndication = "HASH_FAILURE"
	SigCryptoFailure     SubIndication = "SIG_CRYPTO_FAILURE"
	NotYetValid          SubIndication = "NOT_YET_VALID"
	SigConstraints       SubIndication = "SIG_CONSTRAINTS_FAILURE"
	ChainConstraints     SubIndication = "CHAIN_CONSTRAINTS_FAILURE"
	CryptoConstraints    SubIndication = "CRYPTO_CONSTRAINTS_FAILURE"
	RevokedNoPOE         SubIndication = "REVOKED_NO_POE"
	RevokedCANoPOE       SubIndication = "REVOKED_CA_NO_POE"
	OutOfBoundsNoPOE     SubIndication = "OUT_OF_BOUNDS_NO_POE"
	NoSigningCertificate SubIndication = "NO_SIGNING_CERTIFICATE_FOUND"
	NoCertificateChain   SubIndication = "NO_CERTIFICATE_CHAIN_FOUND"
	SignedDataNotFound   SubIndication = "SIGNED_DATA_NOT_FOUND"
	TryLater             SubIndication = "TRY_LATER"
)

type indicated struct {
	Indication
	SubIndication
}

// indications are what each code comes to; codes that are not here only inform.
// They stand in the order of the standard's process: the first one found counts.
var indications = []struct {
	Code
	indicated
}{
	{ByteRange, indicated{TotalFailed, FormatFailure}},
	{Wrapped, indicated{TotalFailed, FormatFailure}},
	{Uncovered, indicated{TotalFailed, FormatFailure}},
	{SignatureMalformed, indicated{TotalFailed, FormatFailure}},
	{Content, indicated{TotalFailed, HashFailure}},
	{SignatureWrong, indicated{TotalFailed, SigCryptoFailure}},
	{StampWrong, indicated{TotalFailed, FormatFailure}},
	{NotPDF, indicated{TotalFailed, FormatFailure}},
	{HiddenSignature, indicated{Indeterminate, SignedDataNotFound}},
	{Encrypted, indicated{Indeterminate, SignedDataNotFound}},
	{Broken, indicated{Indeterminate, SignedDataNotFound}},
	{TooLarge, indicated{Indeterminate, SignedDataNotFound}},
	{Crashed, indicated{Indeterminate, SignedDataNotFound}},
	{TimedOut, indicated{Indeterminate, SignedDataNotFound}},
	{Appended, indicated{Indeterminate, SigConstraints}},
	{Changed, indicated{Indeterminate, SigConstraints}},
	{Overlay, indicated{Indeterminate, SigConstraints}},
	{FieldSet, indicated{Indeterminate, SigConstraints}},
	{Forbidden, indicated{Indeterminate, SigConstraints}},
	{LockedField, indicated{Indeterminate, SigConstraints}},
	{SignatureRemoved, indicated{Indeterminate, SigConstraints}},
	{SignerMissing, indicated{Indeterminate, NoSigningCertificate}},
	{AttributesWrong, indicated{Indeterminate, SigConstraints}},
	{NotBound, indicated{Indeterminate, SigConstraints}},
	{Weak, indicated{Indeterminate, CryptoConstraints}},
	{Unsupported, indicated{Indeterminate, CryptoConstraints}},
	{NotForSigning, indicated{Indeterminate, ChainConstraints}},
	{Untrusted, indicated{Indeterminate, NoCertificateChain}},
	{NobodyTrusted, indicated{Indeterminate, NoCertificateChain}},
	{NotGranted, indicated{Indeterminate, NoCertificateChain}},
	{StampUntrusted, indicated{"", NoCertificateChain}}, // of a document time stamp only
	{StampUnusable, indicated{"", CryptoConstraints}},
	{StampExpired, indicated{"", OutOfBoundsNoPOE}},
	{StampRevoked, indicated{"", RevokedNoPOE}},
	{IssuerRevoked, indicated{Indeterminate, RevokedCANoPOE}},
	{Revoked, indicated{Indeterminate, RevokedNoPOE}},
	{OutOfTime, indicated{Indeterminate, OutOfBoundsNoPOE}},
	{Expired, indicated{Indeterminate, OutOfBoundsNoPOE}},
	{Visible, indicated{Indeterminate, SigConstraints}},
	{RevocationNotChecked, indicated{Indeterminate, TryLater}},
	{RevocationUnreachable, indicated{Indeterminate, TryLater}},
}

// conclude draws the verdict on a signature from what was found.
func (s *examined) conclude() {
	s.Result = Valid
	for _, f := range s.Findings {
		s.Result = worse(s.Result, f.Code.Result())
	}
	s.Indication, s.SubIndication = s.indicate()
}

func (s *examined) indicate() (Indication, SubIndication) {
	for _, in := range indications {
		for _, f := range s.Findings {
			switch {
			case f.Code != in.Code:
			case in.Code == OutOfTime && s.signed != nil && s.before():
				return TotalFailed, NotYetValid
			case in.Indication != "":
				return in.Indication, in.SubIndication
			case s.Kind == Stamping: // one that does not count proves nothing by itself
				return Indeterminate, in.SubIndication
			}
		}
	}
	return TotalPassed, ""
}

// before says whether the signature was made before its certificate began.
func (s *examined) before() bool {
	return s.ProvedAt != nil && s.ProvedAt.Before(s.signed.Signer.NotBefore)
}

// indicate draws the file's indication from those of its signatures: the worst counts.
func (r *Report) indicate() {
	r.Indication = TotalPassed
	for _, in := range indications {
		for _, f := range r.Findings {
			if f.Code == in.Code {
				r.Indication, r.SubIndication = in.Indication, in.SubIndication
				return
			}
		}
	}
	rank := map[Indication]int{TotalPassed: 0, Indeterminate: 1, TotalFailed: 2}
	signed := false
	for _, s := range r.Signatures {
		signed = signed || s.Kind == Signing
		if rank[s.Indication] > rank[r.Indication] {
			r.Indication, r.SubIndication = s.Indication, s.SubIndication
		}
	}
	if r.notesItself(Polyglot) && r.Indication == TotalPassed {
		r.Indication, r.SubIndication = Indeterminate, SigConstraints
	}
	if !signed {
		r.Indication, r.SubIndication = Indeterminate, SignedDataNotFound
	}
}
