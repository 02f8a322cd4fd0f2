package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/internal/fault"
)

// Answer checks what the source sent back. The state is used up first: whatever is wrong
// with the rest, it is wrong once.
func (s *Source) Answer(ctx context.Context, step method.Step, form url.Values) (method.Proof, error) {
	asked, err := s.asked(ctx, step.Commune.ID, form)
	if err != nil {
		return method.Proof{}, err
	}
	r := s.registrations[asked.Commune]
	if r == nil || asked.Login != step.Login || asked.Browser != step.Browser || asked.Redirect != step.Origin+ReturnPath(asked.Commune, s.Config.Name) {
		return method.Proof{}, refused("other_browser", nil)
	}
	first, err := s.Store.UseUpstreamRequest(ctx, asked)
	if err != nil {
		return method.Proof{}, err
	}
	if !first {
		return method.Proof{}, refused("state_used", nil)
	}
	there, err := s.issuer.current(ctx)
	if err != nil {
		return method.Proof{}, err
	}
	code, err := codeOf(form, there, r)
	if err != nil {
		return method.Proof{}, err
	}
	return s.prove(ctx, there, r, asked, code)
}

// codeOf reads the answer (RFC 6749 §4.1.2). Its issuer is checked on errors too, against
// mix-up (RFC 9207 §2.4).
func codeOf(form url.Values, there *description, r *registration) (string, error) {
	for _, name := range []string{"iss", "code", "error"} {
		if len(form[name]) > 1 {
			return "", refusedf("answer", "%s is there twice", name)
		}
	}
	if iss, ok := form["iss"]; ok && iss[0] != r.Issuer || !ok && there.iss {
		return "", refusedf("iss", "%.100q", form.Get("iss"))
	}
	if e := form.Get("error"); e != "" {
		return "", told(e)
	}
	if code := form.Get("code"); code != "" && len(code) <= 4096 {
		return code, nil
	}
	return "", refused("answer", errors.New("no code"))
}

// told words an error answer (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6).
func told(code string) error {
	cause := &refusal{"error_answer", fmt.Errorf("%.60q", code)}
	switch code {
	case "access_denied":
		return fault.New(fault.Conflict, "upstream.gave_up", cause)
	case "login_required", "interaction_required", "account_selection_required", "consent_required":
		return fault.New(fault.Conflict, "upstream.again", cause)
	case "unmet_authentication_requirements":
		return fault.New(fault.Forbidden, "upstream.level", cause)
	case "server_error", "temporarily_unavailable":
		return fault.New(fault.Unreachable, "upstream.unreachable", cause)
	}
	return fault.New(fault.Forbidden, "upstream.refused", cause)
}

func notAllowed(err error) error {
	return fault.New(fault.Forbidden, "upstream.not_allowed", &refusal{"required", err})
}

// prove exchanges the code and makes a proof of what comes.
func (s *Source) prove(ctx context.Context, there *description, r *registration, asked idpsql.UpstreamRequest, code string) (method.Proof, error) {
	t, err := s.redeem(ctx, there, r, asked, code)
	if err != nil {
		return method.Proof{}, err
	}
	claims, at, signed, err := s.idToken(ctx, there, r, asked, t)
	if err != nil {
		return method.Proof{}, err
	}
	all := said{id: claims, values: r.Values}
	subject, _, _ := claims.text("sub")
	if r.UserinfoForm != NoUserinfo {
		if all.info, err = s.userinfo(ctx, there, r, t); err != nil {
			return method.Proof{}, err
		}
		if about, ok, err := all.info.text("sub"); err != nil || !ok || about != subject { // OpenID Connect Core 1.0 §5.3.2
			return method.Proof{}, refused("userinfo_subject", nil)
		}
	}
	level, err := all.level(&r.Registration)
	if err != nil {
		return method.Proof{}, err
	}
	if len(asked.Wanted) > 0 && !slices.Contains(asked.Wanted, level.Level) {
		return method.Proof{}, fault.New(fault.Forbidden, "upstream.level", &refusal{"level_low", fmt.Errorf("%.60q", level.Value)})
	}
	if err := all.allowed(&r.Registration); err != nil {
		return method.Proof{}, err
	}
	who, err := all.person(&r.Registration)
	if err != nil {
		return method.Proof{}, err
	}
	s.remember(ctx, asked.Login, signed)
	return method.Proof{Citizen: who, Issuer: r.Issuer, Subject: subject, Upstream: s.place(r) + " " + level.Value, AMR: level.AMR, At: at}, nil
}
