package clerk

import (
	"net/http"
	"slices"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// Who is away, and who stands in.

type absenceRow struct {
	Name, Deputy string
	From, To     time.Time
	End          string // subject whose absence the reader may end; "" where they may not
}

type absencePage struct {
	Rows       []absenceRow
	Colleagues []staff.Member
	Everybody  bool // the reader may say so for others
	Me         string
	Absence    staff.Absence // as typed
	Errors     []page.Fault
	DaysBad    string
	DeputyBad  string
	To, EndTo  string
}

func (p *Pages) absences(w http.ResponseWriter, r *http.Request) error {
	return p.showAbsences(w, r, http.StatusOK, absencePage{Absence: staff.Absence{Subject: visit.Of(r).Person.Subject}})
}

func (p *Pages) showAbsences(w http.ResponseWriter, r *http.Request, status int, c absencePage) error {
	v := visit.Of(r)
	var err error
	if c.Colleagues, err = p.staff.Members(r.Context(), v.Commune.ID); err != nil {
		return err
	}
	all, err := p.staff.Absences(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	c.Everybody, c.Me = v.Member.Role == staff.Administrator, v.Person.Subject
	c.To, c.EndTo = v.To("/desk/absence"), v.To("/desk/absence/end")
	for _, m := range c.Colleagues { // in the order of names
		a, away := all[m.Subject]
		if !away {
			continue
		}
		row := absenceRow{Name: m.Name, Deputy: nameOf(c.Colleagues, a.Deputy), From: dayOf(a.From), To: dayOf(a.To)}
		if c.Everybody || m.Subject == c.Me {
			row.End = m.Subject
		}
		c.Rows = append(c.Rows, row)
	}
	for _, f := range []page.Fault{{Field: "deputy", Text: c.DeputyBad}, {Field: "from", Text: c.DaysBad}} {
		if f.Text != "" {
			c.Errors = append(c.Errors, f)
		}
	}
	frame := v.Frame(w, r, v.T("staff.absence.title"))
	frame.Failed = len(c.Errors) > 0
	return p.render(w, status, "absence", frame, c)
}

func dayOf(s string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, s, i18n.Brussels())
	if err != nil {
		return time.Time{}
	}
	return t
}

func nameOf(members []staff.Member, subject string) string {
	if i := slices.IndexFunc(members, func(m staff.Member) bool { return m.Subject == subject }); i >= 0 {
		return members[i].Name
	}
	return ""
}

// theirs is the subject that a form names, which only administrators may do for others.
func theirs(v *visit.Visit, subject string) (string, error) {
	if subject == "" || subject == v.Person.Subject {
		return v.Person.Subject, nil
	}
	if v.Member.Role != staff.Administrator {
		return "", fault.New(fault.Forbidden, "clerk.staff.administrators_only", nil)
	}
	return subject, nil
}

func (p *Pages) setAbsence(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	subject, err := theirs(v, r.PostForm.Get("subject"))
	if err != nil {
		return err
	}
	a := staff.Absence{Subject: subject, Deputy: r.PostForm.Get("deputy"), From: r.PostForm.Get("from"), To: r.PostForm.Get("to")}
	err = p.staff.SetAbsence(r.Context(), v.Commune.ID, a, v.Person.Subject)
	c := absencePage{Absence: a}
	switch fault.KeyOf(err) {
	case "staff.absence.days":
		c.DaysBad = v.T("staff.absence.days")
	case "staff.absence.deputy_missing":
		c.DeputyBad = v.T("staff.absence.deputy_missing")
	default:
		if err != nil {
			return err
		}
		return web.See(w, r, v.To("/desk/absence"))
	}
	return p.showAbsences(w, r, http.StatusUnprocessableEntity, c)
}

func (p *Pages) endAbsence(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	subject, err := theirs(v, r.PostForm.Get("subject"))
	if err != nil {
		return err
	}
	if err := p.staff.EndAbsence(r.Context(), v.Commune.ID, subject, v.Person.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/absence"))
}

// away says until when a colleague is absent today and who stands in, "" where they are here.
func (p *Pages) away(r *http.Request, subject string, members []staff.Member) (string, error) {
	v := visit.Of(r)
	if subject == "" {
		return "", nil
	}
	all, err := p.staff.Absences(r.Context(), v.Commune.ID)
	if err != nil {
		return "", err
	}
	a := all[subject]
	if !a.Away(p.now()) {
		return "", nil
	}
	return v.T("staff.absence.away", "Day", i18n.Date(v.Language, dayOf(a.To)), "Name", nameOf(members, a.Deputy)), nil
}

// setRole gives a colleague another role.
func (p *Pages) setRole(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	if err := p.staff.SetRole(r.Context(), v.Commune.ID, r.PostForm.Get("subject"), staff.Role(r.PostForm.Get("role")), v.Person.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/staff"))
}
