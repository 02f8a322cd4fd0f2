package clerk

import (
	"net/http"
	"net/url"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// JoinAddress is where an invited person goes: the join page with the code filled in.
func JoinAddress(c *commune.Commune, code string) string {
	return c.Origin() + "/" + string(c.StaffLanguages()[0]) + "/desk/join?" + url.Values{"code": {code}}.Encode()
}

type members struct {
	Members       []staff.Member
	Me            string
	Invitations   []staff.Invitation
	Roles         []staff.Role
	Name          string
	Role          staff.Role
	Errors        []page.Fault
	NameError     string
	Address       string // of an invitation just made; shown once
	InviteTo      string
	RemoveTo      string
	RoleTo        string
	WithdrawTo    string
	DelegationsAt string
	QuestionsAt   string
	PersonsAt     string // the provider's page for merging person records
}

func (p *Pages) members(w http.ResponseWriter, r *http.Request) error {
	return p.showMembers(w, r, http.StatusOK, members{Role: staff.Clerk})
}

func (p *Pages) showMembers(w http.ResponseWriter, r *http.Request, status int, c members) error {
	v := visit.Of(r)
	var err error
	if c.Members, err = p.staff.Members(r.Context(), v.Commune.ID); err != nil {
		return err
	}
	if c.Invitations, err = p.staff.Invitations(r.Context(), v.Commune.ID); err != nil {
		return err
	}
	c.Roles, c.Me = staff.Roles, v.Person.Subject
	c.InviteTo, c.RemoveTo, c.WithdrawTo = v.To("/desk/staff/invite"), v.To("/desk/staff/remove"), v.To("/desk/staff/withdraw")
	c.RoleTo = v.To("/desk/staff/role")
	c.DelegationsAt = v.To("/desk/delegations")
	c.QuestionsAt = v.To(questionsPath)
	if v.Issuer != "" {
		c.PersonsAt = v.Issuer + "/persons/" + string(v.Commune.ID) + "?lang=" + string(v.Language)
	}
	frame := v.Frame(w, r, v.T("clerk.staff.title"))
	if c.NameError != "" {
		frame.Failed = true
		c.Errors = []page.Fault{{Field: "name", Text: c.NameError}}
	}
	return p.render(w, status, "staff", frame, c)
}

// invite answers with the page itself and no redirect: the address is shown once
// and is kept nowhere.
func (p *Pages) invite(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	c := members{Name: r.PostForm.Get("name"), Role: staff.Role(r.PostForm.Get("role"))}
	code, err := p.staff.Invite(r.Context(), v.Commune.ID, c.Name, c.Role, v.Person.Subject)
	if fault.KindOf(err) == fault.Invalid {
		c.NameError = v.T("clerk.staff.invite_incomplete")
		return p.showMembers(w, r, http.StatusUnprocessableEntity, c)
	}
	if err != nil {
		return err
	}
	return p.showMembers(w, r, http.StatusOK, members{Role: staff.Clerk, Address: JoinAddress(v.Commune, code)})
}

func (p *Pages) remove(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	subject := r.PostForm.Get("subject")
	if err := p.staff.Remove(r.Context(), v.Commune.ID, subject, v.Person.Subject, func(tx *sqldb.Tx) error {
		return p.delegations.Left(tx, v.Commune.ID, subject, v.Person.Subject)
	}); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/staff"))
}

func (p *Pages) withdraw(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	if err := p.staff.Withdraw(r.Context(), v.Commune.ID, r.PostForm.Get("id"), v.Person.Subject); err != nil {
		return err
	}
	return web.See(w, r, v.To("/desk/staff"))
}

type join struct {
	Code       string
	Name       string // on the card
	Invitation staff.Invitation
	Known      bool // the code is good
	Problem    string
	Errors     []page.Fault
	Action     string
	SignIn     string // where nobody is signed in
	Already    bool
	Card       bool // people sign in with it
	Desk       string
}

const joinTries = 20 // an hour and person

// askJoin asks an invited person to sign in and to say yes.
func (p *Pages) askJoin(w http.ResponseWriter, r *http.Request) error {
	v, c := visit.Of(r), joinPage(r, r.URL.Query().Get("code"))
	if v.Person == nil || c.Already || c.Code == "" {
		return p.showJoin(w, r, http.StatusOK, c)
	}
	if err := p.countJoin(r); err != nil {
		return err
	}
	var err error
	if c.Invitation, err = p.staff.Invited(r.Context(), v.Commune.ID, c.Code); err != nil {
		return p.joinFailed(w, r, c, err)
	}
	c.Known = true
	return p.showJoin(w, r, http.StatusOK, c)
}

// join binds an invitation to the card at hand.
func (p *Pages) join(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	if v.Person == nil {
		return web.See(w, r, v.SignInTo(v.To("/desk/join")))
	}
	if err := v.StaffLevel(); err != nil {
		return err
	}
	if err := p.countJoin(r); err != nil {
		return err
	}
	c := joinPage(r, r.PostForm.Get("code"))
	subject, name := v.Person.Subject, v.Person.Name()
	if _, err := p.staff.Join(r.Context(), v.Commune.ID, c.Code, subject, name, func(tx *sqldb.Tx, invitation string) error {
		return p.delegations.Joined(tx, v.Commune.ID, invitation, subject, name)
	}); err != nil {
		return p.joinFailed(w, r, c, err)
	}
	return web.See(w, r, v.To("/desk"))
}

func joinPage(r *http.Request, code string) join {
	v := visit.Of(r)
	c := join{Code: code, Card: v.Commune.ByCard(), Action: v.To("/desk/join"), Desk: v.To("/desk"), SignIn: v.SignIn(r) + "&desk=1"}
	if v.Person != nil {
		c.Name, c.Already = v.Person.Name(), v.Member != nil
	}
	return c
}

// countJoin stops somebody who tries one code after another.
func (p *Pages) countJoin(r *http.Request) error {
	v := visit.Of(r)
	n, err := p.kv.Incr(r.Context(), "join/"+string(v.Commune.ID)+"/"+v.Person.Subject, time.Hour)
	if err != nil {
		return err
	}
	if n > joinTries {
		return fault.New(fault.TooMany, "clerk.join.too_many", nil)
	}
	return nil
}

func (p *Pages) joinFailed(w http.ResponseWriter, r *http.Request, c join, err error) error {
	if fault.KindOf(err) == fault.Internal {
		return err
	}
	c.Problem = visit.Of(r).T(fault.KeyOf(err))
	return p.showJoin(w, r, web.Status(fault.KindOf(err)), c)
}

func (p *Pages) showJoin(w http.ResponseWriter, r *http.Request, status int, c join) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("clerk.join.title"))
	if c.Problem != "" {
		frame.Failed = true
		c.Errors = []page.Fault{{Field: "code", Text: c.Problem}}
	}
	return p.render(w, status, "join", frame, c)
}
