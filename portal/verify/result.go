package verify

import (
	"net/http"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
	signing "github.com/belfry-eid/belfry/signing/verify"
)

// Ways in; each proves something else.
const (
	byCode = "code"
	byQR   = "qr"
	byFile = "file"
)

// Results; the texts are "check.result.NAME.title" and ".text".
const (
	resultValid      = "valid"
	resultExtended   = "extended"
	resultAltered    = "altered"
	resultForeign    = "foreign"   // not ours, and the seal or signature of somebody whom we recognise
	resultPermitted  = "permitted" // likewise, with later changes that the signer allows
	resultWithdrawn  = "withdrawn"
	resultNotOurs    = "not_ours"
	resultUnknown    = "unknown"
	resultUnreadable = "unreadable"
)

// outcome is what a check found.
type outcome struct {
	Way    string
	Result string
	Facts  *orders.Facts // nil where the commune knows no such paper
	Exact  bool          // the file is one that was issued, byte for byte
	Unsent bool          // the file was not sent, only its hash
	Report *Report       // nil where no file was read
	Signed *drawn        // nil where there is nothing to show
	Known  known         // by what it was found
}

// status is the result for a paper that the commune has issued.
func status(f orders.Facts) string {
	if f.Status == orders.Valid {
		return resultValid
	}
	return resultWithdrawn
}

// found shows the facts of a look-up. Unknown and wrong are the same page and status.
func (p *Pages) found(w http.ResponseWriter, r *http.Request, o outcome, facts orders.Facts, err error) error {
	if fault.KindOf(err) == fault.NotFound && err != nil {
		o.Result = resultUnknown
		return p.result(w, r, o)
	}
	if err != nil {
		return err
	}
	o.Result, o.Facts = status(facts), &facts
	return p.result(w, r, o)
}

// check is one line of what was looked at.
type check struct {
	Text  string
	State string // "good", "bad" or "open"
	Words string // the state in words
}

type resultPage struct {
	outcome
	Look     string // "good", "bad" or "open"
	Checks   []check
	Limits   []string // what the check does not prove
	Again    string
	Origin   string
	Issuer   string // the commune's name
	Mention  string // in whose place a delegate signed
	Signer   string // of the last signature
	Specimen bool
	Account  *signing.Account // nil where no file was read
	Copy     string           // where the whole file is had; empty where it is not
}

var looks = map[string]string{
	resultValid: "good", resultExtended: "good", resultAltered: "bad", resultWithdrawn: "bad",
	resultForeign: "good", resultPermitted: "open", resultNotOurs: "open", resultUnknown: "open", resultUnreadable: "open",
}

var statuses = map[string]int{resultUnknown: http.StatusNotFound}

func (p *Pages) result(w http.ResponseWriter, r *http.Request, o outcome) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("check.result."+o.Result+".title"))
	frame.Back, frame.NoIndex = v.To(orders.VerifyPath), true
	c := resultPage{
		outcome: o, Look: looks[o.Result], Checks: checks(v, o), Limits: limits(v, o),
		Again: frame.Back, Origin: v.Site.Origin, Issuer: v.Commune.NameIn(v.Language),
	}
	if o.Report != nil && o.Report.Found != nil {
		account := signing.Tell(v.Language, o.Report.Found)
		c.Account = &account
		if o.Facts == nil {
			c.Limits = account.Limits
		}
	}
	if o.Report != nil {
		c.Signer = o.Report.Signer
	}
	if o.Facts != nil && o.Facts.Signatory.Name != "" {
		c.Mention = o.Facts.Signatory.Office.Mention(v.Commune, v.Language)
	}
	c.Specimen = o.Facts != nil && o.Facts.Specimen
	if v.Commune.CheckCopy && o.Result == resultValid && o.Way != byFile {
		c.Copy = v.To(orders.VerifyPath + "/copy")
	}
	code := statuses[o.Result]
	if code == 0 {
		code = http.StatusOK
	}
	return p.templates.Render(w, code, "result", frame, c)
}

// checks lists what was looked at and what came of it.
func checks(v *visit.Visit, o outcome) []check {
	var list []check
	add := func(key, state string, args ...any) {
		list = append(list, check{v.T("check.looked."+key, args...), state, v.T("check.state." + state)})
	}
	switch {
	case o.Way != byFile && o.Facts != nil:
		add("issued", "good")
		list = append(list, standing(v, o.Facts))
		return list
	case o.Way != byFile:
		add("issued", "open")
		return list
	}
	switch o.Result {
	case resultValid, resultWithdrawn:
		if o.Facts != nil && o.Exact {
			add("same_file", "good")
		} else {
			add("contains_issued", "good")
		}
		list = append(list, standing(v, o.Facts))
	case resultExtended:
		add("contains_issued", "good")
		add("only_proofs", "good")
	default:
		add("same_file", map[bool]string{true: "bad", false: "open"}[o.Result == resultAltered])
		if o.Facts != nil && status(*o.Facts) == resultWithdrawn {
			list = append(list, standing(v, o.Facts))
		}
	}
	if o.Unsent {
		return append(list, check{v.T("check.looked.unsent"), "open", v.T("check.state.open")})
	}
	return append(list, sealChecks(v, o.Report)...)
}

// standing says whether the commune has taken the paper back.
func standing(v *visit.Visit, f *orders.Facts) check {
	if status(*f) == resultValid {
		return check{v.T("check.looked.standing"), "good", v.T("check.state.good")}
	}
	return check{v.T("check.looked.withdrawn"), "bad", v.T("check.state.bad")}
}

func sealChecks(v *visit.Visit, report *Report) []check {
	if report == nil {
		return []check{{v.T("check.looked.seal_not_read"), "open", v.T("check.state.open")}}
	}
	say := func(key, state string, args ...any) check {
		return check{v.T("check.looked."+key, args...), state, v.T("check.state." + state)}
	}
	var list []check
	switch report.Verdict {
	case Valid, Extended, Permitted:
		for _, name := range report.People {
			list = append(list, say("person", "good", "Name", name))
		}
		list = append(list, say("seal", "good", "Signer", report.Signer))
	case Altered:
		list = append(list, say("seal_broken", "bad"))
	case Untrusted:
		list = append(list, say("seal_stranger", "open", "Signer", report.Signer))
	case Unsigned:
		list = append(list, say("no_seal", "open"))
	case Unclear:
		list = append(list, say("seal_unclear", "open"))
	}
	if !report.StampedAt.IsZero() {
		list = append(list, say("stamp", "good", "Authority", report.StampedBy))
	}
	return list
}

// limits says what the check does not prove.
func limits(v *visit.Visit, o outcome) []string {
	if o.Facts == nil {
		return nil
	}
	list := []string{v.T("check.limit.holder"), v.T("check.limit.since")}
	if o.Way != byFile {
		list = append([]string{v.T("check.limit.paper")}, list...)
	}
	return list
}
